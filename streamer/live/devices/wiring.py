"""The devices of a live run, and their use: values only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from streamer.audio import Samples
from streamer.live.devices.device import Device, PortName

MOST_CHANNELS = 32
"""The most channels of a device to open, unless more are asked for."""


@dataclass(frozen=True)
class Wiring:
    """The devices that take part; ``input`` is None if a file is played.

    ``input_channels`` are the recorded channels, from 1. ``channel_names`` name the channels
    of each output that makes its ports.
    """

    input: Device | None
    outputs: tuple[Device, ...]
    input_channels: tuple[int, ...]
    samplerate: int
    blocksize: int
    buffer: Literal["low", "high"]
    channel_names: tuple[tuple[str, ...], ...] = ()

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
    def port_makers(self) -> tuple[str, ...]:
        """The names of the outputs that make their ports."""
        pairs = zip(self.port_names, self.outputs, strict=True)
        return tuple(name for name, output in pairs if output.makes_ports)

    @property
    def channel_gains(self) -> Samples:
        """Return the gains of each device channel to left and right: ``(channels, 2)``."""
        if self.input is None:
            return np.eye(2, dtype=np.float32)
        picked: Sequence[int] = self.input_channels
        if self.input.makes_ports:  # only for those that are picked
            picked = range(1, len(picked) + 1)
        # a sound server mixes what it has down to what is opened, so that is all of it
        all_of_it = self.input.input_channels if self.input.through_plugin else 0
        gains = np.zeros((max(*picked, min(all_of_it, MOST_CHANNELS)), 2), np.float32)
        for side in range(2):
            gains[picked[side % len(picked)] - 1, side] = 1
        return gains

    @property
    def input_ports(self) -> tuple[PortName, ...]:
        """The ports that the input is to make; none if it is no such device."""
        if self.input is None or not self.input.makes_ports:
            return ()
        names = ("in",) if len(self.input_channels) == 1 else ("in_L", "in_R")
        return tuple(map(PortName, names, self.input_channels))

    def output_ports(self, output: Device) -> tuple[PortName, ...]:
        """The ports that an output is to make; none if it is no such device."""
        if not output.makes_ports:
            return ()
        numbers = range(1, output.output_channels + 1)
        names = tuple(f"out_{number}" for number in numbers)
        if self.channel_names:
            names = self.channel_names[self.outputs.index(output)]
        return tuple(map(PortName, names, numbers))
