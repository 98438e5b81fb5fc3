"""The part of a window that a network's decoder must compute if only some frames are wanted."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Crop:
    """Columns ``begin`` to ``end`` of a spectrogram of ``columns``, each ``hop_frames`` of sound.

    They cover the frames from ``begin_frame`` to ``end_frame`` of a window of ``frames``.
    """

    begin: int
    end: int
    columns: int
    hop_frames: int
    frames: int

    @classmethod
    def whole(cls, frames: int, hop_frames: int) -> Crop:
        """Return the crop that leaves nothing out."""
        columns = -(-frames // hop_frames)
        return cls(0, columns, columns, hop_frames, frames)

    def around(self, wanted: slice, halo_columns: int) -> Crop:
        """Return the part that ``wanted`` frames need, with this many columns on each side."""
        begin_frame, end_frame, _ = wanted.indices(self.frames)
        begin = max(self.begin, begin_frame // self.hop_frames - halo_columns)
        end = min(self.end, -(-end_frame // self.hop_frames) + halo_columns)
        return Crop(begin, end, self.columns, self.hop_frames, self.frames)

    @property
    def begin_frame(self) -> int:
        """The first frame of the window that it covers."""
        return self.begin * self.hop_frames

    @property
    def end_frame(self) -> int:
        """The frame after the last that it covers."""
        return min(self.end * self.hop_frames, self.frames)

    def within(self, wanted: slice) -> slice:
        """Return where ``wanted`` frames of the window lie in what is computed."""
        begin, end, _ = wanted.indices(self.frames)
        return slice(begin - self.begin_frame, end - self.begin_frame)
