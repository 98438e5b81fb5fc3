"""What state a live run is in, why, and the numbers that a status line shows: values only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

OUTSIDE_NAMES: Final = {"device_losses": "gaps"}
"""What OSC and Prometheus call a field, where that is an older name that others rely on."""


class State(StrEnum):
    """What a live run is doing."""

    STARTING = "starting"
    RUNNING = "running"
    DEGRADED = "degraded"
    WAITING = "waiting for device"
    STOPPED = "stopped"


class Reason(StrEnum):
    """Why it is in that state."""

    NONE = ""
    OVERLOAD = "windows came too late"
    MODEL_FAILED = "the model failed"
    DRY_WANTED = "dry by request"
    INPUT_LOST = "the input device is gone"
    OUTPUT_LOST = "an output device is gone"
    RECORDER_FAILED = "the recording failed"
    SOURCE_ENDED = "the input has ended"
    DURATION_REACHED = "the duration is over"
    ASKED = "asked to stop"
    FAILED = "an error ended it"


@dataclass(frozen=True, slots=True)
class Meter:
    """Level of one stem or output channel since the last look: linear, 1 is full scale."""

    peak: float = 0.0
    rms: float = 0.0


class DeviceState(StrEnum):
    """How a sound device of a run is."""

    RUNNING = "running"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class DeviceStatus:
    """A sound device of a run, at the last look.

    ``name`` is its port's, where it plays. The channels are those that are opened; 0 where it
    does not take in, or does not play. ``trouble`` is why the last try to open it again failed, and
    ``losses`` count how often it went.
    """

    name: str
    hostapi: str = ""
    input_channels: int = 0
    output_channels: int = 0
    state: DeviceState = DeviceState.RUNNING
    trouble: str = ""
    losses: int = 0


WAVE_RATE: Final = 20
"""How many peaks a second there are in `Waves`."""


@dataclass(frozen=True, slots=True)
class Waves:
    """The last seconds of each stem as it was played: its peaks, linear, oldest first.

    The peaks are numbered without a hole from the start of the run; ``first`` is the number of the
    oldest that is still here. So each needs to be told once.
    """

    first: int = 0
    peaks: Mapping[str, Sequence[float]] = field(default_factory=dict)

    @property
    def end(self) -> int:
        """The number of the peak that comes next."""
        return self.first + max(map(len, self.peaks.values()), default=0)

    def since(self, number: int) -> Waves:
        """Return those from a number on, as far as they are still here."""
        skipped = max(0, number - self.first)
        return Waves(
            self.first + skipped, {stem: peaks[skipped:] for stem, peaks in self.peaks.items()}
        )


@dataclass(frozen=True, slots=True)
class Status:
    """One look at a live run. Counters count since its start.

    ``engine`` takes the sound through the model. ``delay_frames`` is the announced constant delay
    between the input and the output callback;
    ``delay_seconds`` adds what the devices say of their own buffers. ``dry_frames`` were played
    without stems, ``deadline_misses`` are the windows that were late, skipped or failed. ``load``
    is the model's time over the sound's length in the last seconds, ``rtf`` in the whole run, as
    long as it was asked. ``rung`` is the step of the
    overload ladder that holds (0: as planned). ``song_seconds`` is the second of the song that is
    heard now, where a file is played, else None; ``song_length_seconds`` the length of the song,
    None where that is not known. ``stems`` are meters by stem, ``outputs`` by port and channel.
    ``clips`` counts by port and channel the looks in which it was bent to stay under full scale
    (a lamp that latches compares it with the count when it was last put out). ``waves`` are the
    last seconds of the stems. ``devices`` are the run's sound devices, the input's first.
    ``recording`` tells of a take in words, ``recording_seconds`` how long it is so
    far, ``recording_left_seconds`` how long the disk will last, None where nothing is recorded.
    """

    state: State = State.STARTING
    reason: Reason = Reason.NONE
    detail: str = ""
    engine: str = ""
    model: str = ""
    samplerate: int = 0
    played_frames: int = 0
    delay_frames: int = 0
    delay_seconds: float = 0.0
    dry_frames: int = 0
    xruns: int = 0
    dropped_frames: int = 0
    deadline_misses: int = 0
    device_losses: int = 0
    devices: Sequence[DeviceStatus] = ()
    load: float = 0.0
    rtf: float = 0.0
    rung: int = 0
    rung_name: str = ""
    song_seconds: float | None = None
    song_length_seconds: float | None = None
    stems: Mapping[str, Meter] = field(default_factory=dict)
    outputs: Mapping[str, Sequence[Meter]] = field(default_factory=dict)
    clips: Mapping[str, Sequence[int]] = field(default_factory=dict)
    waves: Waves = field(default_factory=Waves)
    recording: str = ""
    recording_on: bool = False
    recording_seconds: float = 0.0
    recording_left_seconds: float | None = None

    @property
    def dry_share(self) -> float:
        """How much of what was played had no stems in it, from 0 to 1."""
        return self.dry_frames / max(self.played_frames, 1)
