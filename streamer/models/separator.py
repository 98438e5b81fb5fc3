"""What the engine asks of a model, and the bag that holds one or several.

A *separator* is one network behind one call. A *bag* averages several with a weight per source, as
`demucs.apply.BagOfModels` does; a single model is a bag of one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

import numpy as np

from streamer.audio import Samples
from streamer.errors import ModelError, SettingsError
from streamer.naming import distinct_names

WHOLE: Final = slice(None)
CONTEXT_HOPS: Final = 20
"""How much of the past the windows of a streaming network carry: what is dropped between two of
them is caught up from it."""


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
        """How many channels it takes, and each of its stems has."""
        ...

    @property
    def window_frames(self) -> int:
        """The window that it separates at a time, at most."""
        ...

    def input_frames(self, window_frames: int) -> int:
        """Return how many frames it wants to be given for a window of ``window_frames``.

        Never less than that. What is more is real audio around the window, half on each side
        (`demucs.apply.TensorChunk.padded`).
        """
        ...

    def __call__(self, windows: Samples, kept: slice = WHOLE) -> Samples:
        """Separate ``(windows, frames, channels)`` into ``(windows, stems, kept, channels)``.

        ``kept`` are the frames that are wanted of each window: what lies around them may cost less.
        Of silence, every stem is silence.
        """
        ...


@dataclass(frozen=True, slots=True)
class WindowKind:
    """Windows of ``segment`` seconds (None: the network's own).

    ``exact``: a transformer sees them as they are, not padded to its training length.
    """

    segment: float | None = None
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Load:
    """How much of a file a separator is best given: windows in a call, and calls at a time."""

    windows: int = 1
    calls: int = 1


@runtime_checkable
class Adaptive(Separator, Protocol):
    """A separator that knows what suits it, and changes what it does where it must."""

    def best_load(self) -> Load:
        """Return what suits it; this may take the time of a window."""
        ...

    def take_notes(self) -> list[str]:
        """Return what the user should know of how it ran since this was asked last."""
        ...


@dataclass(frozen=True, slots=True)
class Stride:
    """How a network goes along a stream, which it remembers instead of being shown it again.

    It takes whole hops of ``hop_frames``, and gives as many frames of the stems, which lag what it
    has heard by ``lookahead_frames``: whole hops, too.
    """

    hop_frames: int
    lookahead_frames: int

    @property
    def context_frames(self) -> int:
        """What of a window the network has heard before, if none was dropped."""
        return CONTEXT_HOPS * self.hop_frames

    def window_frames(self, hops: int) -> int:
        """Return the length of a window that brings so many hops."""
        return self.context_frames + hops * self.hop_frames + self.lookahead_frames

    def new_frames(self, window_frames: int) -> int:
        """Return how much of a window is new: whole hops, 0 where it is too short for one."""
        new_frames = window_frames - self.context_frames - self.lookahead_frames
        return max(0, new_frames // self.hop_frames) * self.hop_frames


FILE_HOPS: Final = 64
"""How many hops a streaming network is best given where nobody waits for them."""


def window_of_stream(stride: Stride, samplerate: int, segment: float | None) -> int:
    """Return how long a streaming network's windows are: ``segment`` seconds, or as suits files.

    Raises:
        SettingsError: no hop fits into them.
    """
    if segment is None:
        return stride.window_frames(FILE_HOPS)
    window_frames = round(segment * samplerate)
    if not stride.new_frames(window_frames):
        least = math.ceil(100 * stride.window_frames(1) / samplerate) / 100
        raise SettingsError(
            f"segment={segment:g} must be at least {least:g} seconds for this model; try {least:g}"
        )
    return window_frames


class ModelStream(Protocol):
    """A network on its way along one stream. It has state, and is called in order."""

    def __call__(self, heard: Samples) -> Samples:
        """Take whole hops, ``(frames, channels)``; return ``(stems, frames, channels)``."""
        ...


def along(stream: ModelStream, stride: Stride, song: Samples) -> Samples:
    """Take a whole song along a stream of its own; return its stems, in time with it.

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
    """A separator that can also go along a stream; called with windows it hears nothing else."""

    @property
    def stride(self) -> Stride:
        """How it does."""
        ...

    @property
    def level_rms(self) -> float:
        """The RMS of the music that it learnt from; what comes at another level it knows less."""
        ...

    def begin(self) -> ModelStream:
        """Begin a stream of which nothing was heard yet."""
        ...


@dataclass(frozen=True)
class Member:
    """One network of a bag. ``weights`` has one number per source; 0 means: not asked."""

    separator: Separator
    weights: tuple[float, ...]


@dataclass(frozen=True)
class Bag:
    """A model as the engine sees it: its members, all with the same stems, rate and channels.

    A member the wanted stems do not need is None (its weights are not even loaded); the place
    stays, so that the random shifts of the others do not depend on what is wanted. ``note`` is what
    the user should know of how the model was chosen, ``backend`` what it runs on.

    Raises:
        ModelError: the stems' names cannot be files beside each other.
    """

    name: str
    members: Sequence[Member | None]
    names: tuple[str, ...]
    samplerate: int
    channels: int
    note: str | None = None
    backend: str = ""

    def __post_init__(self) -> None:
        """Check the names: they become those of files."""
        try:
            distinct_names(self.names)
        except ValueError as error:
            raise ModelError(f"the stems of {self.name} cannot be files: {error}") from None

    @property
    def stride(self) -> Stride | None:
        """How its members go along a stream, if they do: all the same way."""
        separators = [member.separator for member in self.members if member is not None]
        return separators[0].stride if isinstance(separators[0], Streaming) else None

    @property
    def level_rms(self) -> float:
        """The RMS that music is best given with: windowed networks even it out themselves."""
        separators = [member.separator for member in self.members if member is not None]
        return separators[0].level_rms if isinstance(separators[0], Streaming) else 1.0

    def best_load(self) -> Load:
        """Return what suits all members; they need not know anything of it."""
        separators = [member.separator for member in self.members if member is not None]
        loads = [s.best_load() if isinstance(s, Adaptive) else Load() for s in separators]
        return Load(min(load.windows for load in loads), min(load.calls for load in loads))

    def take_notes(self) -> list[str]:
        """Return what the user should know of how the members ran since this was asked last."""
        separators = [member.separator for member in self.members if member is not None]
        return [note for s in separators if isinstance(s, Adaptive) for note in s.take_notes()]
