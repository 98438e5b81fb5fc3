"""The `Sink`: an output that is either committed whole or leaves nothing behind."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from streamer.audio import Samples
from streamer.files.part import PartFile, sink_errors


class Output(ABC):
    """Something that is written, then committed or aborted.

    As a context manager it leaves nothing behind unless it was committed. ``note`` is a sentence
    if the result is not exactly as asked, else None. What takes long to seal looks at ``given_up``
    again and again, and stops when another thread has set it: `abort` comes next.
    """

    note: str | None = None
    given_up = False

    def begin_seal(self) -> None:  # noqa: B027 (what has no thread of its own needs no head start)
        """Say that no more will be written: what has a thread of its own begins to seal itself."""

    def seal(self) -> None:  # noqa: B027 (what has nothing to finish beforehand needs none)
        """Finish everything but the name, so that `commit` can hardly fail.

        Raises:
            OutputExistsError: a file has come to stand there meanwhile.
            SinkError: the end cannot be written; nothing is left behind.
        """

    @abstractmethod
    def commit(self) -> None:
        """Finish, and make the result visible under its name; a second time does nothing.

        Raises:
            OutputExistsError: a file has come to stand there meanwhile.
            SinkError: the end cannot be written; nothing is left behind.
        """

    @abstractmethod
    def abort(self) -> None:
        """Remove everything; after `commit` or a second time it does nothing."""

    def retract(self) -> None:  # noqa: B027 (what is written to a pipe cannot be called back)
        """Remove the result of `commit`, if that replaced nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.abort()


class Sink(Output):
    """Where one stem goes, block by block."""

    @abstractmethod
    def write(self, samples: Samples) -> None:
        """Append float32 ``(frames, channels)``.

        Raises:
            SinkError: it cannot be written; nothing is left behind.
        """


class Encoder(Protocol):
    """Turns samples into the bytes of an open file."""

    def close(self) -> None:
        """Write the rest."""

    def drop(self) -> None:
        """Close everything; the file's content is worthless. Never raises."""


class FileOutput(Output):
    """An output that is one file. It appears under its name only when it is whole.

    Subclasses set ``_encoder`` under ``_guard()``, and may add to the closed file in ``_dress``.
    """

    _encoder: Encoder | None = None

    def __init__(self, path: Path, *, overwrite: bool) -> None:
        self._part = PartFile(path, overwrite=overwrite)
        self._sealed = False
        with self._guard():
            self._part.open()

    def seal(self) -> None:
        """See `Output.seal`."""
        if self._sealed or self._part.done:
            return
        assert self._encoder is not None
        with self._guard():
            self._encoder.close()
            self._part.file.close()
            self._dress(self._part.path)
            self._part.refuse_existing()
            self._part.hold()
        self._sealed = True

    def commit(self) -> None:
        """See `Output.commit`."""
        if self._part.done:
            return
        self.seal()
        with self._guard():
            self._part.publish()

    def abort(self) -> None:
        """See `Output.abort`."""
        if not self._part.done and self._encoder is not None:
            self._encoder.drop()
        self._part.discard()

    def retract(self) -> None:
        """See `Output.retract`."""
        self._part.retract()

    def _dress(self, path: Path) -> None:
        """Add tags and the like to the whole file, before it gets its name."""

    @contextmanager
    def _guard(self) -> Iterator[None]:
        """Abort on any error, and put a writing error into one sentence."""
        try:
            with sink_errors(self._part.target):
                yield
        except BaseException:
            self.abort()
            raise
