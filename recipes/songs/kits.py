"""The drum kits of `hydrogen-drumkits` and `sonic-pi-samples`: single strokes, by voice.

Debian's packages. Licences: the samples of Sonic Pi are CC0. Of Hydrogen's kits, Audiophob is CC0,
rumpf_kit CC BY 3.0, BJA_Pacific and circAfrique CC BY-SA 3.0, the others GPL 2 or later
(ColomboAcousticDrumkit with an exception for compositions that use its sounds); see
``/usr/share/doc/hydrogen-drumkits/copyright``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import soundfile
import soxr
from songs.album import SAMPLERATE, Generator, Samples

HYDROGEN = Path("/usr/share/hydrogen/data/drumkits")
SONIC_PI = Path("/usr/share/sonic-pi/samples")
MOST_SECONDS = 4.0
ATTACK_SECONDS = 0.002
NOT_DRUMS = re.compile(
    r"whistle|zap|fx|glass|roll|(?<!rim )\bclick\b|trimo|sabmute|8bit|empty|sample:", re.I
)
VOICES = {
    "rim": r"rim ?click|stick",
    "kick": r"kick|bass ?drum|^bd_|drum_bass",
    "snare": r"snare|^sn_|redo",
    "clap": r"clap|snap",
    "cowbell": r"cowbell|agogo|dununba1 bell|sangban1 bell|kenkeni1 bell|woodblock|clave",
    "tambourine": r"tambourine",
    "shaker": r"maraca|shaker",
    "pedal": r"h.*(pedal|\bpd)|pedal h|cymbal_pedal",
    "open": r"(open|opened|\bop\b|side oh).*|hat swish|hat free|cymbal_open",
    "hat": r"hat|\bhh|cymbal_closed",
    "bell": r"bell|cup",
    "ride": r"ride|bow",
    "crash": r"crash|china|splash|cymbal",
    "low tom": r"tom.*(low|lo_|floor)|floor|low tom",
    "middle tom": r"tom.*(mid|2)|middle tom",
    "high tom": r"tom",
    "low": r"(djembe|cajon|bongo).*(bass|thump|lo)|conga 2|head",
    "high": r"djembe|cajon|bongo|conga",
}
"""What the names of instruments contain; the first that is found decides."""
ELECTRONIC = ("Audiophob", "ElectricEmpireKit", "HardElectro1", "VariBreaks", "sonic-pi electric")


@dataclass(frozen=True)
class Layer:
    """A recording, for strokes of a velocity (0 to 1) up to ``hardest``."""

    path: Path
    hardest: float
    gain: float = 1.0
    semitones: float = 0.0


@dataclass
class Kit:
    """The instruments of each voice; an instrument is its layers, from soft to hard."""

    name: str
    voices: dict[str, list[tuple[Layer, ...]]] = field(default_factory=dict)

    def add(self, name: str, layers: list[Layer]) -> None:
        """Add an instrument, if its name says what it is."""
        layers = [layer for layer in layers if not NOT_DRUMS.search(layer.path.name)]
        voice = next((v for v, pattern in VOICES.items() if re.search(pattern, name, re.I)), None)
        if voice and layers and not NOT_DRUMS.search(name):
            ordered = tuple(sorted(layers, key=lambda layer: layer.hardest))
            self.voices.setdefault(voice, []).append(ordered)

    @property
    def is_electronic(self) -> bool:
        """Whether its sounds are those of drum machines."""
        return self.name in ELECTRONIC


def hydrogen_kit(folder: Path) -> Kit:
    """Read a drum kit of Hydrogen, of either age of its format."""
    text = (folder / "drumkit.xml").read_text("utf-8", errors="replace")
    root = ElementTree.fromstring(re.sub(r'\s(xmlns|xsi)(:\w+)?="[^"]*"', "", text))
    kit = Kit(folder.name)
    for instrument in root.iter("instrument"):
        nodes = list(instrument.iter("layer")) or [instrument]
        layers = [
            Layer(
                folder / node.findtext("filename", ""),
                float(node.findtext("max") or 1),
                float(node.findtext("gain") or 1),
                float(node.findtext("pitch") or 0),
            )
            for node in nodes
        ]
        kit.add(
            instrument.findtext("name", ""),
            [layer for layer in layers if layer.path.is_file()],
        )
    return kit


def sonic_pi_kits() -> list[Kit]:
    """Return an acoustic kit, and one of machines."""
    acoustic, electric = Kit("sonic-pi acoustic"), Kit("sonic-pi electric")
    for path in sorted(SONIC_PI.glob("drum_*.flac")):
        if not path.stem.endswith(("_soft", "roll", "cowbell")):
            soft = path.with_name(path.name.replace("_hard", "_soft"))
            layers = [Layer(soft, 0.6)] if soft != path and soft.is_file() else []
            acoustic.add(path.stem, [*layers, Layer(path, 1)])
    strokes = ("bd_*", "sn_*", "elec_*snare", "elec_cymbal", "drum_cymbal_*", "perc_snap*", "hat_*")
    for pattern in strokes:
        for path in sorted(SONIC_PI.glob(f"{pattern}.flac")):
            electric.add(path.stem, [Layer(path, 1)])
    return [acoustic, electric]


def all_kits() -> list[Kit]:
    """Return all kits that are installed."""
    return [*map(hydrogen_kit, sorted(HYDROGEN.iterdir())), *sonic_pi_kits()]


def stroke(layers: tuple[Layer, ...], velocity: float, draw: Generator, tune: float) -> Samples:
    """Return a stroke ``(frames, 2)``, tuned by semitones; no two strokes are quite alike."""
    felt = velocity + draw.normal(0, 0.06)
    layer = next((one for one in layers if felt <= one.hardest), layers[-1])
    semitones = round(2 * (layer.semitones + tune)) / 2
    samples = _recording(layer.path, semitones)
    softer = velocity if len(layers) == 1 else 0.5 + velocity / 2
    gain = layer.gain * softer * 10 ** (draw.normal(0, 0.7) / 20)
    if len(layers) == 1 and velocity < 0.6:
        samples = 0.5 * samples + 0.5 * np.roll(samples, 1, axis=0)
    return samples * gain


@lru_cache(maxsize=1024)
def _recording(path: Path, semitones: float) -> Samples:
    """Return a recording from its attack on, at its peak's level, as ``(frames, 2)``."""
    samples, samplerate = soundfile.read(path, always_2d=True, dtype="float32")
    samples = samples[:, [0, -1]]
    rate = samplerate * 2 ** (semitones / 12)
    if abs(rate - SAMPLERATE) > 1:
        samples = soxr.resample(samples, rate, SAMPLERATE)
    loud = np.abs(samples).max(axis=1)
    begin = int(np.argmax(loud > 0.03 * loud.max(initial=1e-9)))
    begin = max(0, begin - int(ATTACK_SECONDS * SAMPLERATE))
    samples = samples[begin : begin + int(MOST_SECONDS * SAMPLERATE)]
    fade = min(len(samples), int(0.03 * SAMPLERATE))
    samples[len(samples) - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)[:, np.newaxis]
    return samples
