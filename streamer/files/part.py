"""A file that is written beside its target under a part name, and takes its name when it is whole.

A part file is called ``vocals.wav.<target><run>.part``: the first eight digits tell which target it
is for, the last eight are drawn for each run, so that two runs never write the same one. What a
killed run left behind is found by the first eight.
"""

from __future__ import annotations

import contextlib
import errno
import secrets
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from streamer.errors import OutputExistsError, SinkError

_SUFFIX = ".part"
_NAME_BYTES = 255

_CODEC_LIBRARIES = ("av", "mutagen", "soundfile")

_REASONS = {
    errno.ENOSPC: "the disk is full; free some space or write to another folder",
    errno.EDQUOT: "your share of the disk is used up; free some space or write to another folder",
    errno.EFBIG: "the disk takes no file that large; write to another disk",
    errno.EROFS: "the disk is read-only; write to another folder",
    errno.EACCES: "the folder is not yours to write to; write to another folder",
    errno.EPERM: "the folder is not yours to write to; write to another folder",
    errno.ENAMETOOLONG: "the name is longer than the disk allows; use a shorter one",
    errno.ENOTDIR: "a file stands where its folder should be; move it or write to another folder",
    errno.EEXIST: "a file stands where its folder should be; move it or write to another folder",
    errno.EISDIR: "a folder stands under that name; move it or write to another folder",
    errno.ENOENT: "its folder is gone; write to another folder",
}


class PartFile:
    """The part file of one target, open for writing as ``file``.

    Raises:
        OutputExistsError: the target exists and is not to be replaced.
        SinkError: the folder cannot be made or written to.
    """

    def __init__(self, target: Path, *, overwrite: bool = False) -> None:
        self.target = target
        self.done = False
        self._overwrite = overwrite
        self._refuse_existing()
        with sink_errors(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            self.path = target.with_name(f"{_prefix(target)}{secrets.token_hex(4)}{_SUFFIX}")
            # A name too long for the target must not fail only once all is written.
            with contextlib.suppress(FileNotFoundError):
                target.lstat()
            self.file: BinaryIO = self.path.open("x+b")

    def publish(self) -> None:
        """Give the whole file its name.

        Raises:
            OutputExistsError: a file has come to stand under the name meanwhile.
            OSError: the last bytes cannot be written.
        """
        self.file.close()
        self._refuse_existing()
        self.path.replace(self.target)
        self.done = True

    def discard(self) -> None:
        """Leave nothing; after `publish` or a second time it does nothing."""
        if self.done:
            return
        self.done = True
        with contextlib.suppress(OSError):
            self.file.close()
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)

    def _refuse_existing(self) -> None:
        with sink_errors(self.target):
            if self.target.is_dir():
                raise IsADirectoryError(errno.EISDIR, "is a folder")
            if not self._overwrite and self.target.exists():
                raise OutputExistsError(
                    f"{self.target} exists; --overwrite replaces it, --resume skips finished tracks"
                )


def remove_stale_parts(target: Path) -> None:
    """Remove what killed runs left of a target; only for who holds the track's lock."""
    prefix = _prefix(target)
    if not target.parent.is_dir():
        return
    for entry in target.parent.iterdir():
        rest = entry.name.removeprefix(prefix)
        if rest != entry.name and rest.endswith(_SUFFIX) and len(rest) == 8 + len(_SUFFIX):
            with sink_errors(entry):
                entry.unlink(missing_ok=True)


@contextmanager
def sink_errors(target: Path) -> Iterator[None]:
    """Turn an error of the system or of a codec library into one sentence.

    Raises:
        SinkError: in its place; our own mistakes pass as they are.
    """
    try:
        yield
    except SinkError:
        raise
    except Exception as error:
        cause = error if isinstance(error, OSError) else error.__context__
        if isinstance(cause, OSError):
            text = _REASONS.get(cause.errno or 0, f"{cause.strerror}; write to another folder")
        elif type(error).__module__.partition(".")[0] in _CODEC_LIBRARIES:
            text = f"its format does not take such audio ({error}); choose another format"
        else:
            raise
        raise SinkError(f"{target} cannot be written: {text}") from None


def _prefix(target: Path) -> str:
    """How the names of a target's part files begin, cut so that the whole is a legal name."""
    room = _NAME_BYTES - len(f".{0:016x}{_SUFFIX}")
    name = target.name.encode(errors="surrogateescape")
    kept = name[:room].decode(errors="ignore")
    return f"{kept}.{zlib.crc32(name):08x}"
