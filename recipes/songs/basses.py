"""Bass lines: each way of playing is a function from a song to its notes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from songs.score import Note, Song

LOWEST, HIGHEST = 26, 55
"""MIDI keys: from a five-string bass's D to the twelfth fret."""
Line = Callable[[Song], Iterator[Note]]


def held(song: Song) -> Iterator[Note]:
    """Hold the root of each bar, or of each half."""
    parts = int(song.draw.choice([1, 1, 2]))
    length = song.steps // parts
    for bar in range(song.bars):
        for part in range(parts):
            yield _note(song, bar, part * length, length * 0.97, 0)


def pulse(song: Song) -> Iterator[Note]:
    """Play the root in eighths, as rock does, with a walk to the next chord."""
    every = song.beat // 2 if song.steps == 16 else song.beat
    short = song.draw.uniform(0.45, 0.98)
    for bar in range(song.bars):
        for step in range(0, song.steps, every):
            leads = step >= song.steps - song.beat and song.draw.random() < 0.25
            degree = int(song.draw.choice([2, 4, 6])) if leads else 0
            accent = 10 if step % song.beat == 0 else 0
            yield _note(song, bar, step, every * short, degree, 88 + accent)


def locked(song: Song) -> Iterator[Note]:
    """Play with the kick; between its strokes come other notes of the chord, and dead ones."""
    draw = song.draw
    between, dead = draw.uniform(0, 0.35), draw.uniform(0, 0.4)
    short = draw.uniform(0.4, 1.0)
    for bar in range(song.bars):
        first = bar * song.steps
        kicks = {int(kick - first) for kick in song.kicks if first <= kick < first + song.steps}
        steps = sorted(kicks | {0} | {s for s in range(song.steps) if draw.random() < between / 2})
        for step, following in zip(steps, [*steps[1:], song.steps], strict=True):
            if step not in kicks and step and draw.random() < dead:
                yield _note(song, bar, step, 0.3, 0, 38)
                continue
            degree = 0 if step in kicks else int(draw.choice([0, 2, 4, 6, 7]))
            yield _note(song, bar, step, max(0.5, (following - step) * short), degree, 96)


def octaves(song: Song) -> Iterator[Note]:
    """Play root and octave in turn, as disco does."""
    every, short = max(1, song.beat // 2), song.draw.uniform(0.4, 0.9)
    for bar in range(song.bars):
        for turn, step in enumerate(range(0, song.steps, every)):
            yield _note(song, bar, step, every * short, 7 * (turn % 2))


def offbeat(song: Song) -> Iterator[Note]:
    """Play between the beats, as house does."""
    half = max(1, song.beat // 2)
    for bar in range(song.bars):
        for step in range(half, song.steps, song.beat):
            degree = 0 if song.draw.random() < 0.85 else 7
            yield _note(song, bar, step, half * 0.95, degree)


def walk(song: Song) -> Iterator[Note]:
    """Walk in quarters: the root, then the chord's notes, then a step beside the next root."""
    for bar in range(song.bars):
        degrees = [0, *song.draw.choice([1, 2, 4, 5, 7], 2), 0]
        for beat, degree in enumerate(degrees):
            note = _note(song, bar, beat * song.beat, song.beat * 0.92, int(degree))
            if beat == 3:
                goal = _key(song, bar + 1, 0)
                note = Note(note.start, note.length, _in_range(goal + 1), note.velocity)
            yield note
            if song.draw.random() < 0.12:
                yield _note(song, bar, (beat + 1) * song.beat - 1, 0.4, int(degree), 50)


def slap(song: Song) -> Iterator[Note]:
    """Slap low notes and pop their octaves, with dead notes between."""
    draw = song.draw
    ways = ("X..oP.o.X.o.P..o", "X.P.o.X.o.P.X.oP", "X.oPo.X...oP.oX.", "X...P..oX.o.P.P.")
    way = ways[draw.integers(len(ways))]
    for bar in range(song.bars):
        for step, char in enumerate(way[: song.steps]):
            if char == "." or draw.random() < 0.07:
                continue
            degree = {"X": 0, "o": 0, "P": 7}[char]
            yield _note(song, bar, step, 0.35 if char == "o" else 0.9, degree, _HARD[char])


def gallop(song: Song) -> Iterator[Note]:
    """Play a long and two short strokes, as metal does."""
    for bar in range(song.bars):
        for step in range(song.steps):
            place = step % song.beat
            if place != 1 or song.steps == 12:
                yield _note(song, bar, step, 1.6 if place == 0 else 0.8, 0, 104 - 12 * (place > 0))


def riff(song: Song) -> Iterator[Note]:
    """Play a figure of two bars over and over, where the chords move it."""
    draw = song.draw
    size = 2 * song.steps
    count = int(draw.integers(4, 11))
    starts = sorted({0, *draw.choice(size, count, replace=False).tolist()})
    degrees = [0, *draw.choice([0, 0, 2, 3, 4, 6, 7], len(starts) - 1)]
    short = draw.uniform(0.5, 1.0)
    lengths = [end - start for start, end in zip(starts, [*starts[1:], size], strict=True)]
    for bar in range(song.bars):
        for start, length, degree in zip(starts, lengths, degrees, strict=True):
            if start // song.steps == bar % 2:
                slide = float(draw.choice([-2, -1, 1, 2])) if draw.random() < 0.1 else 0.0
                note = _note(song, bar, start % song.steps, max(0.5, length * short), int(degree))
                yield Note(note.start, note.length, note.key, note.velocity, slide)


def deep(song: Song) -> Iterator[Note]:
    """Play few long, low notes that glide into one another, as trap and dub do."""
    draw = song.draw
    for bar in range(song.bars):
        starts = sorted({0, *draw.choice(song.steps, int(draw.integers(1, 4))).tolist()})
        for start, end in zip(starts, [*starts[1:], song.steps], strict=True):
            note = _note(song, bar, start, (end - start) * 0.95, int(draw.choice([0, 0, 0, 4, 7])))
            slide = float(draw.choice([-12, -5, 5, 7])) if draw.random() < 0.2 else 0.0
            yield Note(note.start, note.length, note.key, note.velocity, slide)


_HARD = {"X": 110, "P": 118, "o": 40}


def _key(song: Song, bar: int, degree: int) -> int:
    return _in_range(song.key(2, song.chord(bar))) + song.key(2, degree) - song.key(2, 0)


def _in_range(key: int) -> int:
    while key > LOWEST + 11:
        key -= 12
    return key + 12 if key < LOWEST else key


def _note(song: Song, bar: int, step: float, length: float, degree: int, hard: float = 92) -> Note:
    """Return a note of the chord: a degree above its root."""
    root = song.chord(bar)
    key = _in_range(song.key(2, root)) + song.key(2, root + degree) - song.key(2, root)
    while key > HIGHEST:
        key -= 12
    return Note(bar * song.steps + step, length, key, song.velocity(hard))


@dataclass(frozen=True)
class Player:
    """Sounds (General MIDI programs; none for a synthesizer of `songs.synths`), and lines."""

    programs: tuple[int, ...]
    lines: tuple[Line, ...]
    driven: float = 0.0
    """How often the sound goes through an overdriven amplifier."""


PLAYERS = {
    "fingered": Player((33, 33, 35), (locked, pulse, riff, walk, held, octaves), 0.15),
    "picked": Player((34,), (pulse, riff, gallop, locked, octaves), 0.5),
    "slapped": Player((36, 37), (slap, locked, octaves), 0.1),
    "upright": Player((32,), (walk, held, riff, locked)),
    "synth": Player((38, 39), (octaves, offbeat, pulse, locked, riff), 0.2),
    "own synth": Player((), (offbeat, octaves, deep, held, pulse, riff, locked), 0.25),
}
FITTING = {
    "rock": ("picked", "fingered"),
    "ballad": ("fingered", "upright", "picked"),
    "funk": ("slapped", "fingered", "synth"),
    "house": ("own synth", "synth"),
    "break": ("own synth", "fingered", "synth"),
    "half": ("own synth",),
    "hiphop": ("own synth", "upright", "fingered"),
    "shuffle": ("fingered", "upright", "picked"),
    "slow three": ("fingered", "upright"),
    "latin": ("fingered", "upright"),
    "disco": ("fingered", "slapped", "synth", "picked"),
    "reggae": ("fingered", "own synth"),
    "punk": ("picked",),
    "metal": ("picked",),
    "electro": ("own synth", "synth"),
    "hands": ("fingered", "upright"),
}


def choose(song: Song) -> tuple[Player, Line]:
    """Return who plays the bass of a song, and how: mostly as its style has it."""
    draw = song.draw
    names = FITTING[song.style] if draw.random() < 0.75 else tuple(PLAYERS)
    player = PLAYERS[str(draw.choice(np.array(names)))]
    return player, player.lines[draw.integers(len(player.lines))]
