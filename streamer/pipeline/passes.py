"""The plan for every frame of a stream: which models see it, in which windows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from streamer.audio import Samples
from streamer.errors import ModelError, SettingsError
from streamer.models.separator import Bag, Member, ModelStream, Streaming, Stride
from streamer.pipeline.derive import Derivation, derive
from streamer.pipeline.schedule import Schedule, live_shifts, shift_offsets
from streamer.pipeline.stitch import PassMean
from streamer.pipeline.windows import Window
from streamer.settings import CROSSFADE_SECONDS, HOP_SECONDS, LOOKAHEAD_SECONDS, StreamSettings


class Pass(Protocol):
    """One way over the stream, as far as the path needs to know it.

    ``share`` is ``(needed, kept)``: the weight of each stem of this pass in each needed stem.
    """

    @property
    def schedule(self) -> Schedule:
        """How it cuts the stream."""
        ...

    @property
    def share(self) -> Samples:
        """See above."""
        ...

    def input_frames(self, window_frames: int) -> int:
        """Return how many frames the model sees for a window, unless the schedule says so."""
        ...

    @property
    def separate(self) -> Callable[[Sequence[Window]], Sequence[Samples]]:
        """A function that returns the kept stems of each window, ``(kept, frames, channels)``.

        The windows are equally long. Windows of passes with the same function can be separated
        together.

        Raises:
            ModelError: the model failed, or its result is not finite.
        """
        ...

    def begin(self) -> Pass:
        """Return the same pass for a new stream, with an empty memory."""
        ...


@dataclass(frozen=True, eq=False)
class StatelessModel:
    """The `Pass.separate` of all passes of a member; ``kept`` are the stems that it helps make."""

    member: Member
    kept: tuple[int, ...]

    def __call__(self, windows: Sequence[Window]) -> list[Samples]:
        """See `Pass.separate`."""
        first = min(window.left_frames for window in windows)
        last = max(window.left_frames + window.kept_frames for window in windows)
        seen = np.stack([window.data for window in windows])
        try:
            stems = self.member.separator(seen, slice(first, last))
        except ModelError as error:
            if len(windows) == 1:
                seconds = max(0, windows[0].start_frame) / self.member.separator.samplerate
                raise ModelError(f"{error} (in the window at {seconds:.1f} s)") from error
        else:
            return [
                self._kept(some, window.left_frames - first, window.kept_frames)
                for window, some in zip(windows, stems, strict=True)
            ]
        # one by one shows which window fails
        return [self([window])[0] for window in windows]

    def begin(self) -> StatelessModel:
        """Return itself: it remembers nothing."""
        return self

    def _kept(self, stems: Samples, start: int, frames: int) -> Samples:
        part = stems[:, start : start + frames]
        # a choice of stems is a copy, which takes memory
        return part if self.kept == tuple(range(len(stems))) else part[list(self.kept)]


class StatefulModel:
    """The `Pass.separate` of a member that remembers the stream, and its position there.

    A window carries some past. If windows before it were dropped, the member catches up from that
    past. If the past is too short, the member forgets what it heard. Each stream needs its own
    object (`begin`), since a position does not tell which stream it is from.
    """

    def __init__(self, member: Member, kept: tuple[int, ...]) -> None:
        self.member = member
        self.kept = kept
        self._stream: ModelStream | None = None
        self._position = 0  # of the first frame that was not heard yet

    def __call__(self, windows: Sequence[Window]) -> list[Samples]:
        """See `Pass.separate`; to be called in order, by one thread at a time.

        The last of several windows contains the new audio of all. It is heard in one go.
        """
        kept: list[Samples] = []
        while len(kept) < len(windows):
            rest = windows[len(kept) :]
            kept += self._hear(rest if self._goes_on(rest) else rest[:1])
        return kept

    def begin(self) -> StatefulModel:
        """Return the same for another stream."""
        return StatefulModel(self.member, self.kept)

    def _goes_on(self, windows: Sequence[Window]) -> bool:
        """Return whether the windows go on where the memory ends.

        The last one must reach back to the frame that was heard last, and no frame that is to be
        kept of the first one may have been given out before.
        """
        first, last = windows[0], windows[-1]
        reaches_back = last.start_frame - last.left_frames <= self._position
        given_frames = self._position - self._lookahead_frames
        return self._stream is not None and reaches_back and given_frames <= first.start_frame

    @property
    def _lookahead_frames(self) -> int:
        return self._separator.stride.lookahead_frames

    @property
    def _separator(self) -> Streaming:
        assert isinstance(self.member.separator, Streaming)
        return self.member.separator

    def _hear(self, windows: Sequence[Window]) -> list[Samples]:
        """Hear the new part of the last window; return the kept stems of each window."""
        last = windows[-1]
        first_frame = last.start_frame - last.left_frames
        if not self._goes_on(windows):
            # before the start of the stream there is nothing, not even silence
            self._stream, self._position = self._separator.begin(), max(0, first_frame)
        assert self._stream is not None
        stream, heard_before = self._stream, self._position
        self._stream = None  # after a failure half-way the position is lost
        try:
            stems = stream(last.data[heard_before - first_frame :])
        except ModelError as error:
            seconds = max(0, last.start_frame) / self._separator.samplerate
            raise ModelError(f"{error} (in the window at {seconds:.1f} s)") from error
        self._stream, self._position = stream, first_frame + len(last.data)
        given_frame = heard_before - self._lookahead_frames
        return [self._kept(stems, w.start_frame - given_frame, w.kept_frames) for w in windows]

    def _kept(self, stems: Samples, start: int, frames: int) -> Samples:
        # a negative start would count from the end: sound of another moment
        assert 0 <= start <= stems.shape[1] - frames
        kept: Samples = stems[list(self.kept), start : start + frames]
        return kept


@dataclass(frozen=True, eq=False)
class MemberPass:
    """A `Pass` of one member of the bag, with one shift."""

    separate: StatelessModel | StatefulModel
    schedule: Schedule
    share: Samples

    def input_frames(self, window_frames: int) -> int:
        """See `Pass.input_frames`."""
        return self.separate.member.separator.input_frames(window_frames)

    def begin(self) -> MemberPass:
        """See `Pass.begin`."""
        return replace(self, separate=self.separate.begin())


@dataclass(frozen=True, eq=False)
class JoinedPass:
    """A `Pass` that runs several one after the other: a live window comes whole or not at all.

    Its windows hold all the audio that any of these passes wants to see.
    """

    passes: Sequence[MemberPass]
    schedule: Schedule
    share: Samples

    def input_frames(self, window_frames: int) -> int:
        """See `Pass.input_frames`."""
        assert self.schedule.around is not None
        before, after = self.schedule.around
        return before + window_frames + after

    def begin(self) -> JoinedPass:
        """See `Pass.begin`."""
        return replace(self, passes=[one.begin() for one in self.passes])

    def separate(self, windows: Sequence[Window]) -> list[Samples]:
        """See `Pass.separate`; here all needed stems are kept."""
        means = [PassMean([one.share for one in self.passes]) for _ in windows]
        for index, one in enumerate(self.passes):
            kept = one.separate([_seen(window, one.schedule) for window in windows])
            stems = [mean.feed(index, some) for mean, some in zip(means, kept, strict=True)]
        return stems


def _seen(window: Window, schedule: Schedule) -> Window:
    """Return a window as one of its passes sees it."""
    assert schedule.around is not None
    before, after = schedule.around
    begin = window.left_frames - before
    frames = before + schedule.window_frames + after
    return replace(window, left_frames=before, data=window.data[begin : begin + frames])


@dataclass(frozen=True, eq=False)
class Plan:
    """The plan for every frame of any stream: the model, its passes, the stems."""

    bag: Bag
    settings: StreamSettings
    derivation: Derivation
    passes: tuple[Pass, ...]

    @classmethod
    def make(cls, bag: Bag, settings: StreamSettings) -> Plan:
        """Return the plan for a model; its passes are the bag's members times the shifts.

        Raises:
            SettingsError: the settings ask for a stem that the model lacks, or for windows that it
                cannot have.
        """
        derivation = derive(bag.name, bag.names, settings)
        passes: Sequence[Pass]
        if settings.live_windows:
            passes = [_joined_pass(bag, settings, derivation)]
        else:
            shifts = shift_offsets(len(bag.members), settings.shifts, bag.samplerate, settings.seed)
            passes = _member_passes(
                bag,
                derivation,
                shifts if bag.stride is None else [[0] for _ in bag.members],
                lambda member, offset: _file_schedule(bag, member, offset, settings),
            )
        return cls(bag, settings, derivation, tuple(passes))

    def mix_channels(self, channels: int) -> int:
        """Return how many channels the stems of a source with ``channels`` have."""
        return 1 if channels == 1 else self.bag.channels

    @property
    def carried_stems(self) -> int:
        """How many stems travel to `Back`: with live windows one more, which marks the gaps."""
        return len(self.derivation.needed) + self.settings.live_windows


def _member_passes(
    bag: Bag,
    derivation: Derivation,
    shifts: Sequence[Sequence[int]],
    schedule: Callable[[Member, int], Schedule],
) -> list[MemberPass]:
    """Return the passes of each member, one for each of its ``shifts``."""
    stems = [bag.names.index(name) for name in derivation.needed]
    totals = np.sum([member.weights for member in bag.members if member is not None], axis=0)
    passes = []
    for member, offsets in zip(bag.members, shifts, strict=True):
        if member is None:
            continue
        kept = tuple(stem for stem in stems if member.weights[stem])
        share = np.zeros((len(stems), len(kept)), np.float32)
        for column, stem in enumerate(kept):
            share[stems.index(stem), column] = member.weights[stem] / totals[stem] / len(offsets)
        separate = (StatefulModel if _remembers(member) else StatelessModel)(member, kept)
        passes += [MemberPass(separate, schedule(member, offset), share) for offset in offsets]
    return passes


def _joined_pass(bag: Bag, settings: StreamSettings, derivation: Derivation) -> JoinedPass:
    if bag.stride is None:
        schedule, shifts = _live_schedule(bag, settings)
    else:
        schedule = _stream_schedule(bag, bag.stride, settings)
        shifts = [[0] for _ in bag.members]
    passes = _member_passes(bag, derivation, shifts, lambda _, shift: schedule.shifted(shift))
    assert schedule.around is not None
    before, after = schedule.around
    farthest = max(map(max, shifts))
    return JoinedPass(
        passes,
        replace(schedule, around=(before + farthest, after)),
        np.eye(len(derivation.needed) + 1, dtype=np.float32),
    )


def _live_schedule(bag: Bag, settings: StreamSettings) -> tuple[Schedule, list[list[int]]]:
    """Return the schedule of live windows that the settings ask for, and each member's shifts."""
    rate = bag.samplerate
    hop = round((settings.hop or HOP_SECONDS) * rate)
    lookahead = round(_either(settings.lookahead, LOOKAHEAD_SECONDS) * rate)
    crossfade = round(_either(settings.crossfade, CROSSFADE_SECONDS) * rate)
    if settings.crossfade is None:
        crossfade = min(crossfade, hop, lookahead)
    sees = min(one.window_frames for one in bag.separators)
    schedule = Schedule.live(sees, hop, lookahead, crossfade)
    members = len(bag.members)
    return schedule, live_shifts(members, settings.shifts, lookahead - crossfade, settings.seed)


def _file_schedule(bag: Bag, member: Member, offset: int, settings: StreamSettings) -> Schedule:
    """Return the schedule of one member in a file run: each has its own."""
    separator = member.separator
    if not isinstance(separator, Streaming):
        return Schedule.offline(separator.window_frames, settings.overlap, first_start=offset)
    check_stream(bag.name, separator.stride, bag.samplerate, settings)
    return _along(separator.stride, separator.window_frames)


def _stream_schedule(bag: Bag, stride: Stride, settings: StreamSettings) -> Schedule:
    """Return the schedule of live windows for a model that remembers."""
    check_stream(bag.name, stride, bag.samplerate, settings)
    hops = max(1, round((settings.hop or 0) * bag.samplerate / stride.hop_frames))
    return _along(stride, stride.window_frames(hops))


def _along(stride: Stride, window_frames: int) -> Schedule:
    """Return windows without overlap, in whole hops of the network."""
    new_frames = stride.new_frames(window_frames)
    return Schedule.live(window_frames, new_frames, stride.lookahead_frames, 0)


def check_stream(model: str, stride: Stride, samplerate: int, settings: StreamSettings) -> None:
    """Refuse settings that only models with windows have.

    Raises:
        SettingsError: the settings want another lookahead, or a crossfade.
    """
    lookahead, crossfade, own = settings.lookahead, settings.crossfade, stride.lookahead_frames
    if lookahead is not None and round(lookahead * samplerate) != own:
        raise SettingsError(
            f"lookahead={lookahead:g} cannot be chosen: {model} always has "
            f"{own / samplerate:.4g} seconds; leave it out"
        )
    if crossfade:
        raise SettingsError(
            f"crossfade={crossfade:g} cannot be chosen: {model} has no windows that could blend; "
            "leave it out"
        )


def _remembers(member: Member | None) -> bool:
    """Return whether a member goes along the stream, and has no windows to shift."""
    return member is not None and isinstance(member.separator, Streaming)


def _either(value: float | None, default: float) -> float:
    return default if value is None else value
