"""`stemstream bench`, with the model that costs nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from streamer.benchmark.report import COLUMNS
from streamer.live.settings import LiveSettings

Run = Callable[..., object]


@pytest.mark.parametrize("part", [(), ("inference",)])
def test_bench(part: tuple[str, ...], stemstream: Run, tmp_path: Path) -> None:
    outcome = stemstream(
        "bench", *part, "--quick", "--models", "passthrough", "--out", tmp_path / "found"
    )
    assert outcome.code == 0, outcome.err
    head, row = outcome.out.splitlines()
    assert head.split() == list(COLUMNS)
    assert row.split()[:5] == ["passthrough", "none", "needed", "2", "s"]
    assert {file.name for file in (tmp_path / "found").iterdir()} == {
        *("bench.json", "bench.md", "bench.png", "bench.svg")
    }
    assert "the smallest --latency" in outcome.err


def test_bench_as_json(stemstream: Run) -> None:
    outcome = stemstream("bench", "--models", "passthrough", "--windows", "1,0.5", "--json")
    told = json.loads(outcome.out)
    assert [one["window_seconds"] for one in told["inference"]] == [0.5, 1.0]
    assert told["machine"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (("--windows", "1,x"), "windows=1,x must be seconds over 0, with commas; try 1,2,4"),
        (("--windows", "-1"), "windows=-1 must be seconds over 0"),
        (("--quick", "--windows", "2"), "--quick has windows of its own; leave out"),
        (("--quick", "inference"), "flags of bench inference stand behind inference; move them"),
        (("--backends", "abacus"), "no backend is named 'abacus'; there are torch float32"),
    ],
)
def test_bench_refuses(wrong: tuple[str, ...], said: str, stemstream: Run) -> None:
    outcome = stemstream("bench", *wrong)
    assert outcome.code == 2
    assert said in outcome.complaint


def test_a_model_that_nobody_knows_is_told_before_the_benchmark(stemstream: Run) -> None:
    outcome = stemstream("bench", "--quick", "--models", "passthrough,foo")
    assert outcome.code == 5
    assert "no model is named 'foo'" in outcome.complaint


def test_a_benchmark_of_nothing_but_failures_has_failed(stemstream: Run) -> None:
    outcome = stemstream(
        "bench", "--quick", "--models", "gone.safetensors", "--backends", "torch float32"
    )
    assert outcome.code == 5
    assert "there is no file gone.safetensors" in outcome.err


def test_an_out_that_cannot_be_written_is_found_before_the_benchmark(
    stemstream: Run, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "out" / "bench.svg").mkdir(parents=True)
    for out in (tmp_path / "file", tmp_path / "out"):
        outcome = stemstream("bench", "--quick", "--models", "passthrough", "--out", out)
        assert outcome.code != 0
        assert "cannot be written" in outcome.complaint
        assert "passthrough" not in outcome.err  # each part is told as it begins
    assert [one.name for one in (tmp_path / "out").iterdir()] == ["bench.svg"]


def test_latency_refuses(stemstream: Run) -> None:
    outcome = stemstream("latency", "--output-channels", "left")
    assert outcome.code == 2
    assert "output-channels=left must be one or two numbers; try 1,2" in outcome.complaint


def test_fixing_takes_no_flag_that_means_nothing_to_it(stemstream: Run) -> None:
    outcome = stemstream("bench", "inference", "--fix", "--windows", "2")
    assert outcome.code == 2
    assert "--fix and --windows exclude each other; give one of them" in outcome.complaint


@pytest.mark.parametrize(
    ("setting", "model"), [("", "passthrough"), ("model = 'rt_mini'\n", "rt_mini")]
)
def test_latency_takes_the_model_of_a_settings_file(
    setting: str, model: str, stemstream: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[LiveSettings] = []
    monkeypatch.setattr(
        "cli.latency_run.run_latency", lambda settings, *_, **__: taken.append(settings)
    )
    (tmp_path / "mine.toml").write_text(setting)
    assert stemstream("latency", "--config", tmp_path / "mine.toml").code == 0
    assert [one.model for one in taken] == [model]
