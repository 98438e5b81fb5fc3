"""The rings, gains and counters that the real-time callbacks work on, for Python.

::

    playback = PlaybackPort(stems=4, outputs=2, samplerate=48000, delay_frames=24000,
                            capacity_frames=96000)
    capture = CapturePort(2, 48000, [playback], capacity_frames=480000)
    duplex = DuplexPort(capture, playback)       # one device; two devices: the ports themselves

A device is opened with a port's `callback_address` as the C callback and its `address` as the user
data. A port must outlive the stream. Every ring has one writer and one reader: the capture callback
writes `CapturePort.ring` and each `PlaybackPort.dry_ring`; the engine reads the one and writes
`PlaybackPort.stem_ring`; the playback callback reads the port's two rings. `log` and `meters`
belong to the engine, `skip`, and the callback's end of the rings while no stream is open, to the
thread that looks after the devices. `set_gains` and `counters` any thread may call.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ringbuffer import Ring
from streamer.audio import Samples
from streamer.errors import SettingsError
from streamer.live.realtime import callbacks as rt
from streamer.live.realtime import drift as clocks
from streamer.live.realtime.counters import CaptureCounters, Levels, PlaybackCounters
from streamer.live.realtime.device_clock import DLL
from streamer.live.realtime.port import Port, Record, address_of
from streamer.live.realtime.wake import Semaphore
from streamer.pipeline.level import KNEE

RAMP_SECONDS = 0.005
"""How long a gain takes from 0 to 1: short against a device block, long enough not to click."""
METER_BLOCKS = 1024

_CAPTURE_COUNTS = ("callbacks", "away_frames", "overflow_flags", "underflow_flags", "bad_samples")
_PLAYBACK_COUNTS = (
    "played_frames",
    "callbacks",
    "shortfalls",
    "missing_frames",
    "dry_missing_frames",
    "dry_frames",
    "underflow_flags",
    "bad_samples",
    "splices",
)


class PlaybackPort(Port):
    """What one output device plays: stems, mix and gains.

    The stem ring has `2 * stems + 1` channels: stem0 L, stem0 R, ..., and `wet`, 1 where the stems
    are real and 0 where the mix should be heard in their place. Output frame n plays input frame
    ``n - delay_frames``. For the last `fade_frames` before the ring runs out the stems fade out, so
    they must come that much earlier than they are played.
    """

    def __init__(
        self,
        stems: int,
        outputs: int,
        samplerate: int,
        delay_frames: int,
        *,
        capacity_frames: int,
        fade_frames: int = rt.FADE_FRAMES,
        drift: bool = False,
    ) -> None:
        """Allocate everything. `drift` is for an output whose clock is not the input's.

        Raises:
            SettingsError: a number is out of range.
        """
        super().__init__(rt.PLAYBACK, samplerate)
        for name, value, least in (("stems", stems, 0), ("outputs", outputs, 1)):
            if value < least:
                raise SettingsError(f"{name}={value} must be at least {least}; try {least}")
        if not 0 <= delay_frames < capacity_frames:
            raise SettingsError(
                f"delay_frames={delay_frames} must be at least 0 and less than the ring's "
                f"capacity of {capacity_frames} frames; try a larger capacity_frames"
            )
        self.stems, self.outputs, self.delay_frames = stems, outputs, delay_frames
        self.stem_ring = Ring(capacity_frames, 2 * stems + 1)
        self.dry_ring = Ring(capacity_frames, 2)
        self.fade_frames = min(fade_frames, delay_frames + 1)
        self._meter_ring = Ring(METER_BLOCKS, 1 + 2 * (stems + outputs))
        self._targets = self._floats(2 * stems + rt.MIX_ROWS, outputs)
        self._gains = self._floats(2 * stems + rt.MIX_ROWS, outputs)
        self.drift = drift
        self._led_dll: Record | None = None
        self._fill_state()
        if drift:
            self._fill_drift()

    def _fill_state(self) -> None:
        chunk = rt.CHUNK_FRAMES
        integers = {
            "stems": self.stems,
            "outputs": self.outputs,
            "stem_header": self.stem_ring.header_address,
            "stem_data": self.stem_ring.data_address,
            "dry_header": self.dry_ring.header_address,
            "dry_data": self.dry_ring.data_address,
            "meter_header": self._meter_ring.header_address,
            "meter_data": self._meter_ring.data_address,
            "gains": address_of(self._gains),
            "targets": address_of(self._targets),
            "stem_scratch": address_of(self._floats(chunk, 2 * self.stems + 1)),
            "dry_scratch": address_of(self._floats(chunk, 2)),
            "levels": address_of(self._floats(3, chunk)),
            "mixed": address_of(self._floats(self.outputs, rt.ROW_FRAMES)),
            "meter_row": address_of(self._floats(1, self._meter_ring.channels)),
            "delay_frames": self.delay_frames,
            "wanted_delay_frames": self.delay_frames,
            "fade_frames": self.fade_frames,
            "position": -self.delay_frames,
        }
        reals = {
            "samplerate": self.samplerate,
            "ratio": 1.0,
            "ramp": 1.0,
            "dry_ramp": 1.0,
            "master": 1.0,
            "gain_step": 1 / (RAMP_SECONDS * self.samplerate),
            "knee": KNEE,
        }
        self._set(integers | reals)

    def _fill_drift(self) -> None:
        self._dll = self._keep(np.zeros(1, DLL))
        clocks.start_dll(self._dll, self.samplerate)
        values = {
            "dll": address_of(self._dll),
            "seen": address_of(self._keep(np.zeros(4, np.int64))),
            "steps": address_of(self._keep(np.zeros(rt.CHUNK_FRAMES))),
            "filter": address_of(self._keep(clocks.filter_table())),
            "fill_frames": round(clocks.FILL_SECONDS * self.samplerate),
            "settle_seconds": clocks.SETTLE_SECONDS,
            "sure_seconds": clocks.SURE_SECONDS,
            "most_early_frames": round(clocks.MOST_EARLY_SECONDS * self.samplerate),
            "early_error_frames": clocks.EARLY_ERROR_SECONDS * self.samplerate,
            "gear": clocks.GEAR,
            "least_gain": clocks.LEAST_GAIN,
            "most_gain": clocks.MOST_GAIN,
            "most_correction": clocks.MOST_CORRECTION,
            "most_error_frames": clocks.MOST_ERROR_SECONDS * self.samplerate,
            "most_ahead": clocks.MOST_AHEAD,
        }
        self._set(values)

    def follow(self, dll: Record) -> None:
        """Take the input device's clock from its `device_clock.DLL`, which must live as long."""
        self._state["source_dll"] = address_of(dll)

    def mute(self) -> None:
        """Fade out, and play on without a sound: at the end, or at the start until `set_delay`."""
        self._state["wanted_delay_frames"] = -1

    def set_delay(self, frames: int) -> None:
        """Be heard from the next block on, with a delay that is no shorter than the first one."""
        self.delay_frames = frames
        self._state["wanted_delay_frames"] = frames

    def lead(self, dll: Record) -> None:
        """Be the clock of a file: write the times at which its frames are due to its `DLL`."""
        self._led_dll = dll
        self._state["led_dll"] = address_of(dll)

    @property
    def callback_address(self) -> int:
        """The C callback for an output stream on this port."""
        return int(rt.playback_callback.address)

    def set_gains(self, gains: Samples, dry_gains: Samples) -> None:
        """Set the matrices, linear; the next block ramps there. Any thread.

        `gains` is `(2 * stems + 2, outputs)`, its rows stem0 L, stem0 R, ..., mix L, mix R;
        `dry_gains` `(2, outputs)` is how the mix plays where the stems are missing.

        Raises:
            SettingsError: of another shape, or not finite.
        """
        rows = 2 * self.stems + 2
        for name, matrix, count in (("gains", gains, rows), ("dry_gains", dry_gains, 2)):
            if np.shape(matrix) != (count, self.outputs) or not np.isfinite(matrix).all():
                raise SettingsError(
                    f"{name} must be {count} rows by {self.outputs} outputs of finite numbers, "
                    f"not of shape {np.shape(matrix)}; try zeros where nothing should play"
                )
        self._targets[:rows] = gains
        self._targets[rows:] = dry_gains
        if not self._count("callbacks"):
            self._gains[:] = self._targets

    def skip(self, frames: int) -> None:
        """Let frames pass that no device played, so that positions stay true; then fade in.

        Only while no stream is open on the port. With `drift` the clocks tell the position anew
        when the device is back.
        """
        self._state["position"] += frames
        self._state["master"] = 0.0
        if self.drift:
            clocks.start_dll(self._dll, self.samplerate)
            for name in ("aligned", "early_frames", "jump_frames"):
                self._state[name] = 0
        elif self._led_dll is not None:
            self._led_dll["blocks"] = 0  # as in `CapturePort.skip`

    def stand(self, now: float) -> None:
        """Have the clock of a file that this port leads stand: its next frame is due now.

        Only while no stream is open on any port.
        """
        dll = self._led_dll
        if dll is not None and dll["sequence"] > 0:
            frame = self.counters().position + self.delay_frames
            for slot in ("shown_time", "shown_time_2"):
                dll[slot] = now
            for slot in ("shown_frame", "shown_frame_2"):
                dll[slot] = frame

    @property
    def aligned(self) -> bool:
        """Whether its position is known: with `drift` the clocks tell it after a while."""
        return not self.drift or self._count("aligned") > 0

    @property
    def early(self) -> bool:
        """Whether the port has just begun to play, and may be milliseconds off until it jumps."""
        return self._count("early_frames") > 0

    def counters(self) -> PlaybackCounters:
        """Return the counters so far."""
        return PlaybackCounters(
            **{name: self._count(name) for name in _PLAYBACK_COUNTS},
            position=float(self._state["position"][0] + self._state["phase"][0]),
            ratio=float(self._state["ratio"][0]),
            error_frames=float(self._state["error_frames"][0]),
        )

    def meters(self) -> Levels:
        """Return the levels since the last call; nothing where that is too long ago."""
        rows = np.zeros((METER_BLOCKS, self._meter_ring.channels), np.float32)
        got = self._meter_ring.read(rows)
        rows = rows[: 0 if got == METER_BLOCKS else got]
        frames = int(rows[:, 0].sum(dtype=np.float64))
        columns = rows[:, 1:].T
        split = np.cumsum([self.stems, self.stems, self.outputs])
        stem_peaks, stem_squares, output_peaks, output_squares = np.split(columns, split)
        return Levels(
            frames,
            rows[:, 0],
            stem_peaks,
            stem_peaks.max(axis=1, initial=0),
            (stem_squares.sum(axis=1, dtype=np.float64) / max(2 * frames, 1)).astype(np.float32),
            output_peaks.max(axis=1, initial=0),
            (output_squares.sum(axis=1, dtype=np.float64) / max(frames, 1)).astype(np.float32),
        )


class CapturePort(Port):
    """What one input device records, brought to stereo, for the engine and for each output port.

    Its ``semaphore`` is posted after each block. One thread may wait for it.
    """

    def __init__(
        self,
        input_channels: int,
        samplerate: int,
        outputs: Sequence[PlaybackPort],
        *,
        capacity_frames: int,
        channel_gains: Samples | None = None,
    ) -> None:
        """Allocate everything; `channel_gains` is `(input_channels, 2)`.

        Without gains one channel is doubled, and of several the first two are taken.

        Raises:
            SettingsError: a number is out of range.
        """
        super().__init__(rt.CAPTURE, samplerate)
        gains = self._keep(_channel_gains(input_channels, channel_gains))
        self.input_channels = input_channels
        self.ring = Ring(capacity_frames, 2)
        rings = [self.ring, *(port.dry_ring for port in outputs)]
        self._rings = self._keep(
            np.array([[ring.header_address, ring.data_address, 0] for ring in rings], np.int64)
        )
        self._outputs = tuple(outputs)  # their rings are written here, so they must live
        self.semaphore = Semaphore()
        self._dll = self._keep(np.zeros(1, DLL))
        clocks.start_dll(self._dll, samplerate)
        for port in outputs:
            if port.drift:
                port.follow(self._dll)
        values = {
            "channels": input_channels,
            "targets": address_of(self._rings),
            "target_count": len(rings),
            "gains": address_of(gains),
            "scratch": address_of(self._floats(rt.CHUNK_FRAMES, 2)),
            "silence": address_of(self._floats(rt.CHUNK_FRAMES, 2)),
            "dll": address_of(self._dll),
            "semaphore": self.semaphore.address,
        }
        self._set(values)

    @property
    def callback_address(self) -> int:
        """The C callback for an input stream on this port."""
        return int(rt.capture_callback.address)

    def be_led_by(self, output: PlaybackPort) -> None:
        """Take a file in, at the pace of an output that has no clock but its own."""
        self._state["dll"] = 0  # what is fed ahead tells no time
        output.lead(self._dll)

    def feed(self, block: Samples) -> None:
        """Take in float32 `(frames, input_channels)` as if a device had recorded it.

        For a file, which may come ahead of time; in place of a device, not beside one.

        Raises:
            SettingsError: not of that shape.
        """
        if np.ndim(block) != 2 or block.shape[1] != self.input_channels:
            raise SettingsError(
                f"block must be (frames, {self.input_channels}), not {np.shape(block)}; try a "
                "port of as many channels"
            )
        samples = np.ascontiguousarray(block, np.float32)
        rt.capture(self.address, address_of(samples), len(samples), 0.0, 0.0, 0)

    def skip(self, frames: int) -> None:
        """Let frames pass that no device recorded: silence, so that positions stay true.

        Only while no stream is open on the port.
        """
        rt.capture_skip(self.address, frames)
        self._dll["blocks"] = 0  # its rate holds, but the next block may come at any time

    def counters(self) -> CaptureCounters:
        """Return the counters so far."""
        return CaptureCounters(
            captured_frames=self._count("position"),
            lost_frames=int(self._rings[0, 2]),
            **{name: self._count(name) for name in _CAPTURE_COUNTS},
        )


class DuplexPort:
    """A capture and a playback port on one device: each block is recorded, then played."""

    def __init__(self, capture: CapturePort, playback: PlaybackPort) -> None:
        self.capture, self.playback = capture, playback
        self._addresses = np.array([capture.address, playback.address], np.int64)

    @property
    def address(self) -> int:
        """The user data for the callback."""
        return address_of(self._addresses)

    @property
    def callback_address(self) -> int:
        """The C callback for a duplex stream on both ports."""
        return int(rt.duplex_callback.address)


def _channel_gains(channels: int, gains: Samples | None) -> Samples:
    if channels < 1:
        raise SettingsError(f"input_channels={channels} must be at least 1; try 2")
    if gains is None:
        gains = np.ones((1, 2), np.float32) if channels == 1 else np.eye(channels, 2, dtype="f4")
    if np.shape(gains) != (channels, 2) or not np.isfinite(gains).all():
        raise SettingsError(
            f"channel_gains must be {channels} rows by 2 of finite numbers, not of shape "
            f"{np.shape(gains)}; try one row for each input channel"
        )
    return np.ascontiguousarray(gains, np.float32)
