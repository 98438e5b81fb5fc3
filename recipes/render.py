"""Render songs that nobody wrote: drums, bass and other, to learn from beside real music.

python recipes/render.py FOLDER [--songs 80] [--seconds 24] [--seed 0]

Random arrangements over common chord progressions, played by FluidSynth with a General MIDI
soundfont (Debian: ``apt install fluidsynth fluid-soundfont-gm``; ``pip install mido``). Each song
is a folder with ``drums.flac``, ``bass.flac`` and ``other.flac`` of equal length, 44.1 kHz stereo.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import mido
import numpy as np
import soundfile

SAMPLERATE = 44100
TICKS = 480  # of a quarter
STEPS = 16  # of a bar of four quarters
SOUNDFONT = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")
DRUM_CHANNEL = 9
DRUM_KITS = (0, 8, 16, 24, 25, 32, 40)
KICKS = (
    "x.......x.......",
    "x.....x.x.......",
    "x...x...x...x...",
    "x..x......x..x..",
    "x.x.......x...x.",
)
SNARES = ("....x.......x...", "....x.......x..x", "........x.......", "....x..x.x..x...")
HATS = ("x.x.x.x.x.x.x.x.", "xxxxxxxxxxxxxxxx", "x...x...x...x...", "..x...x...x...x.")
BASSES = range(32, 40)
OTHERS = (*range(8), *range(16, 32), *range(40, 56), *range(56, 96))
PROGRESSIONS = (
    (0, 5, 3, 4),
    (0, 4, 5, 3),
    (5, 3, 0, 4),
    (0, 3, 4, 3),
    (0, 3),
    (1, 4, 0, 0),
    (0, 6, 5, 4),
)
SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10))

Note = tuple[float, float, int, int]
"""Start and length in steps, key, velocity."""


class Song:
    """What all instruments of a song keep to."""

    def __init__(self, draw: np.random.Generator, seconds: float) -> None:
        self.draw = draw
        self.tempo = draw.uniform(70, 170)
        self.bars = int(np.ceil(seconds * self.tempo / 240))
        self._root = int(draw.integers(12))
        self._scale = SCALES[draw.integers(len(SCALES))]
        self._progression = PROGRESSIONS[draw.integers(len(PROGRESSIONS))]

    def key(self, octave: int, degree: int) -> int:
        """Return the key of a degree of the scale."""
        octaves, step = divmod(degree, len(self._scale))
        return 12 * (octave + octaves) + self._root + self._scale[step]

    def chord(self, bar: int) -> int:
        """Return the degree that the chord of a bar stands on."""
        return self._progression[bar % len(self._progression)]

    def velocity(self) -> int:
        """Return how hard the next note is struck."""
        return int(np.clip(self.draw.normal(92, 14), 30, 127))


def drums(song: Song) -> Iterator[Note]:
    """Play a pattern, with a fill now and then."""
    draw = song.draw
    choose = [patterns[draw.integers(len(patterns))] for patterns in (KICKS, SNARES, HATS)]
    keys = (
        int(draw.choice([35, 36])),
        int(draw.choice([38, 40, 37])),
        int(draw.choice([42, 44, 46, 51])),
    )
    for bar in range(song.bars):
        if bar % 4 == 0 and draw.random() < 0.6:
            yield bar * STEPS, 4, int(draw.choice([49, 57])), song.velocity()
        fill = bar % 4 == 3 and draw.random() < 0.5
        for pattern, key in zip(choose, keys, strict=True):
            for step, hit in enumerate(pattern[: 12 if fill else STEPS]):
                if hit == "x" and draw.random() < 0.95:
                    yield bar * STEPS + step, 1, key, song.velocity()
        for step in range(12, STEPS) if fill else ():
            yield bar * STEPS + step, 1, int(draw.choice([41, 45, 47, 50, 38])), song.velocity()


def bass(song: Song) -> Iterator[Note]:
    """Play roots, with other notes of the chord between."""
    draw = song.draw
    length = float(draw.choice([1, 2, 2, 4, 8]))
    octave = int(draw.choice([2, 2, 3]))
    for bar in range(song.bars):
        for start in np.arange(0, STEPS, length):
            if start and draw.random() < 0.2:
                continue
            degree = song.chord(bar) + (0 if draw.random() < 0.7 else int(draw.choice([2, 4, 7])))
            yield (
                bar * STEPS + start,
                length * draw.uniform(0.5, 1),
                song.key(octave, degree),
                song.velocity(),
            )


def chords(song: Song) -> Iterator[Note]:
    """Play triads in a rhythm of their own."""
    draw = song.draw
    length, octave = float(draw.choice([2, 4, 8, 16])), int(draw.choice([4, 5]))
    for bar in range(song.bars):
        for start in np.arange(0, STEPS, length):
            if draw.random() < 0.15:
                continue
            for third in (0, 2, 4):
                yield (
                    bar * STEPS + start,
                    length,
                    song.key(octave, song.chord(bar) + third),
                    song.velocity(),
                )


def melody(song: Song) -> Iterator[Note]:
    """Walk up and down the scale."""
    draw = song.draw
    octave, degree = int(draw.choice([4, 5, 6])), 0
    for bar in range(song.bars):
        start = 0.0
        while start < STEPS:
            length = float(draw.choice([1, 2, 2, 4]))
            degree = int(np.clip(degree + draw.integers(-2, 3), -4, 9))
            if draw.random() < 0.75:
                yield bar * STEPS + start, length, song.key(octave, degree), song.velocity()
            start += length


def track(song: Song, notes: Iterator[Note], channel: int, program: int) -> mido.MidiTrack:
    """Return the notes as a MIDI track, each a little beside the beat."""
    per_step = TICKS * 4 / STEPS
    events = []
    for start, length, key, velocity in notes:
        begin = max(0, int((start + song.draw.normal(0, 0.04)) * per_step))
        events.append(
            (begin, mido.Message("note_on", channel=channel, note=key, velocity=velocity))
        )
        end = begin + max(1, int(length * per_step))
        events.append((end, mido.Message("note_off", channel=channel, note=key)))
    events.sort(key=lambda event: event[0])
    pan = int(np.clip(song.draw.normal(64, 20), 0, 127))
    made = mido.MidiTrack(
        [
            mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(song.tempo)),
            mido.Message("program_change", channel=channel, program=program),
            mido.Message("control_change", channel=channel, control=10, value=pan),
            mido.Message(
                "control_change", channel=channel, control=91, value=int(song.draw.integers(80))
            ),
        ]
    )
    now = 0
    for at, message in events:
        made.append(message.copy(time=at - now))
        now = at
    return made


def arrange(song: Song) -> dict[str, list[mido.MidiTrack]]:
    """Return the tracks of each stem."""
    draw = song.draw
    kinds = [chords, *(draw.choice(np.array([chords, melody]), size=draw.integers(0, 3)))]
    return {
        "drums": [track(song, drums(song), DRUM_CHANNEL, int(draw.choice(DRUM_KITS)))],
        "bass": [track(song, bass(song), 0, int(draw.choice(BASSES)))],
        "other": [
            track(song, kind(song), channel, int(draw.choice(OTHERS)))
            for channel, kind in enumerate(kinds)
        ],
    }


def play(tracks: list[mido.MidiTrack], frames: int, level: float) -> np.ndarray:
    """Return ``(frames, 2)`` float64 with the RMS ``level``, or less where it would clip."""
    with tempfile.TemporaryDirectory() as folder:
        midi, wave = Path(folder, "song.mid"), Path(folder, "song.wav")
        mido.MidiFile(tracks=tracks, ticks_per_beat=TICKS).save(midi)
        command = [
            "fluidsynth",
            "-ni",
            "-q",
            "-r",
            str(SAMPLERATE),
            "-g",
            "0.5",
            "-F",
            wave,
            SOUNDFONT,
            midi,
        ]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        samples = soundfile.read(wave, frames=frames, fill_value=0.0)[0]
    rms = max(np.sqrt(np.square(samples).mean()), 1e-6)
    return samples * min(level / rms, 0.95 / max(np.abs(samples).max(), 1e-6))


def main() -> None:
    """Render the songs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--songs", type=int, default=80)
    parser.add_argument("--seconds", type=float, default=24.0)
    parser.add_argument("--seed", type=int, default=0)
    told = parser.parse_args()
    for number in range(told.songs):
        song = Song(np.random.default_rng([told.seed, number]), told.seconds)
        folder = told.folder / f"rendered-{number:03}"
        folder.mkdir(parents=True, exist_ok=True)
        for stem, tracks in arrange(song).items():
            level = 0.08 * 10 ** (song.draw.normal(0, 3) / 20)  # as loud as stems of records are
            samples = play(tracks, int(told.seconds * SAMPLERATE), level)
            soundfile.write(folder / f"{stem}.flac", samples, SAMPLERATE)


if __name__ == "__main__":
    main()
