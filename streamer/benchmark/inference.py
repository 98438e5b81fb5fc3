"""The benchmark: how fast each model is on this machine, and what that allows live.

::

    models = models_here()
    for job in jobs(models, backend_names, windows):
        results = run_apart(job)

Each model runs on each backend in its own process. So its memory is counted alone, and a model that
takes too much ends alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import numpy as np

from streamer import models
from streamer.audio import Samples
from streamer.errors import ModelError, StemstreamError
from streamer.files import demo_song, open_source
from streamer.live.planning.plan import PlanRequest
from streamer.live.planning.solver import quickest, solve, stream_windows
from streamer.models.calibration import WindowTiming, time_bag
from streamer.models.choice import BACKENDS, Backend, backend_named
from streamer.models.members import Networks
from streamer.models.networks.random import RANDOM, write_random_htdemucs
from streamer.models.weights.places import place_of
from streamer.peak_memory import peak_memory_bytes

WINDOWS: Final = (1.0, 2.0, 4.0)
QUICK_WINDOWS: Final = (2.0,)
AGAIN_SECONDS: Final = 0.5
"""Windows that take longer than this are not timed a second time."""
NO_NETWORK: Final = "none needed"


@dataclass(frozen=True)
class BenchmarkJob:
    """A model on a backend, with windows of these lengths in seconds, the shortest first."""

    model: str
    backend: str
    windows: tuple[float, ...]


@dataclass(frozen=True)
class Result:
    """The cost of one window, and what it allows live. ``problem`` says what went wrong, else "".

    For a model that remembers the stream, the window is the audio that it gets at a time. ``rtf``
    is the compute time for a second of window. ``load`` is the compute time for a second of music
    at ``hop_seconds``, which `solver.solve` chooses. ``least_delay_seconds`` is the smallest
    promise that can be kept, without the sound devices' own delay. ``memory_bytes`` is the most
    memory that the process held. If the result is not ``steady``, the machine was busy.
    ``deviation_db`` compares the energy of the stems of torch in float32 with the energy of the
    difference, on music. None: not measured, since random weights mean nothing, or it is the
    reference itself.
    """

    model: str
    backend: str
    window_seconds: float
    p50_seconds: float | None = None
    p99_seconds: float | None = None
    rtf: float | None = None
    hop_seconds: float | None = None
    load: float | None = None
    least_delay_seconds: float | None = None
    memory_bytes: int | None = None
    deviation_db: float | None = None
    steady: bool = True
    problem: str = ""


def models_here() -> list[str]:
    """Return the models that can run live without fetching anything, and the random one."""
    here = [
        name
        for name in models.names()
        if (models.info(name).origin == "none" or models.available(name))
        and all(find_spec(package) for package in models.info(name).requires)
    ]
    return [*here, RANDOM]


def jobs(
    names: Sequence[str], backend_names: Sequence[str], windows: Sequence[float]
) -> Iterator[BenchmarkJob]:
    """Yield all jobs."""
    ordered = tuple(sorted(windows))
    for name in names:
        if name in models.names() and models.info(name).origin == "none":
            yield BenchmarkJob(name, NO_NETWORK, ordered)
            continue
        other = "openvino bfloat16" if _goes_along(name) else "native float32"
        for backend_name in backend_names:
            if backend_name != other:
                yield BenchmarkJob(name, backend_name, ordered)


def _goes_along(name: str) -> bool:
    """Return whether a model remembers the stream; a file of weights tells it of itself."""
    if name == RANDOM:
        return False
    if name in models.names():
        return models.info(name).streaming
    try:
        place = place_of(name)
        assert place is not None
        networks = Networks(place, trust_checkpoint=False, threads=None)
        return any(networks.facts(member).stride is not None for member in place.bag.members)
    except StemstreamError:  # its rows will tell
        return False


def run_apart(job: BenchmarkJob) -> list[Result]:
    """Run a job in its own process; the results tell what goes wrong there."""
    command = [sys.executable, "-m", __spec__.name, json.dumps(asdict(job))]
    with tempfile.TemporaryDirectory() as folder:
        environment = dict(os.environ)
        if job.model == RANDOM:  # its graphs are large, and nobody wants them again
            environment["XDG_CACHE_HOME"] = folder
        # in a session of its own Ctrl-C does not reach it; it ends with this call instead
        done = subprocess.run(  # noqa: S603
            command,
            capture_output=True,
            text=True,
            start_new_session=True,
            check=False,
            env=environment,
        )
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        said = (done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1]
        return [Result(job.model, job.backend, seconds, problem=said) for seconds in job.windows]
    return [Result(**result) for result in json.loads(lines[-1])]


def run_here(job: BenchmarkJob) -> Iterator[Result]:
    """Run a job in this process, a result for each window."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(write_random_htdemucs(Path(folder))) if job.model == RANDOM else job.model
        timed = [(seconds, _timed(job, path, seconds)) for seconds in _windows_of(path, job)]
        # the reference is loaded after all of them: their memory is counted without it
        for seconds, result in timed:
            yield replace(result, deviation_db=_deviation_db(job, path, seconds, result))


def _windows_of(model: str, job: BenchmarkJob) -> Sequence[float]:
    """Return the windows' seconds; a model that remembers the stream has its own."""
    if _goes_along(job.model):
        with contextlib.suppress(StemstreamError):  # its rows will tell
            bag = models.load(model, device="cpu", backend=backend_named(job.backend))
            if bag.stride is not None:
                return stream_windows(bag.stride, bag.samplerate, None)
    return job.windows


def _timed(job: BenchmarkJob, model: str, seconds: float) -> Result:
    try:
        return _run_window(job, _load(model, _known(job), seconds))
    except StemstreamError as error:
        return Result(job.model, job.backend, seconds, problem=str(error))


def _known(job: BenchmarkJob) -> Backend:
    return BACKENDS[0] if job.backend == NO_NETWORK else backend_named(job.backend)


def _run_window(job: BenchmarkJob, bag: models.Bag) -> Result:
    timing = time_bag(bag)
    if not timing.steady and timing.p50_seconds < AGAIN_SECONDS:  # what disturbed it may be over
        timing = min(timing, time_bag(bag), key=lambda one: one.p99_seconds)
    window_frames = timing.window_frames
    if bag.stride is not None:
        window_frames = bag.stride.new_frames(window_frames)
    request = PlanRequest(bag.name, bag.samplerate, bag.samplerate, stride=bag.stride)
    hop_seconds, load, problem = _live(request, timing)
    return Result(
        job.model,
        job.backend,
        window_frames / bag.samplerate,
        p50_seconds=timing.p50_seconds,
        p99_seconds=timing.p99_seconds,
        rtf=timing.p50_seconds * bag.samplerate / window_frames,
        hop_seconds=hop_seconds,
        load=load,
        least_delay_seconds=None if problem else quickest(request, [timing]).delay_seconds,
        memory_bytes=peak_memory_bytes(),
        steady=timing.steady,
        problem=problem,
    )


def _load(model: str, known: Backend, seconds: float) -> models.Bag:
    return models.load(
        model,
        device="cpu",
        window=seconds,
        exact_window=True,
        backend=known,
    )


def _deviation_db(job: BenchmarkJob, model: str, seconds: float, result: Result) -> float | None:
    """Return how close the stems of a window of music are to the reference."""
    known = _known(job)
    means_nothing = result.p50_seconds is None or job.model == RANDOM
    if means_nothing or known == BACKENDS[0] or find_spec("stempeg") is None:
        return None
    try:
        expected = _newest_half(_load(model, BACKENDS[0], seconds))
        difference = expected - _newest_half(_load(model, known, seconds))
    except ModelError:  # the reference may take more than there is; the times hold
        return None
    return float(10 * np.log10(np.sum(expected**2) / max(np.sum(difference**2), 1e-30)))


def _newest_half(bag: models.Bag) -> Samples:
    """Return the stems of the newest half of a window of music, of all members."""
    with open_source(str(demo_song())) as source:
        song = np.concatenate(list(source.blocks()))
    stems = []
    for member in bag.members:
        if member is not None:
            frames = member.separator.input_frames(member.separator.window_frames)
            window = np.resize(song, (frames, member.separator.channels))
            stems.append(member.separator(window[np.newaxis], slice(frames // 2, None)))
    return np.concatenate(stems)


def _live(request: PlanRequest, timing: WindowTiming) -> tuple[float | None, float | None, str]:
    """Return the chosen hop and its load, or why there is none."""
    try:
        plan = solve(request, [timing])
    except ModelError:
        return None, None, "too slow for live"
    return plan.hop_seconds, plan.load, ""


def _main() -> None:
    given = json.loads(sys.argv[1])
    job = BenchmarkJob(given["model"], given["backend"], tuple(given["windows"]))
    results = [asdict(result) for result in run_here(job)]
    sys.stdout.write(json.dumps(results, allow_nan=False) + "\n")


if __name__ == "__main__":
    _main()
