"""The one place where FFmpeg opens foreign files: it reads the given file and nothing else.

Some formats are texts that name other files or hosts (playlists, SDP, ffconcat), and FFmpeg would
open those. So it reads from a Python file, may open nothing itself, and knows only formats that
contain their own sound.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
from typing import Any, BinaryIO, Final

import av
from av import _core
from av.container import InputContainer

from streamer.files.ogg_pages import OGG_PAGE_BYTES

_AUDIO: Final = (
    "aac,ac3,adx,aea,aiff,amr,amrnb,amrwb,ape,asf,asf_o,ast,au,caf,dsf,dts,dtshd,eac3,flac,gsm,iff,"
    "ircam,loas,mlp,mp3,mpc,mpc8,nistsphere,ogg,oma,paf,qoa,rso,shn,sox,tak,truehd,tta,voc,w64,wav,"
    "wsd,wv,xwma"
)
_VIDEO: Final = "avi,dv,flv,gxf,matroska,mov,mpeg,mpegts,mxf,nsv,nut,pva,rm,swf,ty,wtv"

_OPTIONS: Final = {
    "format_whitelist": f"{_AUDIO},{_VIDEO}",
    "protocol_whitelist": "none",
    "max_streams": "64",
}

# What one allocation of FFmpeg may take. A few bytes can state a title of gigabytes, for which it
# makes room before it looks; the largest that a real file needs are pictures and tables of packets.
_MOST_BYTES: Final = 256 * 2**20


def _bound_memory() -> None:
    # PyAV does not offer this call; the symbol is found in what its core is linked with
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(_core.__file__).av_max_alloc(ctypes.c_size_t(_MOST_BYTES))


_bound_memory()


class Tap:
    """A readable file for FFmpeg. It keeps an exception (Ctrl-C too), which we raise later.

    An exception cannot pass through FFmpeg, and PyAV drops those that are no `Exception`.
    ``tail`` holds the last bytes read without a jump, at most one longest page of an Ogg file. The
    file has no name, so FFmpeg cannot look for others beside it.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.error: BaseException | None = None
        self.tail = b""
        self._end = 0
        self._seekable = stream.seekable()
        if self._seekable:
            self.seek = self._seek
            self.tell = stream.tell

    def read(self, size: int) -> bytes:
        """Read up to ``size`` bytes, none after an error."""
        if self.error is None:
            try:
                if self._seekable and self._stream.tell() != self._end:
                    self.tail, self._end = b"", self._stream.tell()
                data = self._stream.read(size)
            except BaseException as error:
                self.error = error
            else:
                self.tail = (self.tail + data)[-OGG_PAGE_BYTES:]
                self._end += len(data)
                return data
        return b""

    def _seek(self, offset: int, whence: int = 0) -> int:
        try:
            return self._stream.seek(offset, whence)
        except OSError as error:
            # a damaged header makes FFmpeg seek to places that no file has
            if error.errno != errno.EINVAL:
                self.error = error
        return -1

    def close(self) -> None:
        """Close the stream underneath."""
        self._stream.close()


def open_container(tap: Tap) -> InputContainer:
    """Open a file or pipe with FFmpeg.

    Raises:
        Exception: FFmpeg does not know the format, or fails. A damaged or malicious file can cause
            any kind: OSError, ValueError, IndexError, MemoryError.
    """
    return av.open(
        tap,
        "r",
        container_options=_OPTIONS,
        metadata_errors="replace",
        io_open=_refuse,
    )


def _refuse(*_: Any) -> BinaryIO:
    raise PermissionError(errno.EPERM, "the file refers to another")
