"""What all instruments of a song keep to, and the notes that they play."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from songs.album import Generator
from songs.drummer import BARS_OF_A_PART, Stroke, perform
from songs.grooves import GROOVES

PROGRESSIONS = (
    (0, 5, 3, 4),
    (0, 4, 5, 3),
    (5, 3, 0, 4),
    (0, 3, 4, 3),
    (0, 3),
    (0,),
    (1, 4, 0, 0),
    (0, 6, 5, 4),
    (0, 2, 3, 4),
    (0, 6, 3, 0),
    (0, 0, 3, 3, 0, 0, 4, 0),
    (5, 4, 3, 4),
    (3, 4, 2, 5),
)
SCALES = (
    (0, 2, 4, 5, 7, 9, 11),
    (0, 2, 3, 5, 7, 8, 10),
    (0, 2, 3, 5, 7, 9, 10),
    (0, 2, 4, 5, 7, 9, 10),
)
DRUM_VOICES = frozenset(voice for groove in GROOVES.values() for voice in groove.voices) | {
    "crash",
    "ride",
    "pedal",
    "high tom",
    "middle tom",
    "low tom",
}


@dataclass(frozen=True)
class Note:
    """Start and length in steps, a MIDI key, a velocity; it slides up or down from ``slide``."""

    start: float
    length: float
    key: int
    velocity: int
    slide: float = 0.0
    """Semitones from where the note comes; 0 for none."""


class Song:
    """Key, tempo, harmony, parts, and what the drummer plays: all others listen to that."""

    def __init__(self, draw: Generator, seconds: float) -> None:
        self.draw = draw
        self.style = str(draw.choice(list(GROOVES)))
        self.groove = GROOVES[self.style]
        self.steps = len(next(iter(self.groove.voices.values()))[0])
        """Of a bar: 16, or 12 where each beat is in three."""
        self.step_seconds = 240 / draw.uniform(*self.groove.tempo) / self.steps
        self.swing = draw.uniform(0, self.groove.swing) if self.steps == 16 else 0.0
        self.bars = int(np.ceil(seconds / (self.step_seconds * self.steps)))
        self._root = int(draw.integers(12))
        self._scale = SCALES[draw.integers(len(SCALES))]
        self._progression = PROGRESSIONS[draw.integers(len(PROGRESSIONS))]
        self.strokes: list[Stroke] = sorted(perform(draw, self.groove, self.bars, set(DRUM_VOICES)))
        self.kicks = sorted({step for step, voice, _ in self.strokes if voice in ("kick", "low")})

    @property
    def beat(self) -> int:
        """Steps of a beat."""
        return self.steps // 4

    def key(self, octave: int, degree: int) -> int:
        """Return the key of a degree of the scale."""
        octaves, step = divmod(degree, len(self._scale))
        return 12 * (octave + octaves) + self._root + self._scale[step]

    def chord(self, bar: int) -> int:
        """Return the degree that the chord of a bar stands on."""
        return self._progression[bar % len(self._progression)]

    def velocity(self, mean: float = 92) -> int:
        """Return how hard the next note is struck."""
        return int(np.clip(self.draw.normal(mean, 11), 20, 127))

    def parts(self, resting: float, first_resting: float) -> list[bool]:
        """Return for each bar whether an instrument plays: it rests in some parts of the song."""
        chances = [first_resting, *[resting] * (self.bars // BARS_OF_A_PART + 1)]
        plays = [self.draw.random() >= chance for chance in chances]
        plays[1] = True
        return [plays[bar // BARS_OF_A_PART] for bar in range(self.bars)]

    def when(self, step: float, late_seconds: float) -> float:
        """Return the second at which a note of a step sounds, if a player is late by so much."""
        swung = step + (self.swing if int(step) % 2 else 0.0)
        return max(0.0, swung * self.step_seconds + late_seconds)
