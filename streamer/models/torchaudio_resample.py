"""The torchaudio resampling engine, and the one place that imports torchaudio.

The torchaudio wheel of the package index is built against CUDA: beside a CPU-only torch its plain
import fails because its compiled extension cannot be loaded. `load_torchaudio` then imports it
without that extension; resampling and the other functions written in Python do not need it.
"""

from __future__ import annotations

import importlib
import math
import sys
from types import ModuleType
from typing import Any

import numpy as np
import torch

from streamer.audio import Samples
from streamer.errors import SettingsError

# "kaiser_best" of resampy, as in torchaudio's resampling tutorial: its flattest and cleanest filter
# https://docs.pytorch.org/audio/stable/tutorials/audio_resampling_tutorial.html
KAISER_BEST: dict[str, Any] = {
    "resampling_method": "sinc_interp_kaiser",
    "lowpass_filter_width": 64,
    "rolloff": 0.9475937167399596,
    "beta": 14.769656459379492,
}
# each call costs about 0.1 ms whatever it does: with this many, stereo runs at over 100x real time
QUANTUM_FRAMES = 1024
# torchaudio keeps one filter per phase of the ratio, each as long as all phases: rates with a small
# common divisor would take gigabytes (44100 to 47999 Hz: 8.5 GB) and minutes
MAX_KERNEL_VALUES = 1 << 21


def load_torchaudio() -> ModuleType:
    """Import torchaudio, without its compiled extension where that cannot be loaded.

    Raises:
        ImportError: torchaudio is not installed.
    """
    try:
        return importlib.import_module("torchaudio")
    except OSError:
        sys.modules["torchaudio._extension"] = _no_extension()
        return importlib.import_module("torchaudio")


def _no_extension() -> ModuleType:
    """Make what torchaudio's modules read when it was built without an extension."""
    stand_in = ModuleType("torchaudio._extension")
    vars(stand_in).update(
        _IS_TORCHAUDIO_EXT_AVAILABLE=False,
        fail_if_no_align=lambda function: function,
    )
    return stand_in


class TorchaudioEngine:
    """`torchaudio.functional.resample`, exact in a stream.

    Each quantum is resampled together with the stretch before and after it that its filter reaches,
    so every frame that comes out is the same sum of the same products as over the whole signal. All
    stretches begin on a multiple of the reduced input rate: there the ratio's phases start again.
    """

    def __init__(self, from_rate: int, to_rate: int, channels: int) -> None:
        divisor = math.gcd(from_rate, to_rate)
        self._period_in, self._period_out = from_rate // divisor, to_rate // divisor
        values = self._period_out * self._period_in
        if values > MAX_KERNEL_VALUES:
            raise SettingsError(
                f"resampler=torchaudio must be soxr for {from_rate} to {to_rate} Hz, whose ratio "
                f"would take a filter of {values / 1e6:.0f} million values; try --resampler soxr"
            )
        resample = load_torchaudio().transforms.Resample(
            from_rate, to_rate, **KAISER_BEST, dtype=torch.float64
        )
        # rounded last: its own float32 filter has its phases rounded too, and is 30 dB noisier
        self._resample = resample.float()
        self._context_frames = self._whole_periods(self._resample.width)
        self.quantum_frames = self._whole_periods(max(QUANTUM_FRAMES, 2 * self._context_frames))
        heard_frames = 2 * self._context_frames + self.quantum_frames
        self._heard = np.zeros((heard_frames, channels), np.float32)
        self.reset()

    def _whole_periods(self, frames: int) -> int:
        return math.ceil(frames / self._period_in) * self._period_in

    def _resampled(self, frames: int) -> int:
        return frames // self._period_in * self._period_out

    @property
    def worst_delay_frames(self) -> int:
        """The most output frames that are missing just before a `step`."""
        behind = self._context_frames + self.quantum_frames - 1
        return math.ceil(behind * self._period_out / self._period_in)

    def step(self, quantum: Samples) -> Samples:
        """Take ``(quantum_frames, channels)``, return what its arrival has made exact."""
        self._heard = np.concatenate((self._heard[self.quantum_frames :], quantum))
        with torch.inference_mode():
            out: Samples = self._resample(torch.from_numpy(self._heard.T.copy())).numpy().T
        start = self._resampled(self._context_frames)
        stop = start + self._resampled(self.quantum_frames)
        before_first = min(self._before_first, stop - start)
        self._before_first -= before_first
        return np.ascontiguousarray(out[start + before_first : stop])

    def reset(self) -> None:
        """Become as new."""
        self._heard[:] = 0
        # the first steps return frames from before the stream's first one
        self._before_first = self._resampled(self._context_frames)
