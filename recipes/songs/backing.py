"""All that is neither drums nor bass: chords, guitars and melodies, each a function to notes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from songs.score import Note, Song

Line = Callable[[Song, int], Iterator[Note]]
"""From a song and an octave to notes."""

VOICINGS = (
    (0, 2, 4),
    (0, 2, 4, 6),
    (0, 4, 9),
    (-3, 0, 2),
    (2, 4, 7),
    (0, 2, 4, 8),
    (-7, 0, 2, 4),
    (-7, -3, 2, 6),
    (-7, 2, 4),
)


def pad(song: Song, octave: int) -> Iterator[Note]:
    """Hold chords for a bar."""
    voicing = VOICINGS[song.draw.integers(len(VOICINGS))]
    for bar in range(song.bars):
        for degree in voicing:
            yield _note(song, bar, 0, song.steps * 0.98, octave, degree, 78)


def comp(song: Song, octave: int) -> Iterator[Note]:
    """Play chords in a rhythm of the song, as a pianist's hand does."""
    draw = song.draw
    voicing = VOICINGS[draw.integers(len(VOICINGS))]
    starts = sorted({0, *draw.choice(song.steps, int(draw.integers(1, 5)), replace=False)})
    if draw.random() < 0.3:
        starts = list(range(0, song.steps, song.beat))
    short = draw.uniform(0.3, 1.0)
    for bar in range(song.bars):
        for start, end in zip(starts, [*starts[1:], song.steps], strict=True):
            if draw.random() < 0.07:
                continue
            for degree in voicing:
                length = max(0.6, (end - start) * short)
                yield _note(song, bar, float(start), length, octave, degree)


def stabs(song: Song, octave: int) -> Iterator[Note]:
    """Play short chords, now and then, as a horn section does."""
    draw = song.draw
    starts = sorted(draw.choice(song.steps, int(draw.integers(1, 4)), replace=False).tolist())
    for bar in range(song.bars):
        if draw.random() < 0.35:
            continue
        for start in starts:
            for degree in (0, 2, 4):
                yield _note(song, bar, start, draw.uniform(0.6, 1.6), octave, degree, 104)


def arpeggio(song: Song, octave: int) -> Iterator[Note]:
    """Play the notes of each chord one after the other."""
    draw = song.draw
    order = (0, 2, 4, 7, 4, 2) if draw.random() < 0.5 else (0, 4, 7, 9, 7, 4, 2, 4)
    every = int(draw.choice([1, 2])) if song.steps == 16 else 1
    rings = draw.uniform(0.6, 4.0)
    for bar in range(song.bars):
        for turn, step in enumerate(range(0, song.steps, every)):
            degree = order[turn % len(order)]
            yield _note(song, bar, step, every * rings, octave, degree, 84)


def strum(song: Song, octave: int) -> Iterator[Note]:
    """Strum: the strings of a chord some milliseconds apart, down and up."""
    draw = song.draw
    ways = ("D...D.U.D...D.U.", "D.DU.UDUD.DU.UDU", "D.D.D.D.D.D.D.D.", "..D...D...D...D.")
    way = ways[draw.integers(len(ways))]
    apart = draw.uniform(0.004, 0.018) / song.step_seconds
    for bar in range(song.bars):
        for step, char in enumerate(way[: song.steps]):
            if char == "." or draw.random() < 0.05:
                continue
            strings = (0, 4, 7, 9, 11) if char == "D" else (11, 9, 7)
            length = draw.uniform(1.2, 3.0)
            for turn, degree in enumerate(strings):
                yield _note(song, bar, step + turn * apart, length, octave, degree, 86)


def power(song: Song, octave: int) -> Iterator[Note]:
    """Play fifths: short ones with the palm on the strings, and long ones where chords change."""
    draw = song.draw
    muted = draw.uniform(0, 1)
    every = 2 if song.steps == 16 else 1
    accents = set(song.draw.choice(song.steps, 4, replace=False).tolist()) | {0}
    for bar in range(song.bars):
        for step in range(0, song.steps, every):
            rings = step in accents or draw.random() > muted
            for fifth in (0, 4, 7) if rings else (0, 4):
                length = every * (0.98 if rings else 0.4)
                yield _note(song, bar, step, length, octave, fifth, 100 if rings else 76)


def melody(song: Song, octave: int) -> Iterator[Note]:
    """Walk up and down the scale, in phrases."""
    draw = song.draw
    degree = 0
    for bar in range(song.bars):
        start = float(draw.choice([0, 0, 2, song.beat]))
        while start < song.steps:
            length = float(draw.choice([1, 2, 2, 4, 6]))
            degree = int(np.clip(degree + draw.integers(-2, 3), -4, 9))
            if draw.random() < 0.75:
                note = _note(song, bar, start, length * draw.uniform(0.6, 1), octave, degree)
                slide = float(draw.choice([-2, -1])) if draw.random() < 0.06 else 0.0
                yield Note(note.start, note.length, note.key, note.velocity, slide)
            start += length


def _note(
    song: Song,
    bar: int,
    step: float,
    length: float,
    octave: int,
    degree: int,
    hard: float = 90,
) -> Note:
    key = song.key(octave, song.chord(bar) + degree)
    return Note(bar * song.steps + step, length, min(key, 108), song.velocity(hard))


@dataclass(frozen=True)
class Player:
    """Sounds (General MIDI programs), the octaves they play in, lines, and what is done to them.

    ``takes`` is how often the line is played: two takes stand left and right.
    """

    programs: tuple[int, ...]
    octaves: tuple[int, ...]
    lines: tuple[Line, ...]
    effect: str = ""
    takes: int = 1


PLAYERS = {
    "piano": Player((0, 1, 2, 3), (3, 4, 5), (comp, comp, arpeggio, pad)),
    "electric piano": Player((4, 5, 7), (3, 4, 5), (comp, arpeggio, pad), "chorus"),
    "mallets": Player((8, 9, 10, 11, 12, 13, 14), (5, 6), (melody, arpeggio)),
    "organ": Player((16, 17, 18, 19, 20), (3, 4, 5), (pad, comp, melody), "chorus"),
    "accordion": Player((21, 22, 23), (5,), (comp, melody, pad)),
    "acoustic guitar": Player((24, 25), (3, 3, 4), (strum, arpeggio, comp), "", 2),
    "clean guitar": Player((26, 27, 28), (3, 4), (strum, arpeggio, comp), "chorus"),
    "power guitar": Player((27, 28, 30), (3,), (power,), "amplifier", 2),
    "lead guitar": Player((27, 29, 30), (4, 5), (melody,), "amplifier"),
    "strings": Player((40, 41, 42, 44, 45, 46, 48, 49, 50, 51), (3, 4, 5), (pad, melody, stabs)),
    "brass": Player((56, 57, 59, 60, 61, 62, 63), (3, 4, 5), (stabs, melody, pad)),
    "reeds": Player((64, 65, 66, 68, 69, 71), (5,), (melody,)),
    "pipes": Player((72, 73, 75, 79), (5, 6), (melody,)),
    "synth lead": Player((80, 81, 82, 83, 84, 86), (5, 6), (melody, arpeggio)),
    "synth chords": Player((81, 90, 62, 63), (3, 4, 5), (comp, stabs, arpeggio), "chorus"),
    "synth pad": Player((88, 89, 90, 92, 93, 94, 95), (3, 4, 5), (pad,)),
    "plucked": Player((15, 104, 105, 106, 107, 108), (4, 5), (melody, arpeggio)),
}
"""Left out is what may pass for a voice (choirs), a bass (tuba, contrabass) or a drum (timpani)."""
FITTING = {
    "rock": ("power guitar", "lead guitar", "clean guitar", "organ"),
    "ballad": ("piano", "strings", "acoustic guitar", "electric piano"),
    "funk": ("clean guitar", "brass", "electric piano", "organ"),
    "house": ("synth chords", "synth pad", "synth lead", "piano"),
    "punk": ("power guitar", "power guitar", "lead guitar"),
    "metal": ("power guitar", "power guitar", "lead guitar"),
    "latin": ("piano", "brass", "acoustic guitar", "pipes"),
    "disco": ("strings", "clean guitar", "electric piano", "brass"),
    "reggae": ("clean guitar", "organ", "brass"),
    "electro": ("synth chords", "synth lead", "synth pad"),
}


def choose(song: Song) -> list[Player]:
    """Return who plays in a song: one to four, mostly as its style has it."""
    draw = song.draw
    names = []
    for _ in range(int(draw.integers(1, 5))):
        fitting = FITTING.get(song.style, ())
        usual = fitting and draw.random() < 0.6
        names.append(str(draw.choice(np.array(fitting if usual else tuple(PLAYERS)))))
    return [PLAYERS[name] for name in dict.fromkeys(names)]
