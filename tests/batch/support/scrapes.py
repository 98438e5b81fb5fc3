"""What Prometheus reads of a job."""

from __future__ import annotations

import urllib.request

from prometheus_client.parser import text_string_to_metric_families


def scrape(url: str) -> dict[tuple[str, ...], float]:
    """What a job's server answers, by name and label."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    return {
        (sample.name.removeprefix("stemstream_batch_"), *sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
    }
