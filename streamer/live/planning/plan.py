"""What a live run is planned to do: its schedule, its delay and the parts of that. Values only.

A window is ``context | crossfade in | flat | crossfade out | rest of the lookahead``. It can be
computed when its last frame is there, and gives the hop's frames that end a lookahead before its
end. `solver` makes plans, `streamer.live.overload.ladder` changes them under overload.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Final, Literal, TypeAlias

from streamer.models.calibration import WindowTiming
from streamer.models.separator import Stride

PROMISE_NEAR_SECONDS: Final = 0.005
ROUNDING_FRAMES: Final = 1e-6
"""Rounding: a product of seconds and a rate this near to a whole number counts as whole."""

EngineName: TypeAlias = Literal["python", "native"]
"""What takes the sound through the model: Python, for any model, or compiled code that nothing in
Python holds up (`streamer.live.realtime.hop_engine`)."""
FILTER_FRAMES: Final = 17
"""An output with a clock of its own reads this many frames beyond its block, for its filter."""
NATIVE_FADE_FRAMES: Final = 64
"""How far ahead the native engine looks for a gap, at most: 1.5 ms at 44.1 kHz. A longer fade would
be softer where stems run out, and cost delay all the time."""


Streams = Literal["one", "two", "file"]


@dataclass(frozen=True, slots=True)
class DevicePath:
    """What lies between the sound devices and the model.

    ``streams``: ``one`` that records and plays, ``two`` or more, or a ``file`` as the input.
    ``block_frames`` is the block of a stream. A device may bring several blocks at once
    (``bursts``), which the beginning of a run measures: ``burst_blocks`` more than one are planned.
    ``fade_frames`` is how far ahead the playback callback looks for a gap, at most (the native
    engine looks less far: `LivePlan.fade_frames`); ``resampling_frames`` is
    the delay of both resamplers, at the devices' rate. The latencies are what PortAudio says of the
    streams; with ``less_buffer`` the devices can be asked for shorter ones (``--buffer low``).
    """

    block_frames: int = 512
    poll_seconds: float = 0.002
    fade_frames: int = 256
    resampling_frames: int = 0
    input_latency_seconds: float = 0.0
    output_latency_seconds: float = 0.0
    less_buffer: bool = False
    streams: Streams = "one"
    bursts: bool = False
    burst_blocks: int = 0


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What is wanted: a promise for the whole delay, or None, and what is fixed by hand.

    ``samplerate`` is the devices', ``model_samplerate`` the model's; ``shifts`` are the passes of
    each member (0 and 1 are one); ``stride`` is how a model goes along the stream,
    ``engine`` what runs it.
    """

    model: str
    samplerate: int
    model_samplerate: int
    latency_seconds: float | None = None
    hop_seconds: float | None = None
    lookahead_seconds: float | None = None
    crossfade_seconds: float | None = None
    shifts: int = 0
    stride: Stride | None = None
    engine: EngineName = "python"
    path: DevicePath = field(default_factory=DevicePath)


@dataclass(frozen=True, slots=True)
class DelayBudget:
    """The parts of the delay, in frames at the devices' rate.

    The first new frame waits for the rest of its hop, and the hop waits for its lookahead.
    ``compute_frames`` is the time that the model has for a window. The overhead is a device block,
    the guard of the fade, and two sleeps of the engine's thread: one before it sees a full window,
    one before it sees finished stems. The native engine does not poll; see
    `streamer.live.planning.native`.
    """

    hop_frames: int
    lookahead_frames: int
    compute_frames: int
    overhead_frames: int
    resampling_frames: int
    device_input_frames: int
    device_output_frames: int

    @property
    def frames(self) -> int:
        """The delay from input callback to output callback, which the run holds constant."""
        return self.total_frames - self.device_input_frames - self.device_output_frames

    @property
    def total_frames(self) -> int:
        """The delay from the input's converter to the output's converter."""
        return sum(getattr(self, part.name) for part in fields(self))


@dataclass(frozen=True, slots=True)
class LivePlan:
    """What `solve` chose: the schedule in frames at the model's rate, and the delay it makes.

    ``timing`` is what a hop costs: all passes of all members.
    """

    request: PlanRequest
    timing: WindowTiming
    hop_frames: int
    lookahead_frames: int
    crossfade_frames: int
    delay: DelayBudget

    @property
    def window_frames(self) -> int:
        """What the model sees at once."""
        return self.timing.window_frames

    @property
    def context_frames(self) -> int:
        """The part of a window that has been played already."""
        return self.window_frames - self.hop_frames - self.lookahead_frames

    @property
    def fade_frames(self) -> int:
        """How far ahead the playback callback looks for a gap."""
        return fade_frames_of(self.request, self.hop_frames)

    @property
    def hop_seconds(self) -> float:
        """How often a window is due."""
        return self.hop_frames / self.request.model_samplerate

    @property
    def budget_seconds(self) -> float:
        """The time from a window's last frame until its stems must be there."""
        return self.delay.compute_frames / self.request.samplerate

    @property
    def delay_seconds(self) -> float:
        """The whole delay, devices included: what is announced."""
        return self.delay.total_frames / self.request.samplerate

    @property
    def load(self) -> float:
        """The share of the time in which the model usually computes."""
        return self.timing.p50_seconds / self.hop_seconds

    @property
    def peak_load(self) -> float:
        """The p99 of the compute time over the hop."""
        return self.timing.p99_seconds / self.hop_seconds

    @property
    def note(self) -> str | None:
        """One sentence on why the delay is shorter than the promise; None where it is not."""
        promise = self.request.latency_seconds
        if promise is None or promise - self.delay_seconds < PROMISE_NEAR_SECONDS:
            return None
        return (
            f"the delay is {self.delay_seconds:.3f} s, not the promised {promise:g} s: a longer "
            f"one would gain nothing, since {self.request.model} has a whole hop for each window"
        )

    @property
    def _hop_told(self) -> str:
        if self.request.engine == "python":
            return "new music in each window"
        return f"what a block lacks of one, {self.hop_seconds:.3f} s"

    @property
    def _overhead_told(self) -> str:
        if self.request.engine == "python":
            return "device block, polling, fade"
        return "fade" if self.request.path.streams == "one" else "device block, fade"

    def rows(self) -> list[tuple[str, str, str]]:
        """Return what was chosen, its value and what it means, as words for a table."""
        rate, model_rate, delay = self.request.samplerate, self.request.model_samplerate, self.delay

        def row(name: str, frames: int, told: str, rate: int = rate) -> tuple[str, str, str]:
            return name, f"{frames / rate:.3f} s", told

        p50_seconds, p99_seconds = self.timing.p50_seconds, self.timing.p99_seconds
        context_seconds = self.context_frames / model_rate
        promise = self.request.latency_seconds
        kept = "no promise was asked for" if promise is None else f"promised: {promise:g} s"
        return [
            row("window", self.window_frames, f"{context_seconds:.3f} s are past", model_rate),
            row("crossfade", self.crossfade_frames, "from a window to the next", model_rate),
            row("hop", delay.hop_frames, self._hop_told),
            row("lookahead", delay.lookahead_frames, "what the model hears beyond it"),
            row("compute", delay.compute_frames, f"budget; p99 is {p99_seconds:.3f} s"),
            row("overhead", delay.overhead_frames, self._overhead_told),
            row("resampling", delay.resampling_frames, f"{rate} Hz to {model_rate} Hz and back"),
            row("device in", delay.device_input_frames, "as the device says"),
            row("device out", delay.device_output_frames, "as the device says"),
            row("delay", delay.total_frames, kept),
            (
                "load",
                f"{self.load:.0%}",
                f"p50 {p50_seconds:.3f} s a hop; p99: {self.peak_load:.0%}",
            ),
            ("engine", self.request.engine, "what takes the sound through the model"),
        ]


def delay_of(
    request: PlanRequest, hop_frames: int, lookahead_frames: int, compute_frames: int
) -> DelayBudget:
    """Return the delay of a hop and lookahead (model's rate) with a budget (devices' rate)."""
    path, rate = request.path, request.samplerate

    def at_devices(frames: int) -> int:
        return -(-frames * rate // request.model_samplerate)

    return DelayBudget(
        hop_frames=at_devices(hop_frames),
        lookahead_frames=at_devices(lookahead_frames),
        compute_frames=compute_frames,
        overhead_frames=path.block_frames
        + path.fade_frames
        + frames_up(2 * path.poll_seconds * rate),
        resampling_frames=path.resampling_frames,
        device_input_frames=frames_up(path.input_latency_seconds * rate),
        device_output_frames=frames_up(path.output_latency_seconds * rate),
    )


def fade_frames_of(request: PlanRequest, hop_frames: int) -> int:
    """Return how far ahead the playback callback looks for a gap (devices' rate).

    With the native engine that is at most `NATIVE_FADE_FRAMES`, and at most half a hop: where
    hops are of 64 frames, a longer fade would be a good part of the delay.
    """
    most_frames = request.path.fade_frames
    if request.engine == "python":
        return most_frames
    hop_frames = -(-hop_frames * request.samplerate // request.model_samplerate)
    return min(most_frames, hop_frames // 2, NATIVE_FADE_FRAMES)


def frames_up(frames: float) -> int:
    """Return the first whole number of frames that is enough."""
    return math.ceil(frames - ROUNDING_FRAMES)
