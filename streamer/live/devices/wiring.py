"""The devices of a live run, and their use: values only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from streamer.audio import Samples
from streamer.live.devices.device import Device

MOST_CHANNELS = 32
"""The most channels of a device to open, unless more are asked for."""


@dataclass(frozen=True)
class Wiring:
    """The devices that take part; ``input`` is None if a file is played.

    ``input_channels`` are the recorded channels, from 1.
    """

    input: Device | None
    outputs: tuple[Device, ...]
    input_channels: tuple[int, ...]
    samplerate: int
    blocksize: int
    buffer: Literal["low", "high"]

    @property
    def duplex(self) -> bool:
        """Whether one stream records and plays: then there is one clock."""
        return self.input is not None and self.input.index == self.outputs[0].index

    @property
    def devices(self) -> tuple[Device, ...]:
        """All of them; one that takes in and plays is there twice."""
        return self.outputs if self.input is None else (self.input, *self.outputs)

    @property
    def port_names(self) -> tuple[str, ...]:
        """A name for each output, as the mixer knows it."""
        names = [device.name for device in self.outputs]
        return tuple(
            name if names.count(name) == 1 else f"{name} {index + 1}"
            for index, name in enumerate(names)
        )

    @property
    def channel_gains(self) -> Samples:
        """Return the gains of each device channel to left and right: ``(channels, 2)``."""
        if self.input is None:
            return np.eye(2, dtype=np.float32)
        picked: Sequence[int] = self.input_channels
        # a sound server mixes what it has down to what is opened, so that is all of it
        all_of_it = self.input.input_channels if self.input.through_plugin else 0
        gains = np.zeros((max(*picked, min(all_of_it, MOST_CHANNELS)), 2), np.float32)
        for side in range(2):
            gains[picked[side % len(picked)] - 1, side] = 1
        return gains
