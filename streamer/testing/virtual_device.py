"""One fake sound device: its clock, its faults, and the sound that it played.

`VirtualBackend` (`virtual`) has streams on it.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable

import numpy as np

from streamer.audio import Samples

Source = Callable[[int, int], Samples]


class VirtualDevice:
    """A fake device, and the faults it can be made to have.

    ``source(start_frame, frames)`` gives ``(frames, input_channels)`` for any frame of the
    device's clock, which runs ``ppm`` fast. Another device's `heard` as a source is a cable.

    A callback comes up to ``jitter_seconds`` late. With ``burst_blocks`` above 1 several come at
    once. With ``fill_blocks`` above 1 a stream takes that many at its start, as sound servers do,
    and stays ahead by them. The clock of its streams, which callbacks see, is
    ``stream_epoch_seconds`` ahead of virtual time. ``converter_seconds`` lie between the callback
    and the analog world, each way; callbacks see ``uncounted_seconds`` more, as on JACK.
    ``block_frames`` is the block if a stream leaves it to the device. All of these may be set at
    any time.

    Many parameters: each is one fault, or one property of a real device, and has a usual value.
    """

    def __init__(
        self,
        name: str,
        *,
        input_channels: int = 0,
        output_channels: int = 0,
        samplerate: int = 48000,
        source: Source | None = None,
        ppm: float = 0.0,
        jitter_seconds: float = 0.0,
        burst_blocks: int = 1,
        fill_blocks: int = 1,
        converter_seconds: float = 0.0,
        block_frames: int = 256,
        stream_epoch_seconds: float = 0.0,
        uncounted_seconds: float = 0.0,
        hostapi: str = "Virtual",
        seed: int = 0,
    ) -> None:
        self.name, self.hostapi, self.seed = name, hostapi, seed
        self.input_channels, self.output_channels = input_channels, output_channels
        self.source = source
        self.jitter_seconds, self.burst_blocks = jitter_seconds, burst_blocks
        self.fill_blocks = fill_blocks
        self.converter_seconds, self.block_frames = converter_seconds, block_frames
        self.stream_epoch_seconds = stream_epoch_seconds
        self.uncounted_seconds = uncounted_seconds
        self.busy = False
        self.plugged = True
        self.told = False
        self.generation = 0
        self.clock: Callable[[], float] = float
        self.samplerate, self._ppm = samplerate, ppm
        self._anchor_seconds, self._anchor_frame = 0.0, 0.0
        self.paused_until, self.loses = 0.0, True
        self._starts: list[int] = []
        self._blocks: list[Samples] = []

    # its clock

    @property
    def ppm(self) -> float:
        """How much too fast its clock runs, in parts per million."""
        return self._ppm

    @ppm.setter
    def ppm(self, ppm: float) -> None:
        self._turn(self.samplerate, ppm)

    def _turn(self, samplerate: int, ppm: float) -> None:
        now = self.clock()
        self._anchor_frame = self.frame_at(now)
        self._anchor_seconds = now
        self.samplerate, self._ppm = samplerate, ppm

    @property
    def rate(self) -> float:
        """Frames in a second of virtual time."""
        return self.samplerate * (1 + self._ppm * 1e-6)

    def frame_at(self, seconds: float) -> float:
        """Return the frames on its clock at a virtual time."""
        return self._anchor_frame + (seconds - self._anchor_seconds) * self.rate

    def time_of(self, frame: float) -> float:
        """Return the virtual time at which its clock shows a frame."""
        return self._anchor_seconds + (frame - self._anchor_frame) / self.rate

    # its faults

    def unplug(self, *, told: bool = False) -> None:
        """Go away. Open streams go dead, and say so only if ``told``, which is rare."""
        self.plugged = False
        self.end_streams(told=told)

    def replug(self) -> None:
        """Come back, with another index as soon as the backend looks."""
        self.plugged = True

    def end_streams(self, *, told: bool = True) -> None:
        """End every open stream, like a server that ends."""
        self.generation += 1
        self.told = told

    def change_rate(self, samplerate: int) -> None:
        """Run at another rate from now on, and refuse the old one; open streams end."""
        self._turn(samplerate, self._ppm)
        self.end_streams()

    def pause(self, seconds: float = math.inf, *, loses: bool = True) -> None:
        """Stop the callbacks for a while, without an error; without a time until `resume`.

        The frames of that time are lost, and flagged in the callback after it; or they all come at
        once.
        """
        self.paused_until, self.loses = self.clock() + seconds, loses

    def resume(self) -> None:
        """End a pause."""
        self.paused_until = self.clock()

    # its sound

    def produce(self, start_frame: int, frames: int) -> Samples:
        """Return its captured sound, ``(frames, input_channels)``: silence without a source."""
        if self.source is None:
            return np.zeros((frames, self.input_channels), np.float32)
        made = np.ascontiguousarray(self.source(start_frame, frames), np.float32)
        assert made.shape == (frames, self.input_channels), made.shape
        return made

    def play(self, start_frame: int, block: Samples) -> None:
        """Keep the sound played from a frame on; later blocks replace earlier ones."""
        self._starts.append(start_frame)
        self._blocks.append(block)

    def heard(self, start_frame: int, frames: int) -> Samples:
        """Return the played sound, ``(frames, output_channels)``; silence if it played nothing."""
        heard = np.zeros((frames, self.output_channels), np.float32)
        index = max(0, bisect.bisect_right(self._starts, start_frame) - 1)
        while index < len(self._starts) and self._starts[index] < start_frame + frames:
            block, offset = self._blocks[index], self._starts[index] - start_frame
            begin, end = max(0, offset), min(frames, offset + len(block))
            if end > begin:
                heard[begin:end, : block.shape[1]] = block[begin - offset : end - offset]
            index += 1
        return heard

    @property
    def heard_frames(self) -> int:
        """One past the last frame it has played."""
        return self._starts[-1] + len(self._blocks[-1]) if self._starts else 0

    def forget(self) -> None:
        """Forget the played sound, for runs of hours."""
        self._starts.clear()
        self._blocks.clear()
