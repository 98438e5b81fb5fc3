"""The demo projects of LMMS, rendered track by track: real compositions, played by synthesizers.

Debian: ``apt install lmms lmms-common``. Licences, a project: Artistic 2.0 (CapDan-ReggaeTry,
-ReggaetonTry and -ZeroSumGame, EsoXLB, Impulslogik, Momo64, Oglsdl, Settel, Socceroos,
TameAnderson, Thomasso, Crunk, Greshz, Surrender), BSD 2-clause (Saber), CC BY-SA 3.0 (Alf42red,
CapDan-TwilightArea), CC BY-SA 4.0 (Jousboxx, Skiessi), GPL 2 or later (the others); see
``/usr/share/doc/lmms-common/copyright``.

A track's name says what it is. Where it does not, or where the spectrum says otherwise, the track
is left out: a wrong stem teaches errors.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import soundfile
from songs.album import SAMPLERATE, Samples, without_rumble, write_song

PROJECTS = Path("/usr/share/lmms/projects")
FOLDERS = ("demos", "shorties")
MOST_SECONDS_A_PROJECT = 600
UNCLEAR = re.compile(
    r"choir|chorus|voice|vocal|voxy|fx\b|noise|zap|whoosh|woosh|sweep|hit01|vin[ly]+|heart|tick"
    r"|effect|start0|chime|sidechain|weird|alien|ufo|hollow\.|drop\d?$|boom|syntom|sfxr|broken|sonar"
    r"|loop|8bit",
    re.I,
)
DRUMS = re.compile(
    r"kick|kik\b|snare|snr|hat|hh\b|hihat|drum|clap|crash|ride|cymbal|tom_|rim|shaker|tamb|cga|stick"
    r"|\bbd\b|wood|shaaka",
    re.I,
)
BASS = re.compile(r"bass|\bsub\b|lb302", re.I)
UNNAMED = re.compile(r"default|standard|preset", re.I)
LEAST_BASS, MOST_BASS_OF_OTHER = 0.6, 0.45
"""Shares of the energy under 250 Hz: what is called a bass has more, what is not has less."""
MOST_UNTUNED = 0.12
"""Spectral flatness of a track with no name: above, it may be a cymbal."""


def make(folder: Path) -> None:
    """Render the demo projects; those that are there stay."""
    for place in FOLDERS:
        for project in sorted((PROJECTS / place).rglob("*.mmp*")):
            song = folder / re.sub(r"[^\w-]", "-", project.name.split(".mmp")[0])
            if song.exists():
                continue
            with tempfile.TemporaryDirectory(prefix="lmms") as tracks:
                if rendered(project, Path(tracks)):
                    stems = stems_of(Path(tracks))
                    if stems:
                        write_song(song, stems)


def rendered(project: Path, tracks: Path) -> bool:
    """Render the tracks of a project; False where LMMS fails (some plug-ins crash it)."""
    command = ["lmms", *["--allowroot"] * (os.geteuid() == 0), "rendertracks", str(project)]
    command += ["-o", str(tracks), "-f", "wav", "-s", str(SAMPLERATE), "-x", "1"]
    try:
        done = subprocess.run(
            command,
            env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=MOST_SECONDS_A_PROJECT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def stems_of(tracks: Path) -> dict[str, Samples]:
    """Return the stems that the tracks in a folder add up to, as loud as they were together."""
    stems: dict[str, Samples] = {}
    for path in sorted(tracks.iterdir()):
        samples = soundfile.read(path, always_2d=True, dtype="float32")[0][:, :2]
        stem = stem_of(path.stem.partition("_")[2], samples)
        if stem:
            mix = stems.get(stem, np.zeros((0, 2), np.float32))
            length = max(len(mix), len(samples))
            stems[stem] = _padded(mix, length) + _padded(samples, length)
    stems = {stem: without_rumble(mix) for stem, mix in stems.items()}
    length = max(map(len, stems.values()), default=0)
    loudest = max((float(np.abs(mix).max()) for mix in stems.values()), default=0.0)
    gain = 0.9 / max(loudest, 0.9)
    return {stem: _padded(mix * gain, length) for stem, mix in stems.items()}


def stem_of(name: str, samples: Samples) -> str | None:
    """Return which stem a track belongs to; None if that is not clear, or if it is silent."""
    mono = samples.mean(axis=1)
    if np.sqrt(np.square(samples).mean()) < 3e-4:
        return None
    low, flat = _spectrum(mono)
    if UNCLEAR.search(name):
        return None
    if DRUMS.search(name) and not re.search(r"mute_bass|bass ?slap", name, re.I):
        return "drums"
    if BASS.search(name):
        return "bass" if low > LEAST_BASS else None
    if low > MOST_BASS_OF_OTHER or (UNNAMED.search(name) and flat > MOST_UNTUNED):
        return None
    return "other"


def _spectrum(mono: Samples) -> tuple[float, float]:
    """Return the share of the energy under 250 Hz, and the flatness of what is above 200 Hz."""
    whole = mono[: len(mono) // 4096 * 4096].reshape(-1, 4096)
    power = np.square(np.abs(np.fft.rfft(whole * np.hanning(4096), axis=1)))
    loud = power[power.sum(axis=1) > 0.05 * power.sum(axis=1).max()]
    hertz = np.fft.rfftfreq(4096, 1 / SAMPLERATE)
    band = loud[:, (hertz > 200) & (hertz < 8000)] + 1e-12
    flat = np.exp(np.log(band).mean(axis=1)) / band.mean(axis=1)
    return float(power[:, hertz < 250].sum() / power.sum()), float(np.median(flat))


def _padded(samples: Samples, length: int) -> Samples:
    return np.pad(samples, ((0, length - len(samples)), (0, 0)))
