"""A file that is written under a part name beside its target, and is renamed when it is whole.

A part file is called ``vocals.wav.<target><process><run>.part``. The first eight digits stand for
the target: they find the files that a killed run left behind. Four are random for each process, and
four for each file, so two runs never write the same one. While it is written it is locked (flock),
so that a run elsewhere, on a folder that two machines share, does not take it for such a one.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import functools
import os
import secrets
import tempfile
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
    errno.ELOOP: "links there lead to each other in a circle; write to another folder",
}


class PartFile:
    """The part file of one target: writable as ``file`` from `open` on.

    Its maker first makes sure that it is discarded, then opens it. So Ctrl-C leaves no file that
    nobody knows of, whenever it comes.

    Raises:
        OutputExistsError: the target exists and is not to be replaced.
        SinkError: the target can be no file.
    """

    file: BinaryIO

    def __init__(self, target: Path, *, overwrite: bool = False) -> None:
        self.target = target
        self.done = False
        self._overwrite = overwrite
        self._identity: tuple[int, int] | None = None
        self._held: BinaryIO | None = None
        self.refuse_existing()
        with sink_errors(target):
            run = _process(os.getpid()) + secrets.token_hex(2)
            self.path = target.with_name(f"{_prefix(target)}{run}{_SUFFIX}")

    def open(self) -> None:
        """Make the file, and its folder.

        Raises:
            SinkError: the folder cannot be made or written to.
        """
        with sink_errors(self.target):
            self.target.parent.mkdir(parents=True, exist_ok=True)
            # A name too long for the target must fail now, not after all is written.
            with contextlib.suppress(FileNotFoundError):
                self.target.lstat()
            self.file = self.path.open("x+b")
            with contextlib.suppress(OSError):  # not all disks have locks
                fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._identity = identity_of(os.fstat(self.file.fileno()))

    def hold(self) -> None:
        """Lock the file, which is whole and closed, until it has its name."""
        with contextlib.suppress(OSError):  # not all disks have locks
            self._held = self.path.open("rb")
            fcntl.flock(self._held, fcntl.LOCK_SH | fcntl.LOCK_NB)

    def publish(self) -> None:
        """Give the whole file its name.

        Raises:
            OutputExistsError: meanwhile another file has that name.
            OSError: the last bytes cannot be written.
        """
        self.file.close()
        self.refuse_existing()
        if self._overwrite:
            self.path.replace(self.target)
        else:
            self._publish_as_new()
        self.done = True
        self._let_go()

    def _publish_as_new(self) -> None:
        try:
            # unlike a rename, it never replaces a file that appeared a moment ago
            os.link(self.path, self.target)
        except FileExistsError:
            self.refuse_existing()
            raise
        except OSError:  # disks such as FAT have no hard links
            self.path.replace(self.target)
        else:
            self.path.unlink()

    def retract(self) -> None:
        """Remove a file that replaced no other, however far `publish` came."""
        with contextlib.suppress(OSError):
            if not self._overwrite and identity_of(self.target.lstat()) == self._identity:
                self.target.unlink()

    def discard(self) -> None:
        """Delete the part file; after `publish` or a second time it does nothing."""
        if self.done:
            return
        self.done = True
        with contextlib.suppress(OSError, AttributeError):  # it may never have been opened
            self.file.close()
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)
        self._let_go()

    def _let_go(self) -> None:
        if self._held is not None:
            self._held.close()

    def refuse_existing(self) -> None:
        """Make sure that the target may be written.

        Raises:
            OutputExistsError: it exists and may not be replaced.
            SinkError: it is a folder or a device, or its place cannot be read.
        """
        with sink_errors(self.target):
            if self.target.is_dir():
                raise IsADirectoryError(errno.EISDIR, "is a folder")
            if self._overwrite and self.target.exists() and not self.target.is_file():
                raise SinkError(
                    f"{self.target} is a device or a pipe, which a file would replace; name a file"
                )
            if not self._overwrite and stands(self.target):
                raise OutputExistsError(
                    f"{self.target} exists; --overwrite replaces it, --resume makes "
                    "only the files that are missing"
                )


def identity_of(status: os.stat_result) -> tuple[int, int]:
    """Return the identity of a file, whatever names it has: disk and inode."""
    return status.st_dev, status.st_ino


def stands(target: Path) -> bool:
    """Return whether anything has this name, even a broken link.

    Raises:
        SinkError: the folder may not be read.
    """
    with sink_errors(target):
        try:
            target.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return False
    return True


def write_whole(target: Path, text: str) -> None:
    """Write a small file of text; an old one is replaced as a whole, or stays as it is.

    A link stays, and what it leads to is replaced.

    Raises:
        SinkError: it cannot be written.
    """
    part = _replacement(target)
    try:
        part.open()
        with sink_errors(target):
            part.file.write(text.encode("utf-8", "replace"))
            part.publish()
    finally:
        part.discard()


def refuse_unwritable(target: Path) -> None:
    """Refuse a file before a long work, if it cannot be written or replaced at the end.

    Raises:
        SinkError: it cannot be written.
    """
    part = _replacement(target)
    try:
        part.open()
    finally:
        part.discard()


def _replacement(target: Path) -> PartFile:
    place = os.path.realpath(target)
    # of a pipe without a name only a link is there, as /dev/stdout
    nameless = os.path.exists(target) and not os.path.exists(place)  # noqa: PTH110
    return PartFile(target if nameless else Path(place), overwrite=True)


def refuse_unwritable_folder(folder: Path) -> None:
    """Refuse a folder before a long work, if no file could be written there; nothing is left there.

    It need not exist: then it is the nearest one above that must take it.

    Raises:
        SinkError: it cannot be written to.
    """
    with sink_errors(folder):
        nearest = next(one for one in (folder, *folder.absolute().parents) if stands(one))
        tempfile.TemporaryFile(dir=nearest).close()


def remove_stale_parts(target: Path) -> None:
    """Remove the part files that killed runs left of a target. The caller holds the track's lock.

    Raises:
        SinkError: its folder cannot be read, or one of the files cannot be removed.
    """
    with sink_errors(target):
        for part in _parts(target):
            if not _is_held(part):
                part.unlink(missing_ok=True)


def remove_own_parts(target: Path) -> None:
    """Remove the part files that this process has made of a target, and no others.

    Raises:
        SinkError: its folder cannot be read, or one of the files cannot be removed.
    """
    own = _prefix(target) + _process(os.getpid())
    with sink_errors(target):
        for part in _parts(target):
            if part.name.startswith(own):
                part.unlink(missing_ok=True)


def _parts(target: Path) -> list[Path]:
    """Return all part files of a target, whoever made them."""
    prefix = _prefix(target)
    if not target.parent.is_dir():
        return []
    return [
        entry
        for entry in target.parent.iterdir()
        if entry.name.startswith(prefix)
        and entry.name.endswith(_SUFFIX)
        and len(entry.name) == len(prefix) + 8 + len(_SUFFIX)
    ]


def _is_held(part: Path) -> bool:
    """Return whether a run that goes on, here or on another machine, writes a part file."""
    try:
        descriptor = os.open(part, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    except PermissionError:
        return True  # of another user, and nobody can tell
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False


@functools.cache
def _process(number: int) -> str:  # noqa: ARG001 (a process that was forked has another one)
    return secrets.token_hex(2)


@contextmanager
def sink_errors(target: Path) -> Iterator[None]:
    """Turn an error of the system or of a codec library into one sentence.

    Raises:
        SinkError: in place of such an error; our own mistakes pass as they are.
    """
    try:
        yield
    except SinkError:
        raise
    except Exception as error:
        cause = error if isinstance(error, OSError) else error.__context__
        if isinstance(cause, OSError):
            text = _REASONS.get(cause.errno or 0, f"{cause.strerror}; write to another folder")
        elif isinstance(error, ValueError) and "null" in str(error):
            text = "its name holds a NUL character; use another name"
        elif type(error).__module__.partition(".")[0] in _CODEC_LIBRARIES:
            text = f"its format does not take such audio ({error}); choose another format"
        else:
            raise
        raise SinkError(f"{target} cannot be written: {text}") from None


def _prefix(target: Path) -> str:
    """Return the start of a target's part names, short enough for a legal name."""
    room = _NAME_BYTES - len(f".{0:016x}{_SUFFIX}")
    name = target.name.encode(errors="surrogateescape")
    kept = name[:room].decode(errors="ignore")
    return f"{kept}.{zlib.crc32(name):08x}"
