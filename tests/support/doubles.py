"""Models small enough for a test, and music-like noise to feed them."""

from __future__ import annotations

import functools
import itertools
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from demucs.demucs import Demucs
from demucs.hdemucs import HDemucs
from demucs.htdemucs import HTDemucs

from streamer.audio import Samples
from streamer.errors import ModelError, ModelMemoryError
from streamer.models.backends.torch_separator import TorchSeparator
from streamer.models.separator import WHOLE, Bag, Load, Member, ModelStream, Stride
from streamer.pipeline.windows import Window
from streamer.pipeline.worker import HUNG_SECONDS, HUNG_WINDOWS, Separate, WindowJob, leave_out

SOURCES = ["drums", "bass", "other", "vocals"]
RATE = 8000


def noise(frames: int, channels: int = 2, seed: int = 0) -> Samples:
    """Noise with swells and a quiet stretch, (frames, channels), below full scale."""
    draw = np.random.default_rng(seed)
    swell = 0.12 + 0.1 * np.sin(np.arange(frames) / 700)
    return (draw.standard_normal((frames, channels)) * swell[:, None]).clip(-0.8, 0.8).astype("f4")


@functools.cache
def tiny(kind: str = "htdemucs", seed: int = 0, segment: float = 0.5) -> torch.nn.Module:
    """A random network of each of Demucs's classes, small, at 8 kHz."""
    torch.manual_seed(seed)
    common = {"sources": SOURCES, "channels": 8, "samplerate": RATE, "segment": segment}
    if kind == "htdemucs":
        model = HTDemucs(**common, bottom_channels=16, t_layers=1, t_heads=2, nfft=1024, depth=4)
    elif kind == "hdemucs":
        model = HDemucs(**common, depth=4, nfft=1024, norm_starts=9, dconv_attn=9, dconv_lstm=9)
    else:
        model = Demucs(**common, depth=3, lstm_layers=0, norm_starts=9, dconv_mode=0)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return model.eval()


def bag_of(models: Sequence[torch.nn.Module], weights: Sequence[Sequence[float]]) -> Bag:
    """A bag of loaded networks."""
    members = [
        Member(TorchSeparator(model, torch.device("cpu")), tuple(map(float, row)))
        for model, row in zip(models, weights, strict=True)
    ]
    return Bag("tiny", members, tuple(SOURCES), RATE, 2)


class RecordingSeparator:
    """A model whose stems are its input times 1, 2, 3, 4; it keeps what it was shown."""

    def __init__(self, window_frames: int, samplerate: int = RATE) -> None:
        self.names = tuple(SOURCES)
        self.samplerate = samplerate
        self.channels = 2
        self.window_frames = window_frames
        self.seen: list[Samples] = []

    def input_frames(self, window_frames: int) -> int:
        return window_frames

    def __call__(self, windows: Samples, kept: slice = WHOLE) -> Samples:
        self.seen.append(windows[0].copy())
        return windows[:, np.newaxis, kept] * np.arange(1, 5, dtype="f4")[:, None, None]

    def bag(self) -> Bag:
        return Bag("recording", [Member(self, (1.0,) * 4)], self.names, self.samplerate, 2)


class AlongTheStream(RecordingSeparator):
    """A streaming model: stem n is n times the mean of all that was heard so far, and of silence
    before it, so whoever misses a frame gives something else from there on."""

    def __init__(self, stride: Stride, hops: int = 8, samplerate: int = RATE) -> None:
        super().__init__(stride.window_frames(hops), samplerate)
        self.stride = stride
        self.level_rms = 1.0
        self.begun = 0
        self.calls: list[int] = []

    def begin(self) -> ModelStream:
        self.begun += 1
        past = np.zeros((self.stride.lookahead_frames, 2))
        total = np.zeros(2)

        def go_on(heard: Samples) -> Samples:
            nonlocal past, total
            assert len(heard) % self.stride.hop_frames == 0
            self.calls.append(len(heard))
            sums = total + np.cumsum(heard, axis=0, dtype=np.float64)
            total = sums[-1]
            lagging, past = np.split(np.concatenate([past, sums]), [len(heard)])
            return np.float32(0.01 * lagging * np.arange(1, 5)[:, None, None])

        return go_on


class SmallDevice(RecordingSeparator):
    """A device that takes so many windows at a time."""

    device_name = "cuda:7"

    def __init__(self, room: int, cpu_room: int = 99) -> None:
        super().__init__(RATE // 2)
        self.room = room
        self.cpu_room = cpu_room
        self.calls: list[int] = []

    def __call__(self, windows: Samples, kept: slice = WHOLE) -> Samples:
        self.calls.append(len(windows))
        if len(windows) > self.room:
            raise ModelMemoryError(f"memory ran out on {self.device_name}")
        return super().__call__(windows, kept)

    def best_load(self) -> Load:
        if not self.room:
            raise ModelMemoryError("not even one")
        return Load(8, 2)

    def on_cpu(self) -> SmallDevice:
        return SmallDevice(self.cpu_room)


class VirtualClock:
    """Time that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class SlowWorker:
    """A `LiveWorker` on virtual time: what it separates for the nth time takes
    ``compute_seconds(n)``."""

    def __init__(
        self, clock: VirtualClock, compute_seconds: Callable[[int], float], waiting: int = 1
    ) -> None:
        self._clock = clock
        self._compute_seconds = compute_seconds
        self._most_waiting = waiting
        self._pending: deque[WindowJob] = deque()
        self._free_at = 0.0
        self.computed = 0

    def submit(self, window: Window, separate: Separate) -> None:
        self._go_on()
        waiting = [job for job in self._pending if not job.done and not job.began_at]
        if len(waiting) == self._most_waiting:
            waiting[0].done = True
        self._pending.append(WindowJob(window, separate, queued_at=self._clock.now))
        oldest = self._pending[0]
        late = self._clock.now - oldest.queued_at > HUNG_SECONDS
        if len(self._pending) > HUNG_WINDOWS and late and not oldest.done:
            hangs = ModelError("the model hangs")
            self._pending[0] = replace(oldest, error=hangs, done=True)
        self._go_on()

    def finished(self, *, wait: bool = False) -> Iterator[WindowJob]:
        while self._pending:
            self._go_on(float("inf") if wait else self._clock.now)
            if not self._pending[0].done:
                return
            yield self._pending.popleft()

    def close(self) -> None:
        self._pending.clear()

    def _go_on(self, until: float | None = None) -> None:
        until = self._clock.now if until is None else until
        while True:
            jobs = [job for job in self._pending if not job.done]
            begun = [job for job in jobs if job.began_at] or self._begin(jobs, until)
            if not begun or begun[0].ended_at > until:
                return
            try:
                stems = begun[0].separate([job.window for job in begun])
                for job, one in zip(begun, stems, strict=True):
                    job.stems = one
            except Exception as error:
                for job in begun:
                    job.error = error
            for job in begun:
                job.done = True

    def _begin(self, waiting: list[WindowJob], until: float) -> list[WindowJob]:
        """Begin with those that wait when it is free, if that is by then."""
        if not waiting:
            return []
        began = max(waiting[0].queued_at, self._free_at)
        if began > until:
            return []
        separate = waiting[0].separate
        there = itertools.takewhile(
            lambda job: job.queued_at <= began and job.separate == separate, waiting
        )
        begun = list(there)
        seconds = 0.0
        if separate is not leave_out:
            seconds = self._compute_seconds(self.computed)
            self.computed += 1
        self._free_at = began + seconds
        for job in begun:
            job.began_at, job.ended_at, job.together = began, self._free_at, len(begun)
        return begun
