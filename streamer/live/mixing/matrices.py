"""The matrices of gains that a playback callback applies, from the values of a mix: pure."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from streamer.audio import Samples
from streamer.live.mixing.levels import MAX_DB, balance, linear
from streamer.live.mixing.routes import Route, minus_stem
from streamer.live.mixing.state import Listener, MixState


class Matrices(NamedTuple):
    """The gains of a playback port: ``(2 * stems + 2, outputs)`` and ``(2, outputs)``, float32.

    The rows of ``gains`` are stem 0 left, stem 0 right, ..., mix left, mix right. ``dry_gains`` are
    added for the mix wherever stems are missing.
    """

    gains: Samples
    dry_gains: Samples


def matrices(state: MixState, port: str, outputs: int) -> Matrices:
    """Return the gains of one output of ``outputs`` channels."""
    stems = list(state.stems)
    gains = np.zeros((2 * len(stems) + 2, outputs))
    by_shape: dict[tuple[int, ...], npt.NDArray[np.float64]] = {}
    minus = np.zeros((2, outputs))
    routed = np.zeros((2, outputs))
    has_mix = np.zeros(outputs, bool)
    for route in state.routes:
        if route.port != port:
            continue
        listener = state.listeners.get(route.listener)
        cells = _cells(route, outputs) * linear(state.master_db) * linear(route.gain_db)
        if listener is not None:
            cells *= linear(listener.gain_db)
        routed = _louder(routed, cells)
        if route.source in stems:
            alike = by_shape.setdefault(route.channels, np.zeros_like(gains))
            sides = _sides(state, route.source, listener)
            alike[_rows(stems, route.source)] += cells * sides[:, None]
            continue
        has_mix[[channel - 1 for channel in route.channels]] = True
        gains[-2:] += cells
        left_out = minus_stem(route.source, stems)
        if left_out is not None:
            gains[_rows(stems, left_out)] -= cells
            minus += cells
    gains += sum(by_shape.values())
    if state.dry:
        # no control of a stem counts; if a channel has several routes, the loudest one counts
        gains = np.concatenate([np.zeros_like(gains[:-2]), routed])
        dry = np.zeros_like(routed)
    elif state.fallback == "silence":
        # without its stem a mix-STEM cannot be made: it goes silent too, its own gain is taken back
        dry = 0 - minus
    else:
        # the loudest stem's gain stands in for all; where the mix plays anyway, nothing is missing
        loudest = [one[:-2].reshape(len(stems), 2, outputs).max(0) for one in by_shape.values()]
        dry = np.where(has_mix, 0, reduce(_louder, loudest, np.zeros_like(routed)))
    return Matrices(gains.astype(np.float32), dry.astype(np.float32))


def _louder(
    one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return for each output the louder of two mixes ``(2, outputs)``: not the sides of both."""
    return np.where(other.max(0) > one.max(0), other, one)


def _sides(state: MixState, stem: str, listener: Listener | None) -> npt.NDArray[np.float64]:
    """Return the factors ``(2,)`` of a stem's left and right: the listener's own, or the desk's."""
    if listener is None:
        controls = state.stems[stem]
        return linear(controls.gain_db) * state.heard(stem) * balance(controls.pan)
    send = listener.stems[stem]
    gain = linear(send.gain_db) * (not send.mute)
    if stem == listener.me:
        gain = min(gain * linear(listener.more_db), linear(MAX_DB))
    return np.full(2, gain)


def _cells(route: Route, outputs: int) -> npt.NDArray[np.float64]:
    """Return the factors of a route's left and right on each output: ``(2, outputs)``."""
    cells = np.zeros((2, outputs))
    if len(route.channels) == 1:
        cells[:, route.channels[0] - 1] = 0.5
    else:
        cells[[0, 1], [channel - 1 for channel in route.channels]] = 1.0
    return cells


def _rows(stems: Sequence[str], stem: str) -> slice:
    first = 2 * stems.index(stem)
    return slice(first, first + 2)
