"""Cut the newest audio of a stream into the windows that a schedule asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from streamer.audio import Samples
from streamer.pipeline.history import History
from streamer.pipeline.schedule import Schedule


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """The audio that a model sees at once: ``data`` is ``(frames, channels)``.

    The window proper is the ``kept_frames`` from ``start_frame`` on. ``data`` is longer, since the
    model wants to see more: ``left_frames`` come before. ``pass_index`` says which pass over the
    stream the window belongs to, ``schedule`` how it is blended.
    """

    pass_index: int
    start_frame: int
    kept_frames: int
    left_frames: int
    data: Samples
    schedule: Schedule


class PassWindows:
    """The windows of one pass. ``input_frames(n)``: how many frames the model sees for n frames."""

    def __init__(self, index: int, schedule: Schedule, input_frames: Callable[[int], int]) -> None:
        self._index = index
        self._schedule = schedule
        self._input_frames = input_frames
        self.next_start = schedule.first_start
        whole, left = self._input(schedule.window_frames)
        self.delay_frames = whole - left
        # a short last window, centred in a full-length input, looks back by half a window
        self.history_frames = whole // 2 if schedule.around is None else left

    @property
    def ready_at(self) -> int:
        """The position that the stream must reach for the next whole window."""
        return self.next_start + self.delay_frames

    @property
    def oldest_needed(self) -> int:
        """The first position that a later window may still need."""
        return self.next_start - self.history_frames

    def has_tail(self, end_frame: int) -> bool:
        """Return whether a window starts before the end of the stream."""
        return self.next_start < end_frame

    def cut(self, history: History, end_frame: int | None = None) -> Window:
        """Return the next window; ``end_frame`` is the end of the stream once that is known."""
        start = self.next_start
        kept = self._schedule.window_frames
        if end_frame is not None:
            kept = min(kept, end_frame - start)
        frames, left = self._input(kept)
        data = np.zeros((frames, history.channels), np.float32)
        before = max(0, left - start)
        if before < frames:
            history.peek(start - left + before, data[before:])
        self.next_start += self._schedule.hop_frames
        return Window(self._index, start, kept, left, data, self._schedule)

    def _input(self, kept_frames: int) -> tuple[int, int]:
        """Return how many frames the model is shown for a window, and how many lie before it."""
        if self._schedule.around is None:
            frames = self._input_frames(kept_frames)
            return frames, (frames - kept_frames) // 2
        before, after = self._schedule.around
        return before + self._schedule.window_frames + after, before


class Windower:
    """Cuts the windows of all passes, in the order in which the stream completes them.

    It keeps at least ``history_frames`` of the past, for passes that `switch` may bring.
    """

    def __init__(self, passes: Sequence[PassWindows], history_frames: int = 0) -> None:
        self._passes = passes
        self._history_frames = history_frames
        self.delay_frames = max(cutter.delay_frames for cutter in passes)
        self.capacity_frames = max(
            c.delay_frames + max(c.history_frames, history_frames) for c in passes
        )

    def take(self, history: History) -> Iterator[Window]:
        """Yield each window that is complete; release frames that no window needs."""
        while True:
            cutter = min(self._passes, key=lambda cutter: cutter.ready_at)
            if cutter.ready_at > history.end_frame:
                break
            yield cutter.cut(history)
            self._release(history)

    def finish(self, history: History) -> Iterator[Window]:
        """Yield the windows that the end of the stream cuts short."""
        end_frame = history.end_frame
        while open_passes := [c for c in self._passes if c.has_tail(end_frame)]:
            yield min(open_passes, key=lambda cutter: cutter.ready_at).cut(history, end_frame)
            self._release(history)

    def switch(self, following: PassWindows) -> None:
        """Replace the only pass by ``following``, from the start of its next window on."""
        (before,) = self._passes
        following.next_start = before.next_start
        self._passes = (following,)

    def _release(self, history: History) -> None:
        needed = min(
            min(cutter.oldest_needed, cutter.next_start - self._history_frames)
            for cutter in self._passes
        )
        history.release(min(max(needed, history.start_frame), history.end_frame))
