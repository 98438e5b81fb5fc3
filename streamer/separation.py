"""One stream on its way through the stages, top to bottom.

::

    block -> channels -> resample -> level -> ring -> windows -> worker (model)
          -> stitch -> mean of passes -> level back -> resample -> channels -> derive, gain, clip
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from ringbuffer import Ring
from streamer.audio import Samples, Stems
from streamer.channels import from_model, repair, to_mix, to_model
from streamer.derive import Derivation, derive
from streamer.errors import ModelError
from streamer.fifo import Fifo
from streamer.level import clamp, make_leveler, soft_clip
from streamer.models.separator import Bag, Member
from streamer.resample import make_resampler
from streamer.schedule import Schedule, shift_offsets
from streamer.settings import Settings
from streamer.stitch import PassMean, Stitcher
from streamer.windows import PassWindows, Window, Windower
from streamer.worker import Worker

BACKLOG_FRAMES = 16384
"""How much the ring takes beyond what the windows keep in it."""
EMIT_FRAMES = 16384
"""How much goes on from the stitcher at a time: a window's worth would be copied at every stage, in
memory that the model wants at that moment, and would leave the processor's cache in between."""

CLIPPERS: Final[Mapping[str, Callable[[Samples], Samples]]] = {
    "soft": soft_clip,
    "clamp": clamp,
    "rescale": lambda samples: samples,  # needs the whole stem, so the files' sinks do it
    "none": lambda samples: samples,
}


@dataclass(frozen=True, slots=True)
class Survey:
    """What a first pass over the whole track found out.

    ``mean`` and ``deviation`` are of its mono mix at the model's rate, for ``normalize="track"``;
    ``gain`` is the factor that brings it to the wanted loudness.
    """

    mean: float = 0.0
    deviation: float = 1.0
    gain: float = 1.0


@dataclass(frozen=True, eq=False)
class Pass:
    """One way over the stream: a member of the bag, with a shift.

    ``kept`` are the model's stems that the member counts in; ``share`` is ``(needed, kept)``: how
    much each counts in each of the needed stems.
    """

    member: Member
    schedule: Schedule
    kept: tuple[int, ...]
    share: Samples

    def separate(self, window: Window) -> Samples:
        """Return the kept stems of the window proper, ``(kept, frames, channels)``.

        Raises:
            ModelError: the model failed, or what it gave is not finite.
        """
        separator = self.member.separator
        try:
            stems = separator(window.data[np.newaxis])[0]
        except ModelError as error:
            seconds = max(0, window.start_frame) / separator.samplerate
            raise ModelError(f"{error} (in the window at {seconds:.1f} s)") from error
        end = window.left_frames + window.kept_frames
        kept: Samples = stems[list(self.kept), window.left_frames : end]
        return kept


@dataclass(frozen=True, eq=False)
class Plan:
    """What is to be done with every frame of any stream: the model, its passes, the stems."""

    bag: Bag
    settings: Settings
    derivation: Derivation
    passes: tuple[Pass, ...]

    @classmethod
    def make(cls, bag: Bag, settings: Settings) -> Plan:
        """Return the plan for a model; its passes are the bag's members times the shifts.

        Raises:
            SettingsError: the settings ask for a stem that the model has not.
        """
        derivation = derive(bag.names, settings)
        stems = [bag.names.index(name) for name in derivation.needed]
        totals = np.sum([member.weights for member in bag.members if member is not None], axis=0)
        shifts = shift_offsets(len(bag.members), settings.shifts, bag.samplerate, settings.seed)
        passes = []
        for member, offsets in zip(bag.members, shifts, strict=True):
            if member is None:
                continue
            kept = tuple(stem for stem in stems if member.weights[stem])
            share = np.zeros((len(stems), len(kept)), np.float32)
            for column, stem in enumerate(kept):
                share[stems.index(stem), column] = (
                    member.weights[stem] / totals[stem] / len(offsets)
                )
            for offset in offsets:
                schedule = Schedule.offline(
                    member.separator.window_frames, settings.overlap, first_start=offset
                )
                passes.append(Pass(member, schedule, kept, share))
        return cls(bag, settings, derivation, tuple(passes))

    def mix_channels(self, channels: int) -> int:
        """Return how many channels the stems of a source with ``channels`` have."""
        return 1 if channels == 1 else self.bag.channels


class Front:
    """The way in, as far as it needs no model: the model's channels and its sample rate."""

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
    """The way out: from the model's stems to the mix's sample rate and channels."""

    def __init__(self, plan: Plan, samplerate: int, channels: int) -> None:
        bag, stems = plan.bag, len(plan.derivation.needed)
        self._shape = (stems, bag.channels)
        self._channels = channels
        self._resampler = make_resampler(
            bag.samplerate, samplerate, stems * bag.channels, plan.settings.resampler
        )
        self.delay_frames = self._resampler.delay_frames

    def feed(self, stems: Samples) -> Samples:
        """Return ``(stems, frames, channels)`` as the mix has them."""
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

    Any split of the stream into blocks gives the same stems. What has come out lags what has gone
    in by at most ``lag_frames``, at the stream's sample rate, where the model runs in place
    (``jobs=0``).
    """

    def __init__(
        self, plan: Plan, samplerate: int, channels: int, survey: Survey, jobs: int
    ) -> None:
        bag, settings = plan.bag, plan.settings
        self.mix_channels = plan.mix_channels(channels)
        self._model_channels = bag.channels
        self._derivation = plan.derivation
        self._gain = np.float32(survey.gain)
        self._clip = CLIPPERS[settings.clip_mode]
        self._mix = Fifo()
        self._front = Front(plan, samplerate)
        self._level = make_leveler(
            settings.normalize, bag.samplerate, survey.mean, survey.deviation
        )
        self._windower = Windower(
            [
                PassWindows(index, one.schedule, one.member.separator.input_frames)
                for index, one in enumerate(plan.passes)
            ]
        )
        self._ring = Ring(self._windower.capacity_frames + BACKLOG_FRAMES, bag.channels)
        self._worker = Worker(lambda window: plan.passes[window.pass_index].separate(window), jobs)
        self._stitchers = [
            Stitcher(one.schedule, len(one.kept), bag.channels) for one in plan.passes
        ]
        self._mean = PassMean([one.share for one in plan.passes])
        self._back = Back(plan, samplerate, self.mix_channels)
        self.lag_frames = self._back.delay_frames + math.ceil(
            (self._front.delay_frames + self._windower.lag_frames + 1) * samplerate / bag.samplerate
        )
        self.fed_frames = 0
        self.emitted_frames = 0
        self.repaired_samples = 0

    def feed(self, block: Samples) -> Iterator[Stems]:
        """Take ``(frames, channels)``, float32; yield the stems that are ready."""
        block, repaired = repair(np.array(block, np.float32))  # the caller may reuse the block
        mix = to_mix(block, self._model_channels)
        self.repaired_samples += repaired
        self.fed_frames += len(mix)
        self._mix.push(mix)
        yield from self._advance(self._front.feed(mix))

    def flush(self) -> Iterator[Stems]:
        """End the stream; yield the rest of the stems, up to exactly the frames that were fed."""
        yield from self._advance(self._front.flush())
        for window in self._windower.finish(self._ring):
            self._worker.submit(window)
            yield from self._collect()
        yield from self._collect(wait=True)
        for index, stitcher in enumerate(self._stitchers):
            yield from self._leave(index, stitcher.flush())
        yield from self._emit(self._back.flush())
        assert self.emitted_frames == self.fed_frames

    def close(self) -> None:
        """Stop the worker: within the window that it is at."""
        self._worker.close()

    def _advance(self, audio: Samples) -> Iterator[Stems]:
        audio = self._level.feed(audio)
        while len(audio):
            audio = audio[self._ring.write(audio) :]
            for window in self._windower.take(self._ring):
                self._worker.submit(window)
                yield from self._collect()

    def _collect(self, *, wait: bool = False) -> Iterator[Stems]:
        for window, stems in self._worker.finished(wait=wait):
            index = window.pass_index
            yield from self._leave(index, self._stitchers[index].feed(stems))

    def _leave(self, pass_index: int, stitched: Samples) -> Iterator[Stems]:
        stems = self._mean.feed(pass_index, stitched)
        for start in range(0, stems.shape[1], EMIT_FRAMES):
            part = self._level.invert(stems[:, start : start + EMIT_FRAMES])
            yield from self._emit(self._back.feed(part))

    def _emit(self, stems: Samples) -> Iterator[Stems]:
        # resampling there and back may round the end up by a frame or two
        frames = min(stems.shape[1], self.fed_frames - self.emitted_frames)
        if not frames:
            return
        mix, start = self._mix.pop(frames), self.emitted_frames
        self.emitted_frames += frames
        data = self._derivation.recipe(stems[:, :frames], mix)
        if self._gain != 1:
            data, mix = data * self._gain, mix * self._gain
        yield Stems(start, self._derivation.names, self._clip(data), mix)
