"""The core, with the interface of an audio plugin: it fits into any host's loop."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Unpack, get_args

from streamer.arguments import as_block, check_callable, check_choice, check_kind, check_number
from streamer.audio import FASTEST_HZ, SLOWEST_HZ, Samples, Stems
from streamer.errors import SettingsError
from streamer.forked import refuse_forked
from streamer.models import load
from streamer.models.separator import Bag
from streamer.options import StreamOptions
from streamer.pipeline.delay import FADE_FRAMES, ConstantDelay, Fallback
from streamer.pipeline.passes import Plan
from streamer.pipeline.separation import Separation, TrackSurvey
from streamer.pipeline.worker import LiveWorker, WindowJob, WindowWorker, Worker
from streamer.resolve import resolve
from streamer.settings import MOST_BATCH, StreamSettings

MOST_SECONDS: Final = 600.0
"""The longest compute budget or context, as long as the longest window."""
MOST_JOBS: Final = 1024
MOST_FRAMES: Final = 1 << 24
"""The longest block: minutes."""
MOST_CHANNELS: Final = 1024
_ANOTHER: Final = "call reset() to begin another"
_ENDED: Final = "the stream has ended with flush()"
_NOT_PREPARED: Final = "the processor is not prepared; call prepare() first"


@dataclass(frozen=True)
class Live:
    """The settings of a `Processor` that must never wait.

    Stems come ``compute_seconds`` after their windows are full. Later stems are replaced by the
    ``fallback`` and counted. Of windows that one block completes the newest wins: give blocks that
    are no longer than a hop. ``history_seconds`` is the longest context of any plan that
    `Processor.switch` brings later. ``worker`` makes the worker; its argument is how many windows
    may wait. ``on_job`` is called with each finished window, before its stems come out.

    Raises:
        SettingsError: a value is out of its range.
    """

    compute_seconds: float = 0.25
    fallback: Fallback = "dry"
    history_seconds: float = 0.0
    worker: Callable[[int], WindowWorker] = LiveWorker
    on_job: Callable[[WindowJob], None] | None = None

    def __post_init__(self) -> None:
        check_number("compute_seconds", self.compute_seconds, 0, MOST_SECONDS, example=0.25)
        check_choice("fallback", self.fallback, get_args(Fallback))
        check_number("history_seconds", self.history_seconds, 0, MOST_SECONDS, example=0)
        check_callable("worker", self.worker, "worker=LiveWorker")
        if self.on_job is not None:
            check_callable("on_job", self.on_job, "on_job=print")

    def make_worker(self, plan: Plan) -> WindowWorker:
        """Return what runs the model of a plan."""
        stride = plan.bag.stride
        if stride is None:
            return self.worker(1)
        # devices bring hops in bursts; the model hears waiting hops in one go
        (joined,) = plan.passes
        return self.worker(max(1, stride.context_frames // joined.schedule.hop_frames))

    def wait_frames(self, samplerate: int, blocksize: int) -> int:
        """Return how long stems are waited for, beyond their windows.

        A window may be full with the first frame of a block, and is handed over with its last.
        """
        return math.ceil(self.compute_seconds * samplerate) + FADE_FRAMES + blocksize - 1


@dataclass(frozen=True)
class _Whole:
    """How a `Processor` behaves that loses nothing: it waits for its stems."""

    jobs: int
    batch: int
    fallback: Fallback | None = None
    history_seconds: float = 0.0
    on_job: Callable[[WindowJob], None] | None = None

    def make_worker(self, _plan: Plan) -> WindowWorker:
        return Worker(self.jobs, self.batch)

    def wait_frames(self, _samplerate: int, _blocksize: int) -> int:
        return 0


class Processor:
    """Separates a stream of blocks.

    ::

        p = streamer.Processor(model="htdemucs_mini")
        p.prepare(samplerate=48000, blocksize=512, channels=2)
        stems = p.process(block)     # as many frames, delayed by p.latency_frames

    The options are the fields of `streamer.settings.Settings`. ``bag`` gives the model itself
    instead of its name. With ``jobs=0`` the model runs in place. Otherwise ``jobs`` threads run it,
    up to ``batch`` windows at a time, and `feed` waits only if they fall behind. With ``live`` one
    thread runs it and nothing ever waits; ``hop`` and ``lookahead`` then set the delay::

        p = streamer.Processor(model="htdemucs_mini", hop=0.25, lookahead=0.1, live=Live())

    After an error of the model, Ctrl-C, or a `through` that was left early, `reset` it. One thread
    at a time may use it. It does not work in a process that was forked after a model was loaded:
    such a process lacks the threads that run models.

    Raises:
        SettingsError: an argument or an option is wrong.
    """

    def __init__(
        self,
        settings: StreamSettings | None = None,
        *,
        bag: Bag | None = None,
        jobs: int = 0,
        batch: int = 1,
        live: Live | None = None,
        **options: Unpack[StreamOptions],
    ) -> None:
        if settings is not None:
            check_kind("settings", settings, StreamSettings, "settings=streamer.Settings()")
            if options:
                raise SettingsError(
                    f"settings and {', '.join(options)} say the same; give the options, or "
                    f"Settings({next(iter(options))}=...)"
                )
        if bag is not None:
            check_kind("bag", bag, Bag, "bag=streamer.load('htdemucs_mini')")
        if live is not None:
            check_kind("live", live, Live, "live=Live()")
        check_number("jobs", jobs, 0, MOST_JOBS, whole=True, example=0)
        check_number("batch", batch, 1, MOST_BATCH, whole=True, example=1)
        self.settings = settings or resolve(options, called=str).settings
        if live is not None and not self.settings.live_windows:
            raise SettingsError("a live processor needs live windows; give hop and lookahead")
        self.plan = self._first_plan = Plan.make(bag or load_bag(self.settings), self.settings)
        # a model that remembers must see the stream in order
        self._jobs = min(int(jobs), 1) if self.plan.bag.streaming else int(jobs)
        self._policy = live or _Whole(self._jobs, int(batch))
        self._separation: Separation | None = None
        self._in_use = threading.Lock()
        self._over = ""  # why the stream cannot go on

    @property
    def names(self) -> tuple[str, ...]:
        """The stems that come out."""
        return self.plan.derivation.names

    def prepare(
        self, samplerate: int, blocksize: int, channels: int, survey: TrackSurvey | None = None
    ) -> None:
        """Prepare for a stream of this shape, and begin it.

        ``samplerate`` is in Hz; `process` takes blocks of up to ``blocksize`` frames.

        Raises:
            SettingsError: no stream can have this shape, or a setting needs the whole track first
                and no survey is given.
        """
        hertz = (SLOWEST_HZ, FASTEST_HZ)
        check_number("samplerate", samplerate, *hertz, whole=True, example=48000)
        check_number("blocksize", blocksize, 1, MOST_FRAMES, whole=True, example=512)
        check_number("channels", channels, 1, MOST_CHANNELS, whole=True, example=2)
        if survey is not None:
            check_kind("survey", survey, TrackSurvey, "survey=None")
        if survey is None and self.settings.needs_survey:
            raise SettingsError(
                "normalize=track and loudness need the whole track first, and a stream has no "
                "whole; try normalize=rms and no loudness, or separate a file"
            )
        self._shape = (int(samplerate), int(channels), survey or TrackSurvey())
        self._blocksize = blocksize
        self.reset()

    def reset(self) -> None:
        """Forget the stream and begin another of the same shape; SettingsError: it has none yet."""
        if not hasattr(self, "_shape"):
            raise SettingsError(_NOT_PREPARED)
        self.close()
        policy, self.plan = self._policy, self._first_plan
        self._separation = Separation(
            self.plan,
            *self._shape,
            policy.make_worker(self.plan),
            history_frames=math.ceil(policy.history_seconds * self.plan.bag.samplerate),
            on_job=policy.on_job,
        )
        self._delay: ConstantDelay | None = None
        self._over = ""

    @property
    def latency_frames(self) -> int:
        """The delay of `process` in frames, at the prepared sample rate. It never changes."""
        return self._stream.delay_frames + self._policy.wait_frames(self._shape[0], self._blocksize)

    @property
    def missing_frames(self) -> int:
        """How many frames of stems `process` has replaced so far: late, skipped or failed."""
        return self._delay.missing_frames if self._delay is not None else 0

    @property
    def repaired_samples(self) -> int:
        """How many samples so far were not finite numbers and became silence."""
        return self._stream.repaired_samples

    @property
    def emitted_frames(self) -> int:
        """How many frames of stems the stream has given so far."""
        return self._stream.emitted_frames

    @property
    def waiting_windows(self) -> int:
        """How many windows were handed to the model and have not come back."""
        return self._stream.waiting_windows

    def process(self, block: Samples) -> Stems:
        """Take ``(frames, channels)`` and return the same number of frames of stems.

        They are the stems of `feed` and `flush`, `latency_frames` later; silence comes first.
        Positions count from the first frame that went in, so the silence has negative positions.

        Raises:
            SettingsError: the block has another shape than prepared or is not of floats, the model
                runs on threads, the stream began with `feed`, is over or lost a part, or another
                thread uses the processor.
        """
        with self._going_on() as stream:
            if self._jobs:
                raise SettingsError(
                    "process() runs the model in place; make the Processor with jobs=0"
                )
            block = as_block(block, self._shape[1])
            if len(block) > self._blocksize:
                raise SettingsError(
                    f"the block is {block.shape}; prepare() was told (at most {self._blocksize}, "
                    f"{self._shape[1]}), so prepare again or split the block"
                )
            if self._delay is None:
                if stream.fed_frames:
                    raise SettingsError(f"the stream began with feed(); {_ANOTHER} for process()")
                self._delay = ConstantDelay(
                    self.names, self.latency_frames, stream.mix_channels, self._policy.fallback
                )
            mix = stream.take_in(block)
            self._delay.take_in(mix)
            for stems in stream.advance(mix):
                self._delay.push(stems)
            return self._delay.pop(len(block))

    def feed(self, block: Samples) -> list[Stems]:
        """Take ``(frames, channels)`` of any length; return the stems that are ready.

        A block of 0 frames only asks for stems.

        Raises:
            SettingsError: the block has other channels than prepared or is not of floats, the
                stream began with `process`, is over or lost a part, or another thread uses the
                processor.
        """
        with self._going_on() as stream:
            return list(self._advanced(stream, block))

    def through(self, blocks: Iterable[Samples]) -> Iterator[Stems]:
        """`feed` each block, then `flush`; yield the stems as they are ready.

        A window's stems come in parts: who takes one after the other never holds them all.

        Raises:
            SettingsError: as `feed`.
        """
        for block in blocks:
            with self._going_on() as stream:
                yield from self._advanced(stream, block)
        with self._going_on() as stream:
            self._over = _ENDED
            yield from stream.flush()

    def _advanced(self, stream: Separation, block: Samples) -> Iterator[Stems]:
        if self._delay is not None:
            raise SettingsError(f"the stream began with process(); {_ANOTHER} for feed()")
        return stream.advance(stream.take_in(as_block(block, self._shape[1])))

    def flush(self) -> list[Stems]:
        """End the stream and return the rest of the stems. `reset` begins another stream.

        Raises:
            SettingsError: the stream has already ended or lost a part, or another thread uses the
                processor.
        """
        with self._going_on() as stream:
            self._over = _ENDED
            rest = list(stream.flush())
            if self._delay is None:
                return rest
            for stems in rest:
                self._delay.push(stems)
            return [self._delay.pop(self._delay.frames, ending=True)]

    def switch(self, plan: Plan, *, idle: bool = False) -> None:
        """Change the live windows, or the model, from the next window on. The stems stay the same.

        The delay stays too, so the new hop and lookahead must fit into it; `reset` undoes it all.
        With ``idle`` no window is separated: all are gaps.

        Raises:
            SettingsError: the processor is not live, or the plan has other stems.
        """
        check_kind("plan", plan, Plan, "Plan.make(bag, settings)")
        stream = self._live_stream()
        if plan.derivation.names != self.names or not plan.settings.live_windows:
            raise SettingsError(
                f"the plan must be of live windows and the stems {', '.join(self.names)}, as the "
                "processor's own; prepare another processor"
            )
        self.plan = plan
        stream.switch(plan, idle=idle)

    def warm_up(self) -> None:
        """Separate a quiet window, so that the first real one is quick; for live processors only.

        Raises:
            SettingsError: it is not live.
        """
        self._live_stream().warm_up()

    def close(self) -> None:
        """End the stream, and the worker's threads after their present window."""
        if self._separation is not None:
            self._separation.close()
            self._over = self._over or "the processor is closed"

    @property
    def _stream(self) -> Separation:
        if self._separation is None:
            raise SettingsError(_NOT_PREPARED)
        refuse_forked()
        return self._separation

    def _live_stream(self) -> Separation:
        if not isinstance(self._policy, Live):
            raise SettingsError("this processor is not live; make it with live=Live()")
        return self._stream

    @contextmanager
    def _going_on(self) -> Iterator[Separation]:
        """Enter the stream, for one thread at a time."""
        stream = self._stream
        if not self._in_use.acquire(blocking=False):
            raise SettingsError(
                "another thread is using this processor, or a through() that goes on; give each "
                "one of its own"
            )
        try:
            if self._over:
                raise SettingsError(f"{self._over}; {_ANOTHER}")
            yield stream
        except SettingsError:  # the model raises none: nothing was done
            raise
        except BaseException:
            if stream is self._separation:
                self._over = self._over or "the stream has lost a part where it failed or was left"
            raise
        finally:
            self._in_use.release()

    def __enter__(self) -> Processor:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def load_bag(settings: StreamSettings) -> Bag:
    """Load the model that the settings name; only the networks that the wanted stems need."""
    return load(
        settings.model,
        stems=settings.needed_stems,
        repo=settings.repo,
        trust_checkpoint=settings.trust_checkpoint,
        device=settings.device,
        threads=settings.torch_num_threads,
        window=settings.window,
        exact_window=settings.live_windows,
        backend=settings.backend,
        precision=settings.precision,
    )
