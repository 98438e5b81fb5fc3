"""The sizes in the headers of uncompressed files, corrected if a recorder crashed.

A recorder writes the sizes last. If it crashed, they are 0, all ones, or those of an earlier
moment, and the sound goes on to the end of the file. `right_sizes` finds this and returns the right
bytes of the header. `Patched` is the file with these bytes.

WAV and RF64 (EBU Tech 3306), W64 (Sony), AIFF and AIFF-C (Apple), CAF (Apple), AU (Sun).
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

# A program that writes into a pipe cannot know the length, and states one near these limits.
_UNKNOWN_32: Final = 0x7FFFF000
_UNKNOWN_64: Final = 0x7FFFFFFFFFFFF000

# After a crash at least this much sound lies behind the stated end: 6 ms of a CD.
_LEAST_BYTES: Final = 1024

_MOST_CHUNKS: Final = 1000
_SCAN_BYTES: Final = 2**20
_MOST_BODY_BYTES: Final = 2**16

# These may follow the sound although they are not chunks: tags of other formats.
_TAGS: Final = (b"TAG", b"ID3", b"APETAGEX", b"LYRICSBEGIN")
# Chunks that can be recognised even if their size is wrong.
_KNOWN: Final = (b"LIST", b"id3 ", b"bext", b"cue ", b"fact", b"JUNK", b"PAD ", b"iXML", b"smpl")

# Chunks that hold no tags.
_OF_SOUND: Final = frozenset({b"fmt ", b"fact", b"data", b"PEAK", b"JUNK", b"PAD "})

_W64_TAIL: Final = bytes.fromhex("f3acd3118cd100c04f8edb8a")


class RightSizes(NamedTuple):
    """The right bytes of the header, by place, and whether it states no length at all.

    If the header cannot hold the size, as in a WAV over 4 GiB, it does not ``fit``. It then gets
    all ones, which FFmpeg reads as "to the end", and libsndfile does not.
    """

    patches: Mapping[int, bytes]
    unknown: bool
    fits: bool = True


class Patched(io.RawIOBase):
    """A readable file with a few bytes replaced."""

    def __init__(self, path: Path, patches: Mapping[int, bytes]) -> None:
        self._file = path.open("rb", buffering=0)
        self._patches = patches

    def readable(self) -> bool:  # noqa: D102 (see io.RawIOBase)
        return True

    def seekable(self) -> bool:  # noqa: D102
        return True

    def seek(self, offset: int, whence: int = 0, /) -> int:  # noqa: D102
        return self._file.seek(offset, whence)

    def tell(self) -> int:  # noqa: D102
        return self._file.tell()

    def readinto(self, buffer: bytearray | memoryview, /) -> int | None:  # type: ignore[override]
        """Read as `io.RawIOBase.readinto`."""
        begin = self._file.tell()
        count = self._file.readinto(buffer)
        for place, data in self._patches.items():
            first, last = max(begin, place), min(begin + (count or 0), place + len(data))
            if first < last:
                buffer[first - begin : last - begin] = data[first - place : last - place]
        return count

    def close(self) -> None:  # noqa: D102
        self._file.close()
        super().close()


class _Chunk(NamedTuple):
    """A chunk: where its size is written, where its body begins, and how long it says that is."""

    kind: bytes
    size_place: int
    body: int
    size: int


class _Layout(NamedTuple):
    """How a kind of file writes chunks: the first one's place, the header, where one begins."""

    first: int
    header: struct.Struct
    counted: int  # bytes of its header that a chunk's size includes
    align: int


_RIFF = _Layout(12, struct.Struct("<4sI"), 0, 2)
_FORM = _Layout(12, struct.Struct(">4sI"), 0, 2)
_CAF = _Layout(8, struct.Struct(">4sQ"), 0, 1)
_W64 = _Layout(40, struct.Struct("<16sQ"), 24, 8)


def right_sizes(path: Path) -> RightSizes | None:
    """Return the right sizes for a file's header; None if they are right, or for other files.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(16)
        end = file.seek(0, io.SEEK_END)
        for magic, look in _LOOKS.items():
            if head.startswith(magic):
                try:
                    return look(file, end)
                except (struct.error, ZeroDivisionError):  # it ends within its header
                    return None
    return None


def _riff(file: BinaryIO, end: int) -> RightSizes | None:
    chunks = _until(file, end, _RIFF, b"data")
    if not chunks:
        return None
    data = chunks[-1]
    ds64 = next((one for one in chunks if one.kind == b"ds64"), None)
    present = end - data.body
    unknown = data.size == 0 or _is_any(data.size, _UNKNOWN_64 if ds64 else _UNKNOWN_32, present)
    if not _goes_on(file, end, data.body, data.size, unknown, _RIFF):
        return None
    if ds64 is None:
        patches = {4: _u32(end - 8), data.size_place: _u32(present)}
        return RightSizes(patches, unknown, fits=end - 8 < 0xFFFFFFFF)
    fmt = next(one for one in [*chunks, None] if one is None or one.kind == b"fmt ")
    block = struct.unpack("<H", _at(file, fmt.body + 12, 2))[0] if fmt else 0
    sizes = struct.pack("<QQQ", end - 8, present, present // block)
    return RightSizes({ds64.body: sizes, data.size_place: _u32(0xFFFFFFFF)}, unknown)


def _w64(file: BinaryIO, end: int) -> RightSizes | None:
    chunks = _until(file, end, _W64, b"data" + _W64_TAIL)
    if not chunks:
        return None
    data = chunks[-1]
    unknown = data.size == 0 or _is_any(data.size, _UNKNOWN_64, end - data.body)
    if not _goes_on(file, end, data.body, data.size, unknown, _W64):
        return None
    sizes = {16: end, data.size_place: end - data.body + 24}
    return RightSizes({at: struct.pack("<Q", size) for at, size in sizes.items()}, unknown)


def _aiff(file: BinaryIO, end: int) -> RightSizes | None:
    chunks = _until(file, end, _FORM, b"SSND")
    comm = next((one for one in chunks if one.kind == b"COMM"), None)
    if comm is None:
        return None
    data = chunks[-1]
    channels, _, bits = struct.unpack(">HIH", _at(file, comm.body, 8))
    codec = _at(file, comm.body + 18, 4) if comm.size >= 22 else b""
    width = 1 if codec.lower() in (b"ulaw", b"alaw") else (bits + 7) // 8
    if codec.lower() in (b"ima4", b"mac3", b"mac6"):
        return None
    # the sound begins after two numbers that the size includes
    unknown = data.size <= 8 or _is_any(data.size, _UNKNOWN_32, end - data.body)
    if not _goes_on(file, end, data.body + 8, max(data.size - 8, 0), unknown, _FORM):
        return None
    sizes = {
        4: end - 8,
        data.size_place: end - data.body,
        comm.body + 2: (end - data.body - 8) // (channels * width),
    }
    patches = {at: _u32(size, ">") for at, size in sizes.items()}
    return RightSizes(patches, unknown, fits=end - 8 < 0xFFFFFFFF)


def _caf(file: BinaryIO, end: int) -> RightSizes | None:
    chunks = _until(file, end, _CAF, b"data")
    if not chunks:
        return None
    data = chunks[-1]
    unknown = data.size <= 4 or _is_any(data.size, _UNKNOWN_64, end - data.body)
    # four bytes that count edits come before the sound
    if not _goes_on(file, end, data.body + 4, max(data.size - 4, 0), unknown, _CAF):
        return None
    return RightSizes({data.size_place: struct.pack(">Q", end - data.body)}, unknown)


def _au(file: BinaryIO, end: int) -> RightSizes | None:
    body, stated = struct.unpack(">II", _at(file, 4, 8))
    unknown = stated == 0 or _is_any(stated, _UNKNOWN_32, end - body)
    if not _goes_on(file, end, body, stated, unknown, None):
        return None
    return RightSizes({8: _u32(end - body, ">")}, unknown, fits=end - body < 0xFFFFFFFF)


_LOOKS: Final[Mapping[bytes, Callable[[BinaryIO, int], RightSizes | None]]] = {
    b"RIFF": _riff,
    b"RF64": _riff,
    b"riff": _w64,
    b"FORM": _aiff,
    b"caff": _caf,
    b".snd": _au,
}


def has_only_sound(path: Path) -> bool:
    """Return whether a file is a WAV without any place for tags.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        if file.read(4) != b"RIFF":
            return False
        end = file.seek(0, io.SEEK_END)
        return all(one.kind in _OF_SOUND for one in _chunks(file, _RIFF.first, end, _RIFF))


def _until(file: BinaryIO, end: int, layout: _Layout, last: bytes) -> list[_Chunk]:
    """Return the chunks up to the first of a kind, or none where there is none."""
    found = []
    for chunk in _chunks(file, layout.first, end, layout):
        found.append(chunk)
        if chunk.kind == last:
            return found
    return []


def _chunks(file: BinaryIO, start: int, end: int, layout: _Layout) -> Iterator[_Chunk]:
    long_size = None  # of the sound of an RF64
    for _ in range(_MOST_CHUNKS):
        body = start + layout.header.size
        if body > end:
            return
        kind, size = layout.header.unpack(_at(file, start, layout.header.size))
        if kind == b"ds64" and body + 16 <= end:
            long_size = struct.unpack("<Q", _at(file, body + 8, 8))[0]
        if kind == b"data" and size in (0, 0xFFFFFFFF) and long_size is not None:
            size = long_size
        size = max(size - layout.counted, 0)
        yield _Chunk(kind, start + len(kind), body, size)
        start = body + size
        start += -start % layout.align


def _is_any(stated: int, limit: int, present: int) -> bool:
    """Whether a size that is stated stands for none: it is near a limit, and no sound has it."""
    return stated >= limit and (stated > present or stated == 0xFFFFFFFF)


def _goes_on(
    file: BinaryIO, end: int, body: int, stated: int, unknown: bool, layout: _Layout | None
) -> bool:
    """Whether the sound that begins at ``body`` goes on behind the ``stated`` bytes of it."""
    if unknown:
        return body < end and not (stated == 0 and _is_other(file, body, end, layout))
    begin = body + stated
    if end - begin < _LEAST_BYTES:
        return False
    # some programs leave out the byte that makes a chunk even
    places = {begin, begin + (-begin % layout.align if layout else 0)}
    if any(_is_other(file, place, end, layout) for place in places):
        return False
    return not _is_zero(file, begin, end)


def _is_other(file: BinaryIO, begin: int, end: int, layout: _Layout | None) -> bool:
    """Whether tags or a chunk begin there."""
    head = _at(file, begin, 24)
    if head.startswith((*_TAGS, *_KNOWN)):
        return True
    chunk = next(_chunks(file, begin, end, layout), None) if layout else None
    if chunk is None or chunk.body + chunk.size > end:
        return False
    if len(chunk.kind) == 16:
        return chunk.kind.endswith(_W64_TAIL)
    return all(0x20 <= byte < 0x7F for byte in chunk.kind)


def _is_zero(file: BinaryIO, begin: int, end: int) -> bool:
    return not any(any(_at(file, at, _SCAN_BYTES)) for at in range(begin, end, _SCAN_BYTES))


def _at(file: BinaryIO, place: int, count: int) -> bytes:
    file.seek(place)
    return file.read(count)


def riff_bodies(path: Path, kinds: Collection[bytes]) -> list[tuple[bytes, bytes]]:
    """Return kind and body of each chunk of these kinds in a WAV or RF64; a body is cut at 64 KiB.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        if file.read(4) not in (b"RIFF", b"RF64"):
            return []
        end = file.seek(0, io.SEEK_END)
        return [
            (chunk.kind, _at(file, chunk.body, min(chunk.size, _MOST_BODY_BYTES)))
            for chunk in _chunks(file, _RIFF.first, end, _RIFF)
            if chunk.kind in kinds
        ]


def _u32(size: int, order: str = "<") -> bytes:
    """A size of 32 bits; the largest for what does not fit, which is read as "to the end"."""
    return struct.pack(f"{order}I", min(size, 0xFFFFFFFF))
