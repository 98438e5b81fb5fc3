"""Songs that nobody wrote: drums, bass and other, to learn from beside real music.

Random arrangements over common chord progressions, in the styles of `songs.grooves`. A drummer
plays first. The bass listens to the kick. FluidSynth plays with the General MIDI sound fonts of
Debian (``apt install fluidsynth fluid-soundfont-gm musescore-general-soundfont
timgm6mb-soundfont``; MIT, MIT, GPL 2). Part of the basses are synthesizers of ours. Stems go
through amplifiers, compressors and rooms.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from songs import backing, basses, fluid, rigs, synths
from songs.album import SAMPLERATE, Samples, at_level, draw_level, write_song
from songs.drums import mixed
from songs.score import Note, Song

DRUM_KITS = (0, 0, 8, 16, 24, 25, 32, 40)
MACHINES = (24, 25)
KEYS = {
    "kick": (35, 36),
    "snare": (38, 40),
    "rim": (37,),
    "clap": (39,),
    "hat": (42,),
    "pedal": (44,),
    "open": (46,),
    "crash": (49, 57),
    "ride": (51, 59),
    "bell": (53,),
    "low tom": (41, 43),
    "middle tom": (45, 47),
    "high tom": (48, 50),
    "cowbell": (56,),
    "tambourine": (54,),
    "shaker": (70, 82),
    "high": (60, 62, 63),
    "low": (61, 64),
}
"""Of General MIDI, for each voice of a groove."""
GENTLE = {
    **dict.fromkeys(("hat", "open", "pedal", "shaker", "tambourine"), 0.55),
    **dict.fromkeys(("ride", "bell", "crash", "cowbell", "rim", "clap"), 0.7),
}
"""How hard a voice is struck beside kick and snare: sound fonts have loud cymbals."""


def make(folder: Path, songs: int, seconds: float, seed: int) -> None:
    """Render songs on all cores; those that are there stay."""
    with ProcessPoolExecutor() as pool:
        list(pool.map(partial(_make_one, folder, seconds, seed), range(songs)))


def _make_one(folder: Path, seconds: float, seed: int, number: int) -> None:
    place = folder / f"rendered-{number:03}"
    if not place.exists():
        song = Song(np.random.default_rng([seed, number]), seconds)
        write_song(place, render(song, int(seconds * SAMPLERATE)))


def render(song: Song, frames: int) -> dict[str, Samples]:
    """Return the stems of a song, ``(frames, 2)`` each."""
    stems = {"drums": _drums(song, frames), "bass": _bass(song, frames)}
    stems["other"] = _other(song, frames)
    return {stem: at_level(samples, draw_level(song.draw)) for stem, samples in stems.items()}


def _drums(song: Song, frames: int) -> Samples:
    draw = song.draw
    keys = {voice: int(draw.choice(choices)) for voice, choices in KEYS.items()}
    kits = MACHINES if song.groove.machine and draw.random() < 0.6 else DRUM_KITS
    notes = [
        Note(step, 1, keys[voice], int(127 * velocity * GENTLE.get(voice, 1)))
        for step, voice, velocity in song.strokes
    ]
    sound = fluid.Sound(fluid.draw_soundfont(draw), int(draw.choice(kits)), drums=True)
    return mixed(fluid.play(song, sound, notes, frames, 0.0), draw)


def _bass(song: Song, frames: int) -> Samples:
    draw = song.draw
    player, line = basses.choose(song)
    notes = _without_rests(song, list(line(song)), song.parts(0.08, 0.25))
    late = draw.normal(0.003, 0.004)
    if player.programs:
        sound = fluid.Sound(fluid.draw_soundfont(draw), int(draw.choice(player.programs)))
        samples = fluid.play(song, sound, notes, frames, late)
    else:
        samples = synths.play(song, notes, frames, late)
    return rigs.bass_rig(samples, draw, player.driven)


def _other(song: Song, frames: int) -> Samples:
    draw = song.draw
    mix = np.zeros((frames, 2))
    for player in backing.choose(song):
        line = player.lines[draw.integers(len(player.lines))]
        notes = list(line(song, int(draw.choice(player.octaves))))
        notes = _without_rests(song, notes, song.parts(0.2, 0.25))
        program = int(draw.choice(player.programs))
        font = fluid.draw_soundfont(draw)
        room = 0.0 if player.effect == "amplifier" else draw.uniform(0, 0.6)
        sound = fluid.Sound(font, program, room=room)
        wide = draw.uniform(0.6, 1.0) if player.takes == 2 else draw.uniform(-0.9, 0.9)
        for take in range(player.takes):
            samples = fluid.play(song, sound, notes, frames, draw.normal(0.004, 0.004))
            samples = _effect(song, player.effect, samples)
            mix += _at_place(at_level(samples, 1.0), -wide if take else wide) * 10 ** (
                draw.normal(0, 3) / 20
            )
    return rigs.desk(mix, draw)


def _effect(song: Song, effect: str, samples: Samples) -> Samples:
    if effect == "amplifier":
        return rigs.amplifier(samples, song.draw, 6, 36)
    if effect == "chorus" and song.draw.random() < 0.4:
        return rigs.chorus(samples, song.draw)
    return samples


def _without_rests(song: Song, notes: list[Note], plays: list[bool]) -> list[Note]:
    """Return the notes of the bars in which an instrument plays."""
    return [note for note in notes if plays[min(int(note.start) // song.steps, song.bars - 1)]]


def _at_place(samples: Samples, pan: float) -> Samples:
    return samples * np.array([1 - max(pan, 0), 1 + min(pan, 0)])
