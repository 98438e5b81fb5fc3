"""Drum tracks that nobody played: a sequencer over the strokes of `songs.kits`.

Each track has one groove, one kit (some voices from another), a tempo, swing, human timing, parts
of four bars with a fill at their end, a room and the compressor of a bus. Loops of Sonic Pi, at
other rates, are a part of the tracks. The licences are those of `songs.kits`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
import soxr
from songs.album import SAMPLERATE, Generator, Samples, at_level, draw_level, write_song
from songs.drummer import KICK_AND_SNARE, Stroke, perform
from songs.grooves import GROOVES, Groove
from songs.kits import SONIC_PI, Kit, Layer, all_kits, stroke

from streamer.train.augment import equalize, reverberate
from streamer.train.studio import compress, drive

LOOPS = ("loop_amen", "loop_amen_full", "loop_breakbeat", "loop_tabla")
LOOPED = 0.08
"""The share of the tracks that are a loop."""
CHOKED_BY = {"open": ("hat", "pedal", "open"), "hat": ("hat", "open")}
LEVELS_DB = {"kick": 2, "snare": -1, "clap": -5, "rim": -6, "hat": -12, "open": -12, "pedal": -13}
OTHER_LEVEL_DB = -9.0


def make(folder: Path, songs: int, seconds: float, seed: int) -> None:
    """Make drum tracks; those that are there stay."""
    kits = all_kits()
    for number in range(songs):
        song = folder / f"kits-{number:03}"
        if not song.exists():
            draw = np.random.default_rng([seed, number])
            looped = draw.random() < LOOPED
            dry = loop(draw, seconds) if looped else play(draw, kits, seconds)
            write_song(song, {"drums": at_level(mixed(dry, draw), draw_level(draw))})


def play(draw: Generator, kits: list[Kit], seconds: float) -> Samples:
    """Return a track ``(frames, 2)`` of a groove on a kit."""
    name = str(draw.choice(list(GROOVES)))
    groove = GROOVES[name]
    chosen = choose(draw, groove, kits, hands=name == "hands")
    steps = len(next(iter(groove.voices.values()))[0])
    step_seconds = 240 / draw.uniform(*groove.tempo) / (16 if steps == 16 else 12)
    bars = int(np.ceil(seconds / (step_seconds * steps)))
    late = draw.uniform(0, 0.002) if groove.machine else draw.uniform(0.002, 0.011)
    swing = draw.uniform(0, groove.swing) if steps == 16 else 0.0
    tracks: dict[str, Samples] = {}
    tunes = {voice: draw.normal(0, 1.2) for voice in chosen}
    pans = _pans(draw)
    frames = int(seconds * SAMPLERATE)
    hits = sorted(perform(draw, groove, bars, set(chosen)))
    for number, (step, voice, velocity) in enumerate(hits):
        swung = step + (swing if int(step) % 2 else 0.0)
        begin = int(max(0.0, swung * step_seconds + draw.normal(0, late)) * SAMPLERATE)
        if begin >= frames:
            continue
        sound = stroke(chosen[voice], velocity, draw, tunes[voice])[: frames - begin]
        ends = _choked(hits[number + 1 :], voice, step)
        sound = _cut(sound, ends and (ends - step) * step_seconds)
        track = tracks.setdefault(voice, np.zeros((frames, 2), np.float32))
        track[begin : begin + len(sound)] += sound
    mix = np.zeros((frames, 2), np.float32)
    for voice, track in tracks.items():
        mix += _at_place(track, voice, pans.get(voice, draw.uniform(-0.6, 0.6)), draw)
    return mix


def loop(draw: Generator, seconds: float) -> Samples:
    """Return a loop of Sonic Pi at another rate, over and over."""
    samples = soundfile.read(SONIC_PI / f"{draw.choice(LOOPS)}.flac", dtype="float32")[0]
    rate = SAMPLERATE * draw.uniform(0.75, 1.25)
    turn = soxr.resample(samples, rate, SAMPLERATE)
    frames = int(seconds * SAMPLERATE)
    return np.tile(turn, (int(np.ceil(frames / len(turn))), 1))[:frames]


def mixed(dry: Samples, draw: Generator) -> Samples:
    """Return a track as it leaves the bus: equalizer, compressor, drive and room, now and then."""
    for effect, often in ((equalize, 0.4), (compress, 0.6), (drive, 0.1), (reverberate, 0.6)):
        if draw.random() < often:
            dry = effect(dry.astype(np.float32), draw, SAMPLERATE)
    return dry


def choose(
    draw: Generator, groove: Groove, kits: list[Kit], *, hands: bool
) -> dict[str, tuple[Layer, ...]]:
    """Return the instrument of each voice: from one kit, and what it lacks from others."""
    whole = [kit for kit in kits if set(KICK_AND_SNARE) <= set(kit.voices)]
    electronic = groove.machine and draw.random() < 0.75
    fitting = [kit for kit in whole if kit.is_electronic == electronic]
    main = fitting[draw.integers(len(fitting))]
    chosen = {}
    # sorted: a set has another order in each process
    for voice in sorted({voice for kit in kits for voice in kit.voices}):
        having = [kit for kit in kits if voice in kit.voices]
        kit = main if voice in main.voices and draw.random() > 0.12 else None
        kit = kit or having[draw.integers(len(having))]
        if voice in CHOKED_BY and voice in main.voices:
            kit = main  # an open and a closed hi-hat are one instrument
        instruments = kit.voices[voice]
        chosen[voice] = instruments[draw.integers(len(instruments))]
    if hands:
        chosen = {voice: one for voice, one in chosen.items() if voice not in KICK_AND_SNARE}
    return chosen


def _choked(later: list[Stroke], voice: str, step: float) -> float | None:
    """Return the step at which another stroke stops this one, if any does."""
    stoppers = CHOKED_BY.get(voice, ())
    return next((at for at, other, _ in later if other in stoppers and at > step), None)


def _cut(sound: Samples, seconds: float | None) -> Samples:
    """Return a stroke that is stopped after so long, within 15 ms."""
    frames = int(seconds * SAMPLERATE) if seconds else len(sound)
    if frames >= len(sound):
        return sound
    fade = min(int(0.015 * SAMPLERATE), frames)
    sound = sound[:frames].copy()
    sound[frames - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)[:, np.newaxis]
    return sound


def _pans(draw: Generator) -> dict[str, float]:
    """Return where the voices stand, -1 to 1: what is low in the middle, toms from side to side."""
    side = float(draw.choice([-1, 1]))
    wide = draw.uniform(0, 0.7)
    toms = {"high tom": -wide * side, "middle tom": 0.0, "low tom": wide * side}
    hats = dict.fromkeys(("hat", "open", "pedal"), side * draw.uniform(0, 0.5))
    return {"kick": 0.0, "snare": draw.normal(0, 0.08), "low": 0.2 * side, **toms, **hats}


def _at_place(track: Samples, voice: str, pan: float, draw: Generator) -> Samples:
    """Return a voice at its level, left or right: its loudest stroke counts."""
    level_db = LEVELS_DB.get(voice, OTHER_LEVEL_DB) + draw.normal(0, 2.5)
    peak = max(float(np.abs(track).max()), 1e-6)
    sides = np.array([1 - max(pan, 0), 1 + min(pan, 0)], np.float32)
    return track / peak * sides * np.float32(10 ** (level_db / 20))
