"""The core, with the manners of an audio plugin: it drops into any host loop."""

from __future__ import annotations

from types import TracebackType

import numpy as np

from streamer.audio import Samples, Stems
from streamer.errors import SettingsError
from streamer.fifo import Fifo
from streamer.models import load
from streamer.models.separator import Bag
from streamer.resolve import resolve
from streamer.separation import Plan, Separation, Survey
from streamer.settings import Settings


class Processor:
    """Separates a stream of blocks.

    ::

        p = streamer.Processor(model="htdemucs_mini")
        p.prepare(samplerate=48000, blocksize=512, channels=2)
        stems = p.process(block)     # as many frames, delayed by p.latency_frames

    The options are the fields of `streamer.settings.Settings`. ``bag`` gives the model itself
    instead of its name. With ``jobs=0`` the model runs in place; otherwise that many threads run
    it, and `feed` waits for them only where they fall behind.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        bag: Bag | None = None,
        jobs: int = 0,
        **options: object,
    ) -> None:
        self.settings = settings or resolve(options).settings
        self.plan = Plan.make(bag or load_bag(self.settings), self.settings)
        self._jobs = jobs
        self._separation: Separation | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The stems that come out."""
        return self.plan.derivation.names

    def prepare(
        self, samplerate: int, blocksize: int, channels: int, survey: Survey | None = None
    ) -> None:
        """Make what a stream of this shape needs, and begin it.

        ``samplerate`` is in Hz; `process` takes blocks of up to ``blocksize`` frames.

        Raises:
            SettingsError: a setting needs the whole track first, and no survey is given.
        """
        if survey is None and self.settings.needs_survey:
            raise SettingsError(
                "normalize=track and loudness need the whole track first, and a stream has no "
                "whole; try normalize=rms and no loudness, or separate a file"
            )
        self._shape = (samplerate, channels, survey or Survey())
        self._blocksize = blocksize
        self.reset()

    def reset(self) -> None:
        """Forget the stream and begin another of the same shape."""
        self.close()
        self._separation = Separation(self.plan, *self._shape, self._jobs)
        self._delay: _Delay | None = None

    @property
    def latency_frames(self) -> int:
        """By how many frames `process` delays, at the prepared sample rate. It never changes."""
        return self._stream.lag_frames

    @property
    def repaired_samples(self) -> int:
        """How many samples of the stream so far were no finite number and became silence."""
        return self._stream.repaired_samples

    @property
    def emitted_frames(self) -> int:
        """How many frames of stems the stream has given so far."""
        return self._stream.emitted_frames

    def process(self, block: Samples) -> Stems:
        """Take ``(frames, channels)`` and return the stems of as many frames.

        They are what `feed` and `flush` give, `latency_frames` later; silence comes first.
        Positions count from the first frame that went in, so those of the silence are negative.

        Raises:
            SettingsError: the block is not of the prepared shape, or the model runs on threads.
        """
        stream = self._stream
        if self._jobs:
            raise SettingsError("process() runs the model in place; make the Processor with jobs=0")
        if block.ndim != 2 or len(block) > self._blocksize or block.shape[1] != self._shape[1]:
            raise SettingsError(
                f"the block is {block.shape}; prepare() was told (at most {self._blocksize}, "
                f"{self._shape[1]}), so prepare anew or split the block"
            )
        if self._delay is None:
            self._delay = _Delay(self.names, stream.lag_frames, stream.mix_channels)
        for stems in stream.feed(block):
            self._delay.push(stems)
        return self._delay.pop(len(block))

    def feed(self, block: Samples) -> list[Stems]:
        """Take ``(frames, channels)`` of any length; return the stems that are ready."""
        return list(self._stream.feed(block))

    def flush(self) -> list[Stems]:
        """End the stream: return the stems that are still to come. `reset` begins another."""
        rest = list(self._stream.flush())
        if self._delay is None:
            return rest
        for stems in rest:
            self._delay.push(stems)
        return [self._delay.pop(self._delay.frames)]

    def close(self) -> None:
        """End the worker's threads, within the window that they are at."""
        if self._separation is not None:
            self._separation.close()

    @property
    def _stream(self) -> Separation:
        if self._separation is None:
            raise SettingsError("the processor is not prepared; call prepare() first")
        return self._separation

    def __enter__(self) -> Processor:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class _Delay:
    """Turns stems that come in bursts into a constant delay."""

    def __init__(self, names: tuple[str, ...], frames: int, channels: int) -> None:
        self._names = names
        self._position = -frames
        self._queue = Fifo()  # the stems and, last, the mix
        self._nothing = np.zeros((len(names) + 1, 0, channels), np.float32)
        self._queue.push(np.zeros((len(names) + 1, frames, channels), np.float32))

    @property
    def frames(self) -> int:
        return self._queue.frames

    def push(self, stems: Stems) -> None:
        self._queue.push(np.concatenate([stems.data, stems.mix[np.newaxis]]))

    def pop(self, frames: int) -> Stems:
        taken = self._queue.pop(frames) if frames else self._nothing
        stems = Stems(self._position, self._names, taken[:-1], taken[-1])
        self._position += frames
        return stems


def load_bag(settings: Settings) -> Bag:
    """Load the model that the settings name, as far as the wanted stems need it."""
    return load(
        settings.model,
        stems=settings.needed_stems,
        repo=settings.repo,
        trust_checkpoint=settings.trust_checkpoint,
        device=settings.device,
        threads=settings.torch_num_threads,
        segment=settings.segment,
    )
