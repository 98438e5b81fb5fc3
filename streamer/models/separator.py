"""The interface of a model to the engine, and the bag of one or several networks.

A *separator* is one network behind one call. A *bag* averages several with a weight per source, as
`demucs.apply.BagOfModels` does; a single model is a bag of one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Protocol, runtime_checkable

import numpy as np

from streamer.audio import Samples
from streamer.errors import ModelError, SettingsError
from streamer.naming import distinct_names

WHOLE: Final = slice(None)
CONTEXT_FRAMES: Final = 10240
"""How much past the windows of a streaming network carry, at least: after dropped windows it
catches up from that. It is a time, since it remembers for a time, however short its hops are."""


class Separator(Protocol):
    """One network. It keeps no state between calls and may be called from several threads."""

    @property
    def names(self) -> tuple[str, ...]:
        """Its stems, in the order in which it returns them."""
        ...

    @property
    def samplerate(self) -> int:
        """Its sample rate in Hz."""
        ...

    @property
    def channels(self) -> int:
        """The number of channels of its input, and of each stem."""
        ...

    @property
    def window_frames(self) -> int:
        """The longest window that it separates at a time."""
        ...

    def input_frames(self, window_frames: int) -> int:
        """Return how many frames it wants to see for a window of ``window_frames``.

        Never less than that. The rest is real audio around the window, half on each side
        (`demucs.apply.TensorChunk.padded`).
        """
        ...

    def __call__(self, windows: Samples, kept: slice = WHOLE) -> Samples:
        """Separate ``(windows, frames, channels)`` into ``(windows, stems, kept, channels)``.

        ``kept`` are the wanted frames of each window; the others may be computed with less work.
        Every stem of silence is silence.
        """
        ...


@dataclass(frozen=True, slots=True)
class WindowKind:
    """Windows of ``seconds`` (None: the network's own).

    ``exact``: a transformer sees them as they are, not padded to its training length.
    """

    seconds: float | None = None
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Load:
    """The best load for a separator in a file run: windows in a call, and calls at a time."""

    windows: int = 1
    calls: int = 1


@runtime_checkable
class Adaptive(Separator, Protocol):
    """A separator that knows its best load, and adapts if it must."""

    def best_load(self) -> Load:
        """Return the best load; this may take the time of a window."""
        ...

    def take_notes(self) -> list[str]:
        """Return notes for the user on how it ran since the last call."""
        ...


@runtime_checkable
class LoadedLater(Separator, Protocol):
    """A separator that loads a part of itself at the first window."""

    def load_ahead(self) -> None:
        """Begin to load it beside the caller; what goes wrong is told at the first window."""
        ...


def best_load(separators: Iterable[Separator]) -> Load:
    """Return the best load for all of several separators, if they know one."""
    loads = [one.best_load() if isinstance(one, Adaptive) else Load() for one in separators]
    return Load(min(load.windows for load in loads), min(load.calls for load in loads))


def take_notes(separators: Iterable[Separator]) -> list[str]:
    """Return notes for the user on how separators ran since the last call."""
    adaptive = [one for one in separators if isinstance(one, Adaptive)]
    return [note for one in adaptive for note in one.take_notes()]


def load_ahead(separators: Iterable[Separator]) -> None:
    """Begin to load, beside the caller, what separators would load at the first window."""
    for one in separators:
        if isinstance(one, LoadedLater):
            one.load_ahead()


@dataclass(frozen=True, slots=True)
class Stride:
    """How a network steps along a stream. It remembers the past, so it needs no old audio again.

    It takes whole hops of ``hop_frames``, and gives the same number of frames of stems. They come
    ``lookahead_frames`` later; that is a number of whole hops, too.
    """

    hop_frames: int
    lookahead_frames: int

    @property
    def context_hops(self) -> int:
        """How many hops of `context_frames` there are."""
        return -(-CONTEXT_FRAMES // self.hop_frames)

    @property
    def context_frames(self) -> int:
        """The part of a window that the network has heard before, if none was dropped."""
        return self.context_hops * self.hop_frames

    def window_frames(self, hops: int) -> int:
        """Return the length of a window with this many new hops."""
        return self.context_frames + hops * self.hop_frames + self.lookahead_frames

    def new_frames(self, window_frames: int) -> int:
        """Return how much of a window is new: whole hops; 0 if it is too short for one."""
        new_frames = window_frames - self.context_frames - self.lookahead_frames
        return max(0, new_frames // self.hop_frames) * self.hop_frames


def window_of_song(
    samplerate: int, window_seconds: Fraction | float, most_seconds: Fraction | float | None
) -> int:
    """Return the length of the windows that a song is cut into, in whole frames.

    ``most_seconds`` is the most that the network takes; None: there is no such bound.

    Raises:
        SettingsError: a window is longer than that, or shorter than a frame.
    """
    # as `demucs.apply.apply_model` has it: seconds may be a Fraction, and int() cuts
    window_frames = int(samplerate * window_seconds)
    if most_seconds is not None and window_frames > int(samplerate * most_seconds):
        most = f"{float(most_seconds):g}"
        raise SettingsError(
            f"window={float(window_seconds):g} must be at most {most} seconds for this model; "
            f"try {most}"
        )
    if window_frames < 1:
        raise SettingsError(f"window={float(window_seconds):g} is less than one frame; try 2")
    return window_frames


FILE_HOPS: Final = 64
"""How many hops a streaming network gets at once in a file run."""


def window_of_stream(stride: Stride, samplerate: int, window_seconds: float | None) -> int:
    """Return the window length of a streaming network: as asked, or the best for files.

    Raises:
        SettingsError: no hop fits into a window.
    """
    if window_seconds is None:
        return stride.window_frames(FILE_HOPS)
    window_frames = round(window_seconds * samplerate)
    if not stride.new_frames(window_frames):
        least = math.ceil(100 * stride.window_frames(1) / samplerate) / 100
        raise SettingsError(
            f"window={window_seconds:g} must be at least {least:g} seconds for this model; "
            f"try {least:g}"
        )
    return window_frames


class ModelStream(Protocol):
    """A network on its way along one stream. It has state, and is called in order."""

    def __call__(self, heard: Samples) -> Samples:
        """Take whole hops, ``(frames, channels)``; return ``(stems, frames, channels)``."""
        ...


def along(stream: ModelStream, stride: Stride, song: Samples) -> Samples:
    """Separate a whole song as one stream; return its stems, without the delay.

    ``song`` is ``(frames, channels)``, the stems are ``(stems, frames, channels)``.
    """
    frames, lookahead = len(song), stride.lookahead_frames
    hops = -(-(frames + lookahead) // stride.hop_frames)
    heard = np.pad(song, ((0, hops * stride.hop_frames - frames), (0, 0)))
    size = FILE_HOPS * stride.hop_frames
    parts = [stream(heard[start : start + size]) for start in range(0, len(heard), size)]
    return np.concatenate(parts, axis=1)[:, lookahead : lookahead + frames]


@runtime_checkable
class Streaming(Separator, Protocol):
    """A separator that can also remember a stream; called with a window, it hears only that."""

    @property
    def stride(self) -> Stride:
        """How it steps along."""
        ...

    @property
    def level_rms(self) -> float:
        """The RMS of the music that it learnt from; it separates other levels less well."""
        ...

    def begin(self) -> ModelStream:
        """Begin a new stream, with an empty memory."""
        ...


@dataclass(frozen=True)
class Member:
    """One network of a bag. ``weights`` has one number per source; 0: not used for it."""

    separator: Separator
    weights: tuple[float, ...]


@dataclass(frozen=True)
class Bag:
    """A model as the engine sees it: its members, all with the same stems, rate, channels, stride.

    A member that the wanted stems do not need is None (its weights are not even loaded). Its place
    stays, so the random shifts of the others never change. ``note`` tells the user how the model
    was chosen, ``backend`` and ``device`` what it runs on, ``weights`` the digest of its weights.

    Raises:
        ModelError: the stems' names cannot be file names in one folder.
    """

    name: str
    members: Sequence[Member | None]
    names: tuple[str, ...]
    samplerate: int
    channels: int
    note: str | None = None
    backend: str = ""
    device: str = ""
    weights: str = ""

    def __post_init__(self) -> None:
        """Check the names: they become names of files."""
        try:
            distinct_names(self.names)
        except ValueError as error:
            raise ModelError(f"the stems of {self.name} cannot be files: {error}") from None

    @property
    def separators(self) -> list[Separator]:
        """Those of the members that are there."""
        return [member.separator for member in self.members if member is not None]

    @property
    def streaming(self) -> list[Streaming]:
        """Those of its separators that remember the stream."""
        return [one for one in self.separators if isinstance(one, Streaming)]

    @property
    def stride(self) -> Stride | None:
        """How its members step along a stream; None: they take windows."""
        return next((one.stride for one in self.streaming), None)

    @property
    def level_rms(self) -> float:
        """The best RMS for the music; networks with windows normalize it themselves."""
        return next((one.level_rms for one in self.streaming), 1.0)

    def load_ahead(self) -> None:
        """Begin to load, beside the caller, what the members would load at the first window."""
        load_ahead(self.separators)

    def best_load(self) -> Load:
        """Return the best load for all members, if they know one."""
        return best_load(self.separators)

    def take_notes(self) -> list[str]:
        """Return notes for the user on how the members ran since the last call."""
        return take_notes(self.separators)
