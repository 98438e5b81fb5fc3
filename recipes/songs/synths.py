"""Bass synthesizers: band-limited waves through a filter that closes, note by note."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from songs.album import SAMPLERATE, Generator, Samples
from songs.score import Note, Song

MOST_HARMONICS = 48
GLIDE_SECONDS = 0.09
RELEASE_SECONDS = 0.03


@dataclass(frozen=True)
class Patch:
    """A sound, drawn at random.

    ``wave`` is saw, square, triangle or sine. The filter falls from ``open_hertz`` to ``hertz``
    within ``fall_seconds``. ``detune`` is in cents between two oscillators. ``punch`` is by how
    many semitones a note begins too high, as drum machines' long basses do.
    """

    wave: str
    hertz: float
    open_hertz: float
    fall_seconds: float
    decay_seconds: float
    detune: float
    sub: float
    punch: float
    resonance: float

    @classmethod
    def drawn(cls, draw: Generator) -> Patch:
        """Draw a patch."""
        wave = str(draw.choice(["saw", "saw", "square", "triangle", "sine"]))
        hertz = float(np.exp(draw.uniform(np.log(120), np.log(1800))))
        return cls(
            wave,
            hertz,
            hertz * float(np.exp(draw.uniform(0, 2.3))),
            float(draw.uniform(0.03, 0.4)),
            float(draw.choice([0.25, 0.6, 1.5, 8.0])),
            float(draw.choice([0, 0, 6, 14, 25])),
            float(draw.choice([0, 0, 0.3, 0.7])),
            float(draw.choice([0, 0, 0, 5, 12])) if wave == "sine" else 0.0,
            float(draw.uniform(0, 1.5)),
        )


def play(song: Song, notes: Sequence[Note], frames: int, late: float) -> Samples:
    """Return the notes ``(frames, 2)``, as one voice: a note ends where the next begins."""
    draw = song.draw
    patch = Patch.drawn(draw)
    track = np.zeros(frames, np.float32)
    ordered = sorted(notes, key=lambda note: note.start)
    begins = [
        int(song.when(note.start, late + draw.normal(0, 0.002)) * SAMPLERATE) for note in ordered
    ]
    for note, begin, following in zip(ordered, begins, [*begins[1:], frames], strict=True):
        length = min(int(note.length * song.step_seconds * SAMPLERATE), following - begin)
        if length > 0 and begin < frames:
            sound = _sound(patch, note, length + int(RELEASE_SECONDS * SAMPLERATE))
            sound = sound[: frames - begin]
            track[begin : begin + len(sound)] += sound
    return np.stack([track, track], axis=1)


def _sound(patch: Patch, note: Note, frames: int) -> Samples:
    times = np.arange(frames) / SAMPLERATE
    bend = note.slide * np.maximum(0, 1 - times / GLIDE_SECONDS)
    bend += patch.punch * np.exp(-times / 0.03)
    hertz = 440 * 2 ** ((note.key - 69 + bend) / 12)
    phase = 2 * np.pi * np.cumsum(hertz) / SAMPLERATE
    cutoff = patch.hertz + (patch.open_hertz - patch.hertz) * np.exp(-times / patch.fall_seconds)
    sound = _wave(patch, phase, hertz, cutoff)
    if patch.detune:
        other = phase * 2 ** (patch.detune / 1200)
        sound = 0.6 * (sound + _wave(patch, other, hertz, cutoff))
    if patch.sub:
        sound = sound + patch.sub * np.sin(phase / 2 if note.key > 40 else phase)
    release = int(RELEASE_SECONDS * SAMPLERATE)
    envelope = np.minimum(1, times / 0.004) * np.exp(-times / patch.decay_seconds)
    envelope[-release:] *= np.linspace(1, 0, release)
    return (sound * envelope * (note.velocity / 127) ** 1.5).astype(np.float32)


def _wave(patch: Patch, phase: Samples, hertz: Samples, cutoff: Samples) -> Samples:
    """Sum the harmonics that the filter (12 dB an octave, with a peak) lets through."""
    if patch.wave == "sine":
        return np.sin(phase)
    odd = patch.wave in ("square", "triangle")
    sound = np.zeros_like(phase)
    for number in range(1, MOST_HARMONICS, 2 if odd else 1):
        place = number * hertz / cutoff
        if place.min() > 8 or number * hertz.min() > 0.45 * SAMPLERATE:
            break
        gain = 1 / np.sqrt((1 - place**2) ** 2 + (2 / (1 + patch.resonance) * place) ** 2)
        height = 1 / number**2 if patch.wave == "triangle" else 1 / number
        sound += height * np.minimum(gain, 3) * np.sin(number * phase)
    return sound
