"""The backends that can run a model here, and the fastest: measured once, then remembered.

::

    torch     float32             the reference
    torch     bfloat16, float16   products with half the bits (`quantized`)
    openvino  float32, bfloat16   HTDemucs and the causal network on a CPU; an extra
    native    float32             the causal network on a CPU: this project's own code
"""

from __future__ import annotations

import contextlib
import functools
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final

import numpy as np

from streamer.cache import JsonStore, cache_folder, machine
from streamer.errors import ModelError, SettingsError
from streamer.models.backends.openvino_library import has_openvino, openvino_missing
from streamer.models.calibration import live_call, noise
from streamer.models.separator import Separator, Streaming, WindowKind
from streamer.settings import Library, Precision

LAYOUT: Final = 2
MOST_ROUNDS: Final = 10
"""The most windows to time on each, in turn. The best one counts: other load only adds."""
ENOUGH_SECONDS: Final = 4.0
"""After this time in all no further round begins."""
NOT_WORTH_IT: Final = 0.01
"""If a backend takes less than this share of real time, no other is tried: a graph takes
seconds to make."""

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
"""Those of a CPU, of which `fastest` chooses."""


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


class Choices:
    """The fastest backend for each task; kept on disk for the next run."""

    def __init__(self, store: JsonStore | None = None, clock: Clock = time.perf_counter) -> None:
        self._store = store or JsonStore(cache_folder("backends"), LAYOUT)
        self._clock = clock

    def known(self, subject: Mapping[str, Any], backends: Sequence[Backend]) -> Backend | None:
        """Return the fastest backend, if these were measured before."""
        name = self._store.read(_identity(subject, backends)).get("fastest")
        return next((one for one in backends if one.name == name), None)

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
        if windows.exact:
            # a live run brings a hop at a time: native is the quickest at that, and alone needs no
            # Python; over a window of many hops torch may be the faster one
            for one in (backend for backend in backends if backend.library == "native"):
                with contextlib.suppress(ModelError):  # it knows one kind of network
                    spent = self._time(make(one), windows)
                    self._keep(subject, backends, one, {one: spent})
                    return one
        _LOG.info("what runs the model fastest here is measured, once")
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
        while len(best) > 1 and took < ENOUGH_SECONDS and rounds < MOST_ROUNDS:
            seconds = {one: self._time(separators[one], windows) for one in best}
            best = {one: min(best[one], seconds[one]) for one in best}
            took, rounds = took + sum(seconds.values()), rounds + 1
        fastest = min(best, key=best.__getitem__)
        self._keep(subject, backends, fastest, best)
        return fastest

    def _keep(
        self,
        subject: Mapping[str, Any],
        backends: Sequence[Backend],
        fastest: Backend,
        seconds: Mapping[Backend, float],
    ) -> None:
        told = {one.name: round(took, 4) for one, took in seconds.items()}
        identity = _identity(subject, backends)
        self._store.write(identity, {"fastest": fastest.name, "window_seconds": told})

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


def _identity(subject: Mapping[str, Any], backends: Sequence[Backend]) -> dict[str, Any]:
    # the code of native is this project's; Numba makes it run
    libraries = sorted({"numba" if o.library == "native" else o.library for o in backends})
    return {
        "machine": machine(),
        "subject": dict(subject),
        "backends": [one.name for one in backends],
        "versions": [version(library) for library in libraries],
    }
