"""What the real-time callbacks have counted and metered, as plain values."""

from __future__ import annotations

from dataclasses import dataclass

from streamer.audio import Samples


@dataclass(frozen=True, slots=True)
class CaptureCounters:
    """What a capture callback has done since the start.

    `captured_frames` is the position: device frames and away frames. Lost frames found no room
    in the ring and are silence there; away frames passed while the device was away (`skip`).
    """

    captured_frames: int
    callbacks: int
    lost_frames: int
    away_frames: int
    overflow_flags: int
    underflow_flags: int
    bad_samples: int


@dataclass(frozen=True, slots=True)
class PlaybackCounters:
    """What a playback callback has done since the start.

    `position` is the input frame that the next output frame plays, `ratio` how many input frames
    an output frame takes. A shortfall is one time that the stems ran out; missing frames had none.
    Dry frames are those at which the stems were less than half there, for whatever reason.
    `splices` are jumps of the position where two clocks were too far apart.
    """

    played_frames: int
    callbacks: int
    shortfalls: int
    missing_frames: int
    dry_missing_frames: int
    dry_frames: int
    underflow_flags: int
    bad_samples: int
    splices: int
    position: float
    ratio: float
    error_frames: float


@dataclass(frozen=True, slots=True)
class Levels:
    """Peak and mean square over `frames` frames, linear; stems are metered before their gains.

    `block_frames` is `(blocks,)` and `block_peaks` `(stems, blocks)`: the same block by block.
    """

    frames: int
    block_frames: Samples
    block_peaks: Samples
    stem_peaks: Samples
    stem_mean_squares: Samples
    output_peaks: Samples
    output_mean_squares: Samples
