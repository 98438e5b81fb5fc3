"""`stemstream plan`, with and without sound devices."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from streamer.errors import DeviceError

Run = Callable[..., Any]
NONE_OF_MINE = ("-n", "passthrough", "--samplerate", "44100")


@pytest.fixture(autouse=True)
def no_devices(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without sound, and timings that are nobody's."""

    def refuse(_settings: object) -> None:
        raise DeviceError("PortAudio is not here; try apt install libportaudio2")

    monkeypatch.setattr("cli.live_run.backend_for", refuse)
    monkeypatch.setenv("XDG_CACHE_HOME", str(elsewhere))


@pytest.mark.parametrize("told", [("--normalize", "track"), ("--config", "loud.toml")])
def test_what_needs_the_whole_track_is_refused(
    told: tuple[str, ...], stemstream: Run, elsewhere: Path
) -> None:
    (elsewhere / "loud.toml").write_text("loudness = -16\n")
    outcome = stemstream("plan", *NONE_OF_MINE, *told)
    assert outcome.code == 2
    assert "need the whole track first" in outcome.complaint


def test_the_parts_are_the_delay(stemstream: Run) -> None:
    outcome = stemstream("plan", *NONE_OF_MINE, "--hop", "0.2", "--lookahead", "0.1", "--json")
    assert outcome.code == 0, outcome.err
    plan = json.loads(outcome.out)
    assert plan["hop_seconds"] == pytest.approx(0.2)
    assert plan["lookahead_seconds"] == pytest.approx(0.1)
    assert sum(plan["parts_seconds"].values()) == pytest.approx(plan["delay_seconds"])
    assert plan["delay_frames"] <= round(plan["delay_seconds"] * 44100)
    assert "without sound devices" in outcome.err


def test_the_table_names_every_part(stemstream: Run) -> None:
    out = stemstream("plan", *NONE_OF_MINE).out
    for part in ("window", "hop", "lookahead", "compute", "overhead", "delay", "load"):
        assert re.search(rf"^ *{part} +[0-9.]+ ?[s%]", out, re.MULTILINE), out


def test_a_promise_is_kept_or_refused_with_the_least_that_can_be(stemstream: Run) -> None:
    refused = stemstream("plan", *NONE_OF_MINE, "--latency", "0.01")
    assert refused.code == 2
    least = re.search(r"must be at least ([0-9.]+) seconds", refused.complaint)
    assert least is not None, refused.complaint
    kept = stemstream("plan", *NONE_OF_MINE, "--latency", least[1], "--json")
    assert json.loads(kept.out)["delay_seconds"] <= float(least[1]) + 1 / 44100


def test_a_device_that_is_named_must_be_there(stemstream: Run) -> None:
    outcome = stemstream("plan", *NONE_OF_MINE, "--output", "USB")
    assert outcome.code == 6
    assert "apt install libportaudio2" in outcome.complaint
