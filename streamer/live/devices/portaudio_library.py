"""PortAudio itself: loaded late, kept quiet, with a time limit for calls, and started again.

sounddevice brings PortAudio; this is the one module that imports it. Three things of PortAudio
19.6 and 19.7 (seen, and in its source) are worked around here:

- It makes its list of devices once, when it starts. A new list needs a new start. - If a sound
server hangs, any call into PortAudio hangs, even closing a stream. So calls have a time
  limit, and a call that does not return is left alone.
- When a JACK server ends, closing its streams hangs, and ending PortAudio fails an assertion, which
  aborts the process. So its client's socket is watched, and such a PortAudio is left alone.

A PortAudio that is left alone is replaced by a second copy of the library.
"""

from __future__ import annotations

import atexit
import functools
import importlib
import os
import re
import select
import shutil
import socket
import stat
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from streamer.errors import DeviceError
from streamer.live.devices.loaded import path_of
from streamer.live.devices.patience import PATIENCE_SECONDS, NoAnswerError, in_time

_JACK = re.compile("jack|pipewire")
"""In the names of the sockets of JACK servers."""

_Result = TypeVar("_Result")


@functools.cache
def library() -> Library:
    """PortAudio, started. There is one in a process.

    Raises:
        DeviceError: it is not installed, or does not start.
    """
    return Library()


class Library:
    """A PortAudio that can be started again. See `library`."""

    def __init__(self) -> None:
        self.sounddevice = _load()
        self.streams: set[Any] = set()  # the open ones, and all that they call
        self.patience_seconds = PATIENCE_SECONDS
        self._lock = threading.Lock()
        self._spoiled = False
        self._left: list[Any] = []  # what is unloaded while a thread is in it crashes
        self._jack = jack_clients()
        atexit.unregister(self.sounddevice._exit_handler)
        atexit.register(self._end)

    def call(
        self,
        function: Callable[[], _Result],
        user: object = None,
        late: Callable[[], object] | None = None,
    ) -> _Result:
        """Run a call into PortAudio: in silence, one at a time, and not for longer than 5 s.

        Error messages that PortAudio, ALSA and JACK print are dropped; they also return the errors.
        If the call does not return, its ``user`` stays in memory: the sound may go on. If it
        returns later, ``late`` gives back what it had.

        Raises:
            DeviceError: it does not return.
        """
        with self._lock, _quiet():
            try:
                return in_time(function, "portaudio call", self.patience_seconds, late)
            except NoAnswerError:
                self.leave((function, user))
                raise

    def leave(self, user: object) -> None:
        """Never end this PortAudio, nor free its ``user``: a thread may be in it."""
        self._spoiled = True
        self._left.append(user)

    def jack_is_gone(self) -> bool:
        """Whether the JACK server that PortAudio is a client of has ended."""
        return any(hung_up(descriptor) for descriptor in self._jack)

    def restart(self) -> None:
        """Start again, so that PortAudio looks for devices. No stream may be open.

        Raises:
            DeviceError: it does not start.
        """
        leaving = self._spoiled or self.jack_is_gone()
        self._spoiled = False
        try:
            self.call(self._replace if leaving else self._again)
        except self.sounddevice.PortAudioError as error:
            raise DeviceError(f"PortAudio does not start ({error}); try again") from error
        except OSError as error:
            self._spoiled = leaving
            raise DeviceError(f"no copy of PortAudio can be loaded ({error}); try again") from error
        self._jack = jack_clients()

    # Not sounddevice's own functions for it: those redirect standard error and count the starts,
    # and one that hangs and comes back late would undo what was done since.

    def _again(self) -> None:
        portaudio = self.sounddevice._lib
        portaudio.Pa_Terminate()  # fails where the last start did, which is as well
        self.sounddevice._check(portaudio.Pa_Initialize())

    def _replace(self) -> None:
        """Load a copy of the library; the system takes it for another library."""
        self._left.append(self.sounddevice._lib)
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder, "libportaudio.so")
            shutil.copyfile(_path(), copy)
            portaudio = self.sounddevice._ffi.dlopen(str(copy))
        self.sounddevice._lib = portaudio
        self.sounddevice._check(portaudio.Pa_Initialize())

    def _end(self) -> None:
        if not self._spoiled and not self.jack_is_gone():
            self.sounddevice._lib.Pa_Terminate()


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Hide what C libraries print to standard error meanwhile, even from their own threads.

    PortAudio and ALSA print there when a device goes, across whatever a screen shows. Python's
    standard error stays where it was, in ``sys.stderr``.
    """
    if not _is_standard_error(sys.stderr):
        yield
        return
    kept = sys.stderr
    kept.flush()
    encoding, errors = kept.encoding, kept.errors
    with open(os.dup(2), "w", 1, encoding, errors) as own, _quiet():  # noqa: PTH123
        sys.stderr = own
        try:
            yield
        finally:
            sys.stderr = kept


def _is_standard_error(stream: Any) -> bool:
    try:
        return bool(stream.fileno() == 2)
    except (AttributeError, OSError, ValueError):  # none, none of a file, or a closed one
        return False


def _load() -> Any:
    """Import sounddevice, which finds and starts PortAudio."""
    try:
        return importlib.import_module("sounddevice")
    except ImportError as error:
        raise DeviceError("sounddevice is not installed; try pip install sounddevice") from error
    except OSError as error:
        raise DeviceError(
            "the PortAudio library is not installed; try apt install libportaudio2"
        ) from error
    except Exception as error:  # its own PortAudioError, of a module that did not come to be
        raise DeviceError(f"PortAudio does not start ({error}); see `stemstream doctor`") from error


@functools.cache
def _path() -> Path:
    """Where the library was loaded from."""
    path = path_of("libportaudio")
    if path is None:
        raise DeviceError("PortAudio cannot be started again here; restart stemstream")
    return path


def jack_clients() -> list[int]:
    """The descriptors of connections to a JACK server that is there."""
    descriptors = []
    with suppress(OSError):  # no /proc: JACK is for Linux, mostly
        descriptors = [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]
    return [each for each in descriptors if _is_jack(each) and not hung_up(each)]


def _is_jack(descriptor: int) -> bool:
    with suppress(OSError):  # it has been closed since, or is no connection
        if stat.S_ISSOCK(os.stat(descriptor).st_mode):
            with socket.socket(fileno=os.dup(descriptor)) as copy:
                return copy.family == socket.AF_UNIX and bool(_JACK.search(str(copy.getpeername())))
    return False


def hung_up(descriptor: int) -> bool:
    """Return whether the other end of a connection is gone."""
    poll = select.poll()
    poll.register(descriptor, 0)
    return any(event & (select.POLLHUP | select.POLLNVAL) for _, event in poll.poll(0))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the terminal clean of what C libraries print."""
    try:
        kept = os.dup(2)
    except OSError:  # no standard error to keep clean
        yield
        return
    try:
        with open(os.devnull, "w") as nowhere:  # noqa: PTH123
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
