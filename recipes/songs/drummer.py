"""A drummer: which strokes a groove becomes over the bars of a song."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from songs.album import Generator
from songs.grooves import FILLS, VELOCITIES, Groove

BARS_OF_A_PART = 4
TOMS = ("high tom", "middle tom", "low tom", "snare")
KICK_AND_SNARE = ("kick", "snare")

Stroke = tuple[float, str, float]
"""When, in steps from the start; the voice; how hard, 0 to 1."""


def perform(draw: Generator, groove: Groove, bars: int, voices: set[str]) -> Iterator[Stroke]:
    """Yield the strokes of all bars: parts of some bars, each a little other than the last."""
    steps = len(next(iter(groove.voices.values()))[0])
    chosen = {voice: str(draw.choice(ways)) for voice, ways in groove.voices.items()}
    silent: set[str] = set()
    played = dict(chosen)
    for bar in range(bars):
        if bar % BARS_OF_A_PART == 0:
            played = _next_part(draw, groove, chosen, voices)
            silent = _resting(draw, played, first=bar == 0)
            if bar and "crash" in voices and not groove.machine and draw.random() < 0.6:
                yield bar * steps, "crash", 0.9
        fill = bar % BARS_OF_A_PART == BARS_OF_A_PART - 1 and draw.random() < 0.55
        pattern = str(draw.choice(FILLS[steps])) if fill else "." * steps
        begins = len(pattern) - len(pattern.lstrip(".")) if fill else steps
        for voice, way in played.items():
            for step, char in enumerate(way[:begins]):
                sounds = char != "." and voice not in silent and voice in voices
                if sounds and draw.random() < 0.97:
                    yield bar * steps + step, voice, _velocity(draw, char)
        toms = [voice for voice in TOMS if voice in voices]
        for step, char in enumerate(pattern if toms else ""):
            if char != ".":
                place = (step - begins) / max(steps - begins, 1) * len(toms)
                voice = toms[min(int(place + draw.uniform(-0.6, 0.6)) % len(toms), len(toms) - 1)]
                yield bar * steps + step, voice, _velocity(draw, char)


def _next_part(
    draw: Generator, groove: Groove, chosen: dict[str, str], voices: set[str]
) -> dict[str, str]:
    """Return the patterns of a part: mostly those of the song; the ride for the hi-hat at times."""
    played = {
        voice: str(draw.choice(groove.voices[voice])) if draw.random() < 0.2 else way
        for voice, way in chosen.items()
    }
    if "hat" in played and "ride" in voices and not groove.machine and draw.random() < 0.25:
        played["ride"] = played.pop("hat")
        played.pop("open", None)
        played["pedal"] = "." * (len(played["ride"]) // 4) + "x" + "." * 11
        played["pedal"] = (played["pedal"] * 2)[: len(played["ride"])]
    return played


def _resting(draw: Generator, played: dict[str, str], *, first: bool) -> set[str]:
    """Return the voices that rest in a part: breaks, and introductions that begin with one."""
    if draw.random() < (0.3 if first else 0.12):
        kept = str(draw.choice([voice for voice, way in played.items() if way.strip(".")]))
        return set(played) - {kept, "hat"}
    return {voice for voice in played if voice not in KICK_AND_SNARE and draw.random() < 0.08}


def _velocity(draw: Generator, char: str) -> float:
    return float(np.clip(VELOCITIES[char] + draw.normal(0, 0.07), 0.1, 1))
