"""Levels and SDR of a track, measured while its stems pass by."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass

import numpy as np

from streamer.audio import Samples, Stems


def decibels(power_ratio: float) -> float:
    """Return ``10 log10`` of a ratio of powers; minus infinity for 0."""
    with np.errstate(divide="ignore"):
        return float(10 * np.log10(power_ratio))


@dataclass
class StemMeasure:
    """One stem: peak and RMS in dB full scale, and SDR in dB if the true stem is known.

    The SDR is ``10 log10(sum s^2 / sum (s - e)^2)`` over the whole track, s is the true stem and e
    this one, as in the MDX challenge.
    """

    peak: float = 0.0
    energy: float = 0.0
    samples: int = 0
    true_energy: float = 0.0
    error_energy: float | None = None

    def feed(self, stem: Samples, truth: Samples | None) -> None:
        """Take ``(frames, channels)``, and the same frames of the true stem."""
        self.peak = max(self.peak, float(stem.max(initial=0)), -float(stem.min(initial=0)))
        self.energy += _energy(stem)
        self.samples += stem.size
        if truth is not None:
            self.true_energy += _energy(truth)
            self.error_energy = (self.error_energy or 0.0) + _energy(truth - stem)

    def scale(self, gain: float) -> None:
        """Tell the levels of a stem that is written with a gain; its SDR is without."""
        self.peak *= gain
        self.energy *= gain**2

    @property
    def peak_db(self) -> float:
        """The largest magnitude, dB full scale."""
        return decibels(self.peak**2)

    @property
    def rms_db(self) -> float:
        """The root mean square over all channels, dB full scale."""
        return decibels(self.energy / max(self.samples, 1))

    @property
    def sdr_db(self) -> float | None:
        """The signal-to-distortion ratio, or None if the true stem is not known."""
        if self.error_energy is None:
            return None
        return decibels(self.true_energy / max(self.error_energy, 1e-20))


class TrackMeasure:
    """All stems of a track, and how well the model's own stems add up to the mix."""

    def __init__(self, names: tuple[str, ...], of_model: Container[str]) -> None:
        self.stems = {name: StemMeasure() for name in names}
        self._added = [index for index, name in enumerate(names) if name in of_model]
        self._mix_energy = 0.0
        self._residual_energy = 0.0

    def feed(self, stems: Stems, truth: Mapping[str, Samples]) -> None:
        """Take a stretch of stems; ``truth`` holds the same frames of the known true stems."""
        for name, measure in self.stems.items():
            measure.feed(stems[name], truth.get(name))
        self._mix_energy += _energy(stems.mix)
        self._residual_energy += _energy(
            stems.mix - sum(stems.data[index] for index in self._added)
        )

    @property
    def residual_db(self) -> float:
        """The level of the residual (the mix minus the sum of the model's stems) against the mix,
        in dB. It means something only if all stems are there.
        """
        return decibels(self._residual_energy / max(self._mix_energy, 1e-20))


def _energy(samples: Samples) -> float:
    # float32 products, summed by BLAS: blocks are short, and the sum over blocks is in double
    return float(np.vdot(samples, samples))
