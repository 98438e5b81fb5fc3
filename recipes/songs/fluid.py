"""Notes played by FluidSynth."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import mido
import numpy as np
import soundfile
from songs.album import SAMPLERATE, Generator, Samples
from songs.score import Note, Song

SOUNDFONTS = {
    Path("/usr/share/sounds/sf2/FluidR3_GM.sf2"): 0.45,
    Path("/usr/share/sounds/sf3/MuseScore_General_Full.sf3"): 0.35,
    Path("/usr/share/sounds/sf2/TimGM6mb.sf2"): 0.2,
}
"""How often each sound font of Debian plays; their licences are MIT, MIT and GPL 2."""
TICKS_PER_SECOND = 1000
BEND_RANGE = 12  # semitones
DRUM_CHANNEL = 9
GLIDE_SECONDS = 0.08
GLIDE_EVENTS = 8


@dataclass(frozen=True)
class Sound:
    """Who plays: a sound font, a program of it, on the channel of drums or on another."""

    soundfont: Path
    program: int
    drums: bool = False
    room: float = 0.0
    """How much goes to FluidSynth's own reverb, 0 to 1."""


def draw_soundfont(draw: Generator) -> Path:
    """Draw one of the sound fonts that are installed."""
    there = {font: share for font, share in SOUNDFONTS.items() if font.exists()}
    shares = np.array(list(there.values()))
    return list(there)[int(draw.choice(len(there), p=shares / shares.sum()))]


def play(song: Song, sound: Sound, notes: Sequence[Note], frames: int, late: float) -> Samples:
    """Return the notes ``(frames, 2)``, by a human who is late by so many seconds on average."""
    with tempfile.TemporaryDirectory(prefix="song") as folder:
        midi, wave = Path(folder, "song.mid"), Path(folder, "song.wav")
        mido.MidiFile(tracks=[_track(song, sound, notes, late)], ticks_per_beat=480).save(midi)
        options = {"dynamic-sample-loading": 1, "chorus.active": 0, "midi-bank-select": "gs"}
        command: list[object] = ["fluidsynth", "-ni", "-q", "-r", SAMPLERATE, "-g", "0.5"]
        for name, value in options.items():
            command += ["-o", f"synth.{name}={value}"]
        command += ["-F", wave, sound.soundfont, midi]
        subprocess.run(
            [str(part) for part in command],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        samples: Samples = soundfile.read(wave, frames=frames, fill_value=0.0, dtype="float32")[0]
    return samples


def _track(song: Song, sound: Sound, notes: Sequence[Note], late: float) -> mido.MidiTrack:
    channel = DRUM_CHANNEL if sound.drums else 0
    # 480 ticks in 480 ms: a tick is a millisecond
    track = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=480_000)])
    track.append(mido.Message("program_change", channel=channel, program=sound.program))
    controls = ((101, 0), (100, 0), (6, BEND_RANGE), (91, int(127 * sound.room)), (93, 0))
    for control, value in controls:
        track.append(mido.Message("control_change", channel=channel, control=control, value=value))
    now = 0
    for at, message in sorted(
        (event for note in notes for event in _events(song, note, channel, late)),
        key=lambda event: event[0],
    ):
        track.append(message.copy(time=at - now))
        now = at
    return track


def _events(song: Song, note: Note, channel: int, late: float) -> list[tuple[int, mido.Message]]:
    """Return the messages of a note, with their milliseconds."""
    human = float(song.draw.normal(late, 0.004))
    begin = round(song.when(note.start, human) * TICKS_PER_SECOND)
    length = max(12, round(note.length * song.step_seconds * TICKS_PER_SECOND))
    told = {"channel": channel, "note": note.key}
    events = [
        (begin, mido.Message("note_on", velocity=note.velocity, **told)),
        (begin + length, mido.Message("note_off", **told)),
    ]
    for event in range(GLIDE_EVENTS + 1) if note.slide else ():
        rest = 1 - event / GLIDE_EVENTS
        bend = int(np.clip(note.slide * rest / BEND_RANGE, -1, 1) * 8191)
        at = begin + round(event / GLIDE_EVENTS * GLIDE_SECONDS * TICKS_PER_SECOND)
        events.append((at, mido.Message("pitchwheel", channel=channel, pitch=bend)))
    return sorted(events, key=lambda event: event[0])
