"""What a stem goes through between the instrument and the mixing desk."""

from __future__ import annotations

import numpy as np
from scipy.signal import butter, sosfilt
from songs.album import SAMPLERATE, Generator, Samples

from streamer.train.augment import equalize, reverberate
from streamer.train.studio import compress

TONE_HERTZ = (90.0, 900.0)
"""Where the tone knob of a bass begins to close: basses on records have little above 250 Hz."""


def amplifier(samples: Samples, draw: Generator, least_db: float, most_db: float) -> Samples:
    """Overdrive a sound: a high-pass, a valve that is a little askew, and a loudspeaker."""
    tight = sosfilt(_pass("high", draw.uniform(40, 140)), samples, axis=0)
    level = np.sqrt(np.square(tight).mean()) or 1.0
    driven = tight / level * 10 ** (draw.uniform(least_db, most_db) / 20)
    askew = draw.uniform(0, 0.3)
    driven = np.tanh(driven + askew) - np.tanh(askew)
    return cabinet(driven, draw, 2800, 6000)


def cabinet(samples: Samples, draw: Generator, least_hertz: float, most_hertz: float) -> Samples:
    """Play a sound through a loudspeaker: nothing far above its highest frequency."""
    return sosfilt(_pass("low", draw.uniform(least_hertz, most_hertz), 4), samples, axis=0)


def chorus(samples: Samples, draw: Generator) -> Samples:
    """Add the sound itself, some milliseconds late by a little more or less all the time."""
    frames = len(samples)
    times = np.arange(frames) / SAMPLERATE
    wet = np.empty_like(samples)
    speed, depth = draw.uniform(0.2, 2.0), draw.uniform(0.0005, 0.003)
    for channel in range(2):
        turn = np.sin(2 * np.pi * speed * times + channel * np.pi / 2)
        place = np.clip(np.arange(frames) - (0.012 + depth * turn) * SAMPLERATE, 0, frames - 1)
        wet[:, channel] = np.interp(place, np.arange(frames), samples[:, channel])
    return samples + draw.uniform(0.3, 0.8) * wet


def bass_rig(samples: Samples, draw: Generator, driven: float) -> Samples:
    """Return a bass as it is recorded: amplifier and direct box, chorus at times, compressed."""
    dry = samples.mean(axis=1, keepdims=True).repeat(2, axis=1)
    if draw.random() < driven:
        wet = amplifier(dry, draw, -3, 18)
        share = draw.uniform(0.3, 1.0)
        dry = (1 - share) * _even(dry) + share * _even(wet)
    elif draw.random() < 0.5:
        dry = cabinet(dry, draw, 1500, 6000)
    if draw.random() < 0.75:
        dry = sosfilt(
            _pass("low", float(np.exp(draw.uniform(*np.log(TONE_HERTZ)))), 1), dry, axis=0
        )
    if draw.random() < 0.2:
        dry = chorus(dry, draw)
    return _desk(dry, draw, compressed=0.7, equalized=0.3, room=0.08)


def desk(samples: Samples, draw: Generator) -> Samples:
    """Return a stem as a mixing desk leaves it; half of them are wider than they were."""
    wide = samples if draw.random() < 0.5 else chorus(samples, draw)
    return _desk(wide, draw, compressed=0.4, equalized=0.4, room=0.4)


def _desk(
    samples: Samples, draw: Generator, compressed: float, equalized: float, room: float
) -> Samples:
    samples = samples.astype(np.float32)
    for effect, often in ((equalize, equalized), (compress, compressed), (reverberate, room)):
        if draw.random() < often:
            samples = effect(samples, draw, SAMPLERATE)
    return samples


def _even(samples: Samples) -> Samples:
    return samples / max(float(np.sqrt(np.square(samples).mean())), 1e-9)


def _pass(kind: str, hertz: float, order: int = 2) -> Samples:
    return butter(order, hertz, kind, fs=SAMPLERATE, output="sos")
