"""What a job is told by its flags, and what of that would do nothing."""

from __future__ import annotations

import pytest

from streamer import Settings
from streamer.batch.job import settings_digest
from streamer.batch.settings import BatchSettings
from streamer.errors import SettingsError
from streamer.resolve import resolve


@pytest.mark.parametrize(
    ("given", "needs", "sentence"),
    [
        (
            {"host": "::"},
            {"metrics": "0"},
            "--host is for Prometheus; name its port with --metrics",
        ),
        (
            {"address": "auto"},
            {"engine": "ray"},
            "--address is a Ray cluster's; give --engine=ray, too",
        ),
    ],
)
def test_a_flag_that_would_do_nothing_alone_is_refused(given, needs, sentence):
    assert resolve({**given, **needs}, {}, kind=BatchSettings)
    with pytest.raises(SettingsError) as refused:
        resolve(given, {}, kind=BatchSettings)
    assert str(refused.value) == sentence


def test_a_settings_file_says_nothing_of_a_run(tmp_path):
    config = tmp_path / "mine.toml"
    config.write_text("retry_failed = true\n")
    with pytest.raises(SettingsError, match="retry_failed is no setting"):
        resolve({}, {}, config, kind=BatchSettings)


def test_how_a_job_is_run_does_not_decide_how_its_stems_sound():
    sound = settings_digest(Settings(model="passthrough"))
    run = BatchSettings(model="passthrough", workers=2, job="job", retry_failed=True, metrics=0)
    assert settings_digest(run) == sound
    assert settings_digest(run.model_copy(update={"overlap": 0.5})) != sound
