"""The delay of a cable: how many frames later a played sound is in the recording.

::

    played = burst_train(samplerate)
    ...                                          # play it, record what comes back
    delay = find_delay(played, recorded, samplerate)
    delay.frames, delay.confidence

The played signal is cut into pieces of a tenth of a second. Cross-correlation finds each piece in
the whole recording. The pieces then vote: the delay is the middle one of the largest group that
agrees. A lost or masked piece has only its one wrong vote. Pieces agree by chance once in thousands
of times. So agreement is certainty, whatever the gain, the polarity and the frequency response.

Between frames a windowed sinc interpolates the correlation, which is as band-limited as the sound
(Smith, "Digital Audio Resampling Home Page", CCRMA).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from streamer.audio import Samples
from streamer.errors import DeviceError

BURSTS: Final = 12
BURST_SECONDS: Final = 0.1
FADE_SECONDS: Final = 0.002
PAUSES_SECONDS: Final = (0.1, 0.2)
PEAK: Final = 0.25

PIECE_SECONDS: Final = BURST_SECONDS
MOST_PIECES: Final = 16
RUMBLE_HZ: Final = 120.0
"""Lower frequencies are left out: hum and offset come from the room, not from us."""
TOP: Final = 0.45
"""Frequencies above this share of the rate are left out: the sinc interpolates them badly."""
LEAST_CORRELATION: Final = 0.03
"""A piece with a lower correlation at its best place is not there: under noise that is 20 dB louder
it would still be 0.1."""
AGREE_SECONDS: Final = 0.001
"""How far apart agreeing pieces may be: over the train, two clocks 300 ppm apart make 0.9 ms; a
block that is lost or played twice makes more."""
LEAST_VOTES: Final = 3
LEAST_CONFIDENCE: Final = 0.25
SILENCE: Final = 1e-4
TAPS: Final = 32
STEPS: Final = 64

Signal: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LoopbackDelay:
    """The result: ``recorded[n + frames]`` is ``gain * played[n]`` plus other sound.

    ``exact_frames`` is the same between frames. ``confidence`` is the share of the pieces that
    agree, ``spread_frames`` how far apart these are: more than a frame means two clocks that drift,
    or a delay that changes. ``gain`` is linear; ``inverted`` tells its sign.
    """

    frames: int
    exact_frames: float
    confidence: float
    spread_frames: float
    gain: float
    inverted: bool


@dataclass(frozen=True, slots=True)
class _Vote:
    """Where one piece of the played signal was found, and how large; the sign is the polarity."""

    frames: float
    gain: float


def burst_train(samplerate: int, *, bursts: int = BURSTS, seed: int = 0) -> Samples:
    """Return different bursts of white noise at uneven distances: ``(frames,)``, peak 0.25.

    The same numbers give the same signal. It begins at once and ends with the last burst.
    """
    draw = np.random.default_rng(seed)
    frames = round(BURST_SECONDS * samplerate)
    fade = np.sin(np.linspace(0, math.pi / 2, round(FADE_SECONDS * samplerate) + 1)[:-1]) ** 2
    parts = []
    for burst in range(bursts):
        pause_seconds = draw.uniform(*PAUSES_SECONDS) if burst else 0.0
        noise = draw.uniform(-PEAK, PEAK, frames)
        noise[: len(fade)] *= fade
        noise[frames - len(fade) :] *= fade[::-1]
        parts += [np.zeros(round(pause_seconds * samplerate)), noise]
    return np.concatenate(parts).astype(np.float32)


def find_delay(played: Samples, recorded: Samples, samplerate: int) -> LoopbackDelay:
    """Return by how much ``recorded`` lags ``played``, both ``(frames,)``, one channel each.

    The recording begins with the playing, or earlier, and goes on for at least the delay after its
    end. A piece outside of the recording is lost. ``played`` is from `burst_train`, or any sound
    that never repeats itself.

    Raises:
        DeviceError: nothing was recorded, or something else.
    """
    recorded = np.nan_to_num(recorded, posinf=0.0, neginf=0.0)
    peak = float(np.abs(recorded).max(initial=0))
    if peak < SILENCE:
        raise DeviceError(
            f"nothing came back in {len(recorded) / samplerate:.1f} s of recording; connect the "
            "output to the input by a cable or a monitor source, and turn the input up"
        )
    votes = list(_votes(played, recorded, samplerate))
    group = _largest_group(votes, AGREE_SECONDS * samplerate)
    confidence = len(group) / len(votes)
    if len(group) < LEAST_VOTES or confidence < LEAST_CONFIDENCE:
        raise DeviceError(
            f"the test signal was not found in {len(recorded) / samplerate:.1f} s of recording "
            f"(peak {20 * math.log10(peak):.0f} dBFS); check that the input hears the output and "
            "little else, or record for longer"
        )
    exact = float(np.median([vote.frames for vote in group]))
    gain = float(np.median([vote.gain for vote in group]))
    return LoopbackDelay(
        frames=round(exact),
        exact_frames=exact,
        confidence=confidence,
        spread_frames=group[-1].frames - group[0].frames,
        gain=gain,
        inverted=gain < 0,
    )


def _votes(played: Samples, recorded: Samples, samplerate: int) -> Iterator[_Vote | None]:
    """Yield the best place of each piece, in either polarity, or None if it was lost."""
    frames = round(PIECE_SECONDS * samplerate)
    size = 1 << (len(recorded) + frames - 1).bit_length()
    hz = np.fft.rfftfreq(size, 1 / samplerate)
    spectrum = np.fft.rfft(recorded.astype(np.float64), size)
    spectrum *= (hz >= RUMBLE_HZ) & (hz <= TOP * samplerate)
    energy_before = np.concatenate([[0.0], np.square(np.fft.irfft(spectrum, size)).cumsum()])
    for start in _piece_starts(played, frames):
        piece = np.fft.rfft(played[start : start + frames].astype(np.float64), size)
        correlation = np.fft.irfft(spectrum * piece.conj(), size)
        # before `start` nothing of the piece can have come back
        reach = np.abs(correlation[start : len(recorded)])
        if not len(reach):
            yield None
            continue
        found = start + int(reach.argmax())
        peak, height = _refine(correlation, found)
        energy = 2 * float(np.square(np.abs(piece[spectrum != 0])).sum()) / size
        there = energy_before[min(found + frames, size)] - energy_before[found]
        alike = abs(height) >= LEAST_CORRELATION * math.sqrt(energy * there) > 0
        yield _Vote(peak - start, height / energy) if alike else None


def _piece_starts(played: Samples, frames: int) -> list[int]:
    """Return where the pieces of the played signal begin: those with the most sound, in order."""
    whole = len(played) // frames
    assert whole >= LEAST_VOTES, f"{len(played)} frames are too few to find a delay by"
    energies = np.square(played[: whole * frames], dtype=np.float64).reshape(whole, frames).sum(1)
    loudest = np.argsort(energies, kind="stable")[::-1][:MOST_PIECES]
    kept = loudest[energies[loudest] > energies.max() / 4]
    return [int(index) * frames for index in np.sort(kept)]


def _refine(correlation: Signal, peak: int) -> tuple[float, float]:
    """Return where between frames the extreme near ``peak`` lies, and its value there."""
    near = np.take(correlation, np.arange(peak - TAPS, peak + TAPS + 1), mode="wrap")
    sign = math.copysign(1.0, correlation[peak])
    offsets = np.arange(-STEPS, STEPS + 1) / STEPS
    distance = offsets[:, None] - np.arange(-TAPS, TAPS + 1)
    window = np.cos(math.pi / 2 * np.clip(distance / (TAPS + 1), -1, 1)) ** 2
    fine = sign * ((np.sinc(distance) * window) @ near)
    best = int(fine.argmax())
    bend = 0.0
    if 0 < best < len(fine) - 1:
        left, middle, right = fine[best - 1 : best + 2].tolist()
        curve = left - 2 * middle + right
        bend = (left - right) / (2 * curve) if curve else 0.0
    return peak + float(offsets[best]) + bend / STEPS, sign * float(fine[best])


def _largest_group(votes: list[_Vote | None], within_frames: float) -> list[_Vote]:
    """Return the largest group of votes within this many frames, in order."""
    ordered = sorted((vote for vote in votes if vote), key=lambda vote: vote.frames)
    best: list[_Vote] = []
    first = 0
    for last in range(len(ordered)):
        while ordered[last].frames - ordered[first].frames > within_frames:
            first += 1
        if last + 1 - first > len(best):
            best = ordered[first : last + 1]
    return best
