"""The backends that can run a model here, and the fastest: measured once, then remembered.

::

    torch     float32             the reference
    torch     bfloat16, float16   products with half the bits (`quantized`)
    openvino  float32, bfloat16   HTDemucs, U-Nets and the causal network on a CPU; an extra
    native    float32             the causal network on a CPU: this project's own code
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any, Final

import numpy as np

from streamer.cache import JsonStore, machine
from streamer.errors import ModelError, SettingsError
from streamer.models.backends.openvino_library import has_openvino, openvino_missing
from streamer.models.calibration import MAX_AGE_SECONDS, live_call, noise
from streamer.models.separator import Separator, Streaming, WindowKind
from streamer.settings import Library, Precision
from streamer.user_folders import cache_folder

LAYOUT: Final = 4
"""Raise this when the meaning of the stored times changes, or what they were taken of."""
FEWEST_ROUNDS: Final = 2
"""What disturbs one of two windows that take seconds decides nothing."""
MOST_ROUNDS: Final = 10
"""The most windows to time on each, in turn. The best one counts: other load only adds."""
ENOUGH_SECONDS: Final = 4.0
"""After this time in all no further round begins, once there were the fewest."""
NOT_WORTH_IT: Final = 0.01
"""If a backend takes less than this share of real time, no other is tried: a graph takes
seconds to make."""
BUSY: Final = 0.5
"""A machine on which more programs than this want each processor is a busy one."""

_LOG: Final = logging.getLogger(__name__)

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Backend:
    """One way to run models."""

    library: Library
    precision: Precision

    @property
    def name(self) -> str:
        """Its name in tables and flags."""
        return f"{self.library} {self.precision}"


BACKENDS: Final = (
    Backend("torch", "float32"),
    Backend("torch", "bfloat16"),
    Backend("openvino", "float32"),
    Backend("openvino", "bfloat16"),
    Backend("native", "float32"),
)
"""The backends of a CPU; `fastest` chooses one of them."""


def backend_named(name: str) -> Backend:
    """Return the backend of that name.

    Raises:
        SettingsError: there is none.
    """
    for one in BACKENDS:
        if one.name == name:
            return one
    known = ", ".join(one.name for one in BACKENDS)
    raise SettingsError(f"no backend is named {name!r}; there are {known}")


def eligible(library: Library | None, precision: Precision, device: str) -> tuple[Backend, ...]:
    """Return the backends that may run a network, if it is one of a kind that they know.

    Args:
        library: the only allowed one (None: any that is installed).
        precision: the least precise numbers that are allowed.
        device: the kind of device: ``cpu``, ``cuda``, ...

    Raises:
        SettingsError: the arguments exclude each other.
        ModelError: the library is not installed.
    """
    if precision == "float16" and device == "cpu":
        raise SettingsError("precision=float16 needs a GPU; try bfloat16")
    if library in ("openvino", "native") and device != "cpu":
        raise SettingsError(
            f"backend={library} runs on the CPU alone, not on {device}; try --device cpu"
        )
    if library == "openvino" and not has_openvino():
        raise openvino_missing()
    if device != "cpu":
        return (Backend("torch", precision),)
    allowed = {"float32", precision}
    return tuple(
        one
        for one in BACKENDS
        if one.precision in allowed
        and (library in (None, one.library))
        and (library is not None or one.library != "openvino" or has_openvino())
    )


def busyness() -> float:
    """Return how many programs wanted each processor, the average of the last minute."""
    try:
        return os.getloadavg()[0] / (os.cpu_count() or 1)
    except (AttributeError, OSError):  # Windows has none, and some machines do not tell it
        return 0.0


@dataclass(frozen=True, slots=True)
class Answer:
    """Which backend was the fastest, and what that is worth.

    ``window_seconds`` has the best time of each that was tried, by name. ``measured_at`` is in
    seconds since 1970. ``load`` is how busy the machine was just before (`busyness`). ``fixed``:
    the user asked for this measurement, so it never gets too old.
    """

    fastest: str
    window_seconds: Mapping[str, float]
    measured_at: float
    load: float
    fixed: bool

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Answer:
        """Return what was kept.

        Raises:
            KeyError, TypeError, ValueError: it is no answer.
        """
        return cls(
            str(value["fastest"]),
            {str(name): float(took) for name, took in dict(value["window_seconds"]).items()},
            float(value["measured_at"]),
            float(value["load"]),
            bool(value["fixed"]),
        )

    def holds(self, now: float, load: float) -> bool:
        """Return whether it need not be measured again.

        The answer of a busy machine holds while the machine is busy: there is no better one.
        """
        young = 0 <= now - self.measured_at < MAX_AGE_SECONDS
        return self.fixed or (young and (self.load <= BUSY or load > BUSY))


class Choices:
    """The fastest backend for each task; kept on disk for the next run.

    Args:
        store: where the answers are (default: the user's cache folder).
        clock: gives seconds, to time windows with.
        now: gives seconds since 1970.
        load: tells how busy the machine is (`busyness`).
        versions: tells the version of a package.
        fixing: measure what is known, too, and keep it as `Answer.fixed`.

    ``measured`` has what this object measured, in order.
    """

    def __init__(
        self,
        store: JsonStore | None = None,
        clock: Clock = time.perf_counter,
        *,
        now: Clock = time.time,
        load: Callable[[], float] = busyness,
        versions: Callable[[str], str] = version,
        fixing: bool = False,
    ) -> None:
        self._store = store or JsonStore(cache_folder("backends"), LAYOUT)
        self._clock = clock
        self._now = now
        self._load = load
        self._versions = versions
        self._fixing = fixing
        self.measured: list[Answer] = []

    def known(self, subject: Mapping[str, Any], backends: Sequence[Backend]) -> Backend | None:
        """Return the fastest backend, if these were measured before and the answer holds."""
        answer = self._kept(subject, backends)
        if answer is None or self._fixing or not answer.holds(self._now(), self._load()):
            return None
        return next((one for one in backends if one.name == answer.fastest), None)

    def measure(
        self,
        subject: Mapping[str, Any],
        backends: Sequence[Backend],
        make: Callable[[Backend], Separator],
        windows: WindowKind,
    ) -> Backend:
        """Time a window on each backend (the newest half of a live window); keep the fastest.

        A backend that cannot run the network is skipped. Live, `native` is taken without a race
        where it can run the network.

        Raises:
            ModelError: no backend can.
        """
        load = self._load()
        seconds = self._race(backends, make, windows)
        fastest = min(seconds, key=seconds.__getitem__)
        told = {one.name: round(took, 4) for one, took in seconds.items()}
        answer = Answer(fastest.name, told, self._now(), load, self._fixing)
        self._store.write(self._identity(subject, backends), asdict(answer))
        self.measured.append(answer)
        return fastest

    def _kept(self, subject: Mapping[str, Any], backends: Sequence[Backend]) -> Answer | None:
        with contextlib.suppress(KeyError, TypeError, ValueError):
            return Answer.from_json(self._store.read(self._identity(subject, backends)))
        return None

    def _race(
        self,
        backends: Sequence[Backend],
        make: Callable[[Backend], Separator],
        windows: WindowKind,
    ) -> dict[Backend, float]:
        """Return the best time of each backend that was tried; see `measure`."""
        if windows.exact:
            # a live run brings a hop at a time: native is the quickest at that, and alone needs no
            # Python; over a window of many hops torch may be the faster one
            for one in (backend for backend in backends if backend.library == "native"):
                with contextlib.suppress(ModelError):  # it knows one kind of network
                    return {one: self._time(make(one), windows)}
        _LOG.info("what runs the model fastest here is measured, and kept for a week")
        separators: dict[Backend, Separator] = {}
        best: dict[Backend, float] = {}
        failure: ModelError | None = None
        for one in backends:
            try:
                separators[one] = make(one)
                self._time(separators[one], windows)  # the first window is always slow
                best[one] = self._time(separators[one], windows)
            except ModelError as error:
                failure = error
                continue
            if min(best.values()) < NOT_WORTH_IT * _window_seconds(separators[one]):
                break
        if failure is not None and not best:
            raise failure
        took, rounds = sum(best.values()), 1
        while len(best) > 1 and (
            rounds < FEWEST_ROUNDS or (took < ENOUGH_SECONDS and rounds < MOST_ROUNDS)
        ):
            seconds = {one: self._time(separators[one], windows) for one in best}
            best = {one: min(best[one], seconds[one]) for one in best}
            took, rounds = took + sum(seconds.values()), rounds + 1
        return best

    def _identity(self, subject: Mapping[str, Any], backends: Sequence[Backend]) -> dict[str, Any]:
        # the code of native is this project's; Numba makes it run
        libraries = sorted({"numba" if o.library == "native" else o.library for o in backends})
        return {
            "machine": machine(),
            "subject": dict(subject),
            "backends": [one.name for one in backends],
            "versions": [self._versions(library) for library in libraries],
        }

    def _time(self, separator: Separator, windows: WindowKind) -> float:
        if windows.exact or isinstance(separator, Streaming):
            call = live_call(separator)
        else:
            frames = separator.input_frames(separator.window_frames)
            call = functools.partial(separator, noise(frames, separator.channels)[np.newaxis])
        begun = self._clock()
        call()
        return self._clock() - begun


def _window_seconds(separator: Separator) -> float:
    frames = separator.window_frames
    if isinstance(separator, Streaming):
        frames = separator.stride.new_frames(frames)
    return frames / separator.samplerate
