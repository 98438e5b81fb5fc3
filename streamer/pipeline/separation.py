"""One stream on its way through the stages, top to bottom.

::

    block -> channels -> resample -> level -> history -> windows -> worker (model)
          -> stitch -> mean of passes -> level back -> resample -> channels -> derive, gain, clip
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from streamer.audio import Samples, Stems
from streamer.pipeline.channels import from_model, repair, to_mix, to_model
from streamer.pipeline.fifo import Fifo
from streamer.pipeline.gaps import GapStem, GapTrack, NoGaps
from streamer.pipeline.history import History
from streamer.pipeline.level import clamp, make_leveler, soft_clip
from streamer.pipeline.passes import Plan
from streamer.pipeline.resample import make_resampler
from streamer.pipeline.stitch import PassMean, Stitcher
from streamer.pipeline.windows import PassWindows, Window, Windower
from streamer.pipeline.worker import WindowJob, WindowWorker, leave_out
from streamer.settings import ResamplingEngine

BACKLOG_FRAMES = 16384
"""Room in the history beyond the frames that the windows need."""

CLIPPERS: Final[Mapping[str, Callable[[Samples], Samples]]] = {
    "soft": soft_clip,
    "clamp": clamp,
    "rescale": lambda samples: samples,  # needs the whole stem, so the sinks of files do it
    "none": lambda samples: samples,
}


@dataclass(frozen=True, slots=True)
class TrackSurvey:
    """The results of a first reading of the whole track.

    ``mean`` and ``deviation`` are of its mono mix at the model's rate, for ``normalize="track"``;
    ``gain`` is the factor that brings the track to the wanted loudness.
    """

    mean: float = 0.0
    deviation: float = 1.0
    gain: float = 1.0


class Front:
    """The way in, up to the model: converts to the model's channels and sample rate."""

    def __init__(self, plan: Plan, samplerate: int) -> None:
        bag = plan.bag
        self._channels = bag.channels
        self._resampler = make_resampler(
            samplerate, bag.samplerate, bag.channels, plan.settings.resampler
        )
        self.delay_frames = self._resampler.delay_frames

    def feed(self, mix: Samples) -> Samples:
        """Return the mix, ``(frames, channels)``, as the model wants it."""
        return self._resampler.feed(to_model(mix, self._channels))

    def flush(self) -> Samples:
        """Return the frames that the resampler held back."""
        return self._resampler.flush()


class Back:
    """The way out: converts the model's stems to the mix's sample rate and channels."""

    def __init__(self, plan: Plan, samplerate: int, channels: int) -> None:
        bag, stems = plan.bag, plan.carried_stems
        self._shape = (stems, bag.channels)
        self._channels = channels
        self._resampler = make_resampler(
            bag.samplerate, samplerate, stems * bag.channels, plan.settings.resampler
        )
        self.delay_frames = self._resampler.delay_frames

    def feed(self, stems: Samples) -> Samples:
        """Return ``(stems, frames, channels)`` at the rate and with the channels of the mix."""
        interleaved = stems.transpose(1, 0, 2).reshape(stems.shape[1], math.prod(self._shape))
        return self._stems(self._resampler.feed(interleaved))

    def flush(self) -> Samples:
        """Return the frames that the resampler held back."""
        return self._stems(self._resampler.flush())

    def _stems(self, interleaved: Samples) -> Samples:
        stems = interleaved.reshape(-1, *self._shape).transpose(1, 0, 2)
        return from_model(stems, self._channels)


class Separation:
    """Takes a stream of blocks; gives the stems as they are ready.

    Any split of the stream into blocks gives the same stems. The stems come at most
    ``delay_frames`` (at the stream's sample rate) after the audio, plus the worker's time.
    """

    def __init__(
        self,
        plan: Plan,
        samplerate: int,
        channels: int,
        survey: TrackSurvey,
        worker: WindowWorker,
        *,
        history_frames: int = 0,
        on_job: Callable[[WindowJob], None] | None = None,
    ) -> None:
        bag, settings = plan.bag, plan.settings
        self.mix_channels = plan.mix_channels(channels)
        self._plan = plan
        self._passes = [one.begin() for one in plan.passes]
        self._idle = False
        self._gain = np.float32(survey.gain)
        self._clip = CLIPPERS[settings.clip_mode]
        self._mix = Fifo()
        self._front = Front(plan, samplerate)
        self._level = make_leveler(
            settings.normalize, bag.samplerate, survey.mean, survey.deviation, bag.level_rms
        )
        self._windower = Windower(
            [
                PassWindows(index, one.schedule, one.input_frames)
                for index, one in enumerate(plan.passes)
            ],
            history_frames,
        )
        self._history = History(self._windower.capacity_frames + BACKLOG_FRAMES, bag.channels)
        self._worker = worker
        self._on_job = on_job
        self._stitchers = [Stitcher(one.share.shape[1], bag.channels) for one in plan.passes]
        self._gaps: GapTrack = (
            GapStem(len(plan.derivation.needed), bag.channels)
            if settings.live_windows
            else NoGaps()
        )
        self._mean = PassMean([one.share for one in plan.passes])
        self._back = Back(plan, samplerate, self.mix_channels)
        self.delay_frames = self._back.delay_frames + math.ceil(
            (self._front.delay_frames + self._windower.delay_frames + 1)
            * samplerate
            / bag.samplerate
        )
        self.waiting_windows = 0
        self.fed_frames = 0
        self.emitted_frames = 0
        self.repaired_samples = 0

    def take_in(self, block: Samples) -> Samples:
        """Take ``(frames, channels)``, float32; return the mix that `advance` wants next."""
        block, repaired = repair(np.array(block, np.float32))  # the caller may reuse the block
        mix = to_mix(block, self._plan.bag.channels)
        self.repaired_samples += repaired
        self.fed_frames += len(mix)
        self._mix.push(mix)
        return mix

    def advance(self, mix: Samples) -> Iterator[Stems]:
        """Feed the next ``(frames, channels)`` of the mix; yield the stems that are ready."""
        yield from self._collect()
        yield from self._advance(self._front.feed(mix))

    def flush(self) -> Iterator[Stems]:
        """End the stream; yield the rest of the stems, exactly as many frames as were fed."""
        # a live worker would drop a window that waits for the next one
        wait = self._gaps.may_drop
        yield from self._collect(wait=wait)
        yield from self._advance(self._front.flush())
        for window in self._windower.finish(self._history):
            yield from self._collect(wait=wait)
            self._submit(window)
        yield from self._collect(wait=True)
        for index, stitcher in enumerate(self._stitchers):
            yield from self._leave(index, stitcher.flush())
        yield from self._emit(self._back.flush())
        assert self.emitted_frames == self.fed_frames

    def switch(self, plan: Plan, *, idle: bool = False) -> None:
        """Use another plan for live windows, with the same stems, from the next window on.

        Its windows must look back at most ``history_frames``. With ``idle`` all windows are gaps.
        """
        self._idle = idle
        assert plan.derivation.names == self._plan.derivation.names
        (joined,) = plan.passes
        self._passes = [joined.begin()]
        self._windower.switch(PassWindows(0, joined.schedule, joined.input_frames))

    def warm_up(self) -> None:
        """Have the worker separate a quiet window, since a network is slow at its first one.

        The quiet window is a stream of its own and leaves nothing behind in this one.
        """
        joined = self._passes[0].begin()
        frames = joined.schedule.window_frames
        whole = joined.input_frames(frames)
        assert joined.schedule.around is not None
        before, _ = joined.schedule.around
        # a window of pure silence would be skipped
        quiet = np.full((whole, self._plan.bag.channels), 1e-3, np.float32)
        self._worker.submit(Window(0, 0, frames, before, quiet, joined.schedule), joined.separate)
        for _job in self._worker.finished(wait=True):
            pass

    def close(self) -> None:
        """Stop the worker after its present window."""
        self._worker.close()

    def _advance(self, audio: Samples) -> Iterator[Stems]:
        audio = self._level.feed(audio)
        while len(audio):
            audio = audio[self._history.write(audio) :]
            for window in self._windower.take(self._history):
                self._submit(window)
                yield from self._collect()

    def _submit(self, window: Window) -> None:
        separate = leave_out if self._idle else self._passes[window.pass_index].separate
        self._worker.submit(window, separate)
        self.waiting_windows += 1

    def _collect(self, *, wait: bool = False) -> Iterator[Stems]:
        for job in self._worker.finished(wait=wait):
            self.waiting_windows -= 1
            if self._on_job is not None:
                self._on_job(job)
            index, stitched = job.window.pass_index, self._stitch(job)
            del job  # its stems take as much memory as what is made of them
            yield from self._leave(index, stitched)

    def _stitch(self, job: WindowJob) -> Iterator[Samples]:
        window = job.window
        carried = self._gaps.carry(job.stems, window.kept_frames, window.schedule)
        stitcher = self._stitchers[window.pass_index]
        return stitcher.feed(window.start_frame, carried, window.schedule)

    def _leave(self, pass_index: int, stitched: Iterator[Samples]) -> Iterator[Stems]:
        for part in stitched:
            stems = self._mean.feed(pass_index, part)
            if stems.shape[1]:
                yield from self._emit(self._back.feed(self._gaps.level(stems, self._level.invert)))

    def _emit(self, stems: Samples) -> Iterator[Stems]:
        # resampling there and back may add a frame or two at the end
        frames = min(stems.shape[1], self.fed_frames - self.emitted_frames)
        if not frames:
            return
        mix, start = self._mix.pop(frames), self.emitted_frames
        self.emitted_frames += frames
        stems, separated, wet = self._gaps.split(stems[:, :frames], mix)
        data = self._plan.derivation.recipe(stems, separated)
        if self._gain != 1:
            data, mix = data * self._gain, mix * self._gain
        yield Stems(start, self._plan.derivation.names, self._clip(data), mix, wet)


def resampling_frames(samplerate: int, model_samplerate: int, engine: ResamplingEngine) -> int:
    """Return the part of ``delay_frames`` that comes from resampling, there and back."""
    there = make_resampler(samplerate, model_samplerate, 1, engine).delay_frames
    back = make_resampler(model_samplerate, samplerate, 1, engine).delay_frames
    return back + math.ceil((there + 1) * samplerate / model_samplerate)
