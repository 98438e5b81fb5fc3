"""The benchmark's jobs, results, table and files; what one window costs is not asserted."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import cast

import pytest

from streamer.benchmark import inference
from streamer.benchmark.fixing import fix, models_to_fix
from streamer.benchmark.inference import (
    NO_NETWORK,
    BenchmarkJob,
    Result,
    jobs,
    models_here,
    run_apart,
    run_here,
)
from streamer.benchmark.report import COLUMNS, cells, notes, write
from streamer.errors import ModelMemoryError, SettingsError, SinkError
from streamer.live.planning.plan import PlanRequest
from streamer.live.planning.solver import quickest, solve
from streamer.models import load
from streamer.models.backends.openvino_library import has_openvino
from streamer.models.calibration import WindowTiming
from streamer.models.choice import BACKENDS, Answer, Backend, Choices, backend_named
from streamer.models.networks.causal import HOP, CausalBandSplit
from streamer.models.networks.checkpoint import read_network, write_network
from streamer.models.networks.filters import CausalFilters
from streamer.models.networks.random import RANDOM, write_random_htdemucs
from streamer.models.separator import Bag

FAST = Result(
    "tiny", "torch float32", 2.0, 0.1, 0.12, 0.05, 0.2, 0.5, 0.4, 300_000_000, deviation_db=48.2
)
SLOW = Result("large", "torch float32", 2.0, 3.0, 9.0, 1.5, None, None, None, 900_000_000,
              steady=False, problem="too slow for live")  # fmt: skip
BROKEN = Result("large", "torch bfloat16", 2.0, problem="ended with -9")


def test_the_models_that_are_here() -> None:
    assert {"htdemucs_mini", "mini_duo", "passthrough", RANDOM} <= set(models_here())
    # the networks of a row are measured by themselves, and once
    assert {"htdemucs_mini", "mini_vocals"} <= set(models_to_fix())
    assert "mini_duo" not in models_to_fix()


def test_a_model_without_a_network_runs_once() -> None:
    backends = [one.name for one in BACKENDS]
    found = list(jobs(["passthrough", "htdemucs_mini"], backends, [2.0, 0.5]))
    assert found[0] == BenchmarkJob("passthrough", NO_NETWORK, (0.5, 2.0))
    assert [job.backend for job in found[1:]] == backends[:-1]


def test_a_streaming_model_runs_on_what_runs_it_in_all_its_digits() -> None:
    backends = ["torch float32", "openvino bfloat16", "native float32"]
    assert [job.backend for job in jobs(["rt_mini"], backends, [1.0])] == backends[::2]


def test_so_does_one_that_a_user_trained(tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    write_network(CausalBandSplit(["a", "b"], width=8, depth=1, hidden=8, samplerate=8000), path)
    backends = ["torch float32", "openvino bfloat16", "native float32"]
    assert [job.backend for job in jobs([str(path)], backends, [1.0])] == backends[::2]
    results = run_here(BenchmarkJob(str(path), "torch float32", (1.0,)))
    assert [result.window_seconds * 8000 / HOP for result in results] == [1, 2, 4, 8]
    filters = tmp_path / "filters.safetensors"
    write_network(CausalFilters(["a", "b"], width=8, depth=1, hidden=8), filters)
    (result,) = run_here(BenchmarkJob(str(filters), "openvino float32", (1.0,)))
    assert "backend=openvino runs networks of the classes" in result.problem
    (job,) = jobs(["missing.safetensors"], backends[:1], [1.0])
    (result,) = run_here(job)
    assert "missing.safetensors" in result.problem


def test_a_job_in_this_process_and_apart() -> None:
    job = BenchmarkJob("passthrough", NO_NETWORK, (1.0, 100.0))
    for results in (list(run_here(job)), run_apart(job)):
        assert [result.window_seconds for result in results] == [1.0, 100.0]
        for result in results:
            assert not result.problem
            assert 0 < result.p50_seconds <= result.p99_seconds
            assert result.rtf == pytest.approx(result.p50_seconds / result.window_seconds)
            assert result.memory_bytes > 10_000_000
    assert results[0].memory_bytes < results[1].memory_bytes  # apart, nothing else was held before


def test_what_fails_is_in_the_results() -> None:
    (result,) = run_here(BenchmarkJob("htdemucs_mini", "torch float32", (60.0,)))
    assert "must be at most" in result.problem
    (result,) = run_here(BenchmarkJob("htdemucs_miny", "torch float32", (1.0,)))
    assert "did you mean htdemucs_mini" in result.problem
    with pytest.raises(SettingsError, match="no backend is named 'x'; there are torch float32"):
        backend_named("x")


def test_the_random_network_is_of_htdemucs_size(tmp_path: Path) -> None:
    path = write_random_htdemucs(tmp_path)
    parameters = sum(one.numel() for one in read_network(path).parameters())
    assert parameters == 41_984_456  # two bytes each are the 84 MB of the published htdemucs
    bag = load(str(path), window=0.5, exact_window=True, backend="torch")
    separator = bag.members[0].separator
    assert separator.window_frames == separator.input_frames(22050) == 22050
    assert bag.samplerate == 44100


def test_memory_is_counted_without_what_the_sound_is_compared_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def noted(name: str, value: float) -> Callable[..., float]:
        return lambda *_: asked.append(name) or value

    monkeypatch.setattr(inference, "_deviation_db", noted("sound", 50.0))
    monkeypatch.setattr(inference, "peak_memory_bytes", noted("memory", 1))
    results = list(run_here(BenchmarkJob("passthrough", NO_NETWORK, (0.5, 1.0))))
    assert asked == ["memory", "memory", "sound", "sound"]
    assert [one.deviation_db for one in results] == [50.0, 50.0]


def test_what_cannot_be_compared_is_timed_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = inference._load

    def load_but_the_reference(model: str, known: Backend, seconds: float) -> Bag:
        if known == BACKENDS[0]:
            raise ModelMemoryError("memory ran out")
        return loaded(model, known, seconds)

    monkeypatch.setattr(inference, "_load", load_but_the_reference)
    (result,) = run_here(BenchmarkJob("htdemucs_mini", BACKENDS[2].name, (0.5,)))
    assert (result.problem, result.deviation_db) == ("", None)
    assert result.p50_seconds > 0


def test_what_a_backend_costs_in_sound_is_told() -> None:
    if not has_openvino():
        pytest.skip("needs openvino")
    pytest.importorskip("stempeg")
    found = {}
    for backend in ("torch float32", "openvino float32", "openvino bfloat16"):
        job = BenchmarkJob("htdemucs_mini", backend, (1.0,))
        found[backend] = inference._deviation_db(job, job.model, 1.0, FAST)
    assert found["torch float32"] is None
    assert found["openvino float32"] > 100
    assert found["openvino bfloat16"] > 35


def test_the_least_promise_is_one_that_can_be_kept() -> None:
    timings = [WindowTiming(88200, 0.08, 0.1)]
    least = quickest(PlanRequest("x", 44100, 44100), timings).delay_seconds
    solve(PlanRequest("x", 44100, 44100, latency_seconds=least), timings)
    with pytest.raises(SettingsError, match="must be at least"):
        solve(PlanRequest("x", 44100, 44100, latency_seconds=least - 0.001), timings)


def test_table() -> None:
    assert len(cells(FAST)) == len(cells(SLOW)) == len(cells(BROKEN)) == len(COLUMNS)
    assert cells(FAST)[3:] == (
        *("100 ms", "120 ms", "0.050", "-48 dB", "200 ms"),
        *("50%", "400 ms", "300 MB"),
    )
    assert cells(SLOW)[7] == "too slow"
    assert "9000 ms *" in cells(SLOW)
    assert cells(BROKEN)[3] == "failed"
    assert "large, torch bfloat16, 2 s: ended with -9" in notes([BROKEN])
    assert not any("random" in note or "busy" in note for note in notes([FAST, BROKEN]))
    random = Result(RANDOM, "torch float32", 2.0, 1.0, 1.0, steady=False)
    assert {"random", "busy"} <= set(" ".join(notes([random])).split())


def test_files(tmp_path: Path) -> None:
    files = write(tmp_path / "out", [FAST, SLOW, BROKEN])
    assert [file.name for file in files] == ["bench.json", "bench.md", "bench.png", "bench.svg"]
    told = json.loads(files[0].read_text())
    assert [Result(**one) for one in told["inference"]] == [FAST, SLOW, BROKEN]
    rows = [line for line in files[1].read_text().splitlines() if line.startswith("|")]
    assert len(rows) == 5
    assert all(row.count("|") == len(COLUMNS) + 1 for row in rows)
    assert files[2].read_bytes().startswith(b"\x89PNG")
    drawn = files[3].read_text()
    for words in ("tiny, 2 s", "too slow for live", "ended with -9"):
        assert words in drawn
    with pytest.raises(SinkError, match=r"cannot be written: .* write to another folder"):
        write(files[0], [FAST])


class LastIsFastest:
    """Choices that find the last backend to be the fastest, but know that live the first is."""

    def __init__(self) -> None:
        self.measured: list[Answer] = []

    def known(self, subject: Mapping[str, object], backends: Sequence[Backend]) -> Backend | None:
        return backends[0] if subject["live windows"] else None

    def measure(self, _subject: object, backends: Sequence[Backend], *_: object) -> Backend:
        self.measured.append(Answer(backends[-1].name, {backends[-1].name: 0.1}, 0, 0, fixed=True))
        return backends[-1]


def test_fixing_tells_what_runs_a_model_fastest() -> None:
    found = [
        (one.live, one.precision, one.backend, len(one.window_seconds))
        for one in fix("rt_mini", cast("Choices", LastIsFastest()))
    ]
    assert found == [
        (False, "float32", "native float32", 1),
        (False, "bfloat16", "native float32", 1),
        (True, "float32", "torch float32", 0),
        (True, "bfloat16", "torch float32", 0),
    ]
