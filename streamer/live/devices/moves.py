"""Tells where a sound server moved a stream: a mixer's window, or a new default, can do that.

The stream goes on as if nothing had happened, so only the server knows (`sound_server`). It is
asked every `LOOK_SECONDS`, on a thread of its own, since a server that hangs takes its time.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from streamer.live.devices.device import KINDS, Device
from streamer.live.devices.sound_server import ServerStream, own_streams

LOOK_SECONDS: Final = 2.0


class Moves:
    """Compares each look at the streams with the one before."""

    def __init__(self) -> None:
        self._places: dict[tuple[str, int], str] = {}

    def feed(self, streams: Iterable[ServerStream]) -> list[str]:
        """Return a sentence for each stream that is not where it was; a new one is where it is."""
        told = []
        for one in streams:
            before = self._places.get((one.kind, one.index), one.place)
            self._places[one.kind, one.index] = one.place
            if one.place != before:
                some = "channel" if one.channels == 1 else "channels"
                told.append(
                    f"the sound server moved the {one.kind} from {before} to {one.place}, which "
                    f"has {one.channels} {some}; move it back in the server's mixer"
                )
        return told


@contextmanager
def watching(devices: Iterable[Device], tell: Callable[[str], None]) -> Iterator[None]:
    """Watch this process's streams meanwhile, and tell of each that is moved.

    Nothing is watched where no device goes through a sound server, or `pactl` is not installed.
    """
    if shutil.which("pactl") is None or not any(one.through_plugin for one in devices):
        yield
        return
    moves, stop = Moves(), threading.Event()

    def look() -> None:
        for sentence in moves.feed(one for kind in KINDS for one in own_streams(kind)):
            tell(sentence)

    def watch() -> None:
        while not stop.wait(LOOK_SECONDS):
            look()

    look()  # where they are at first

    thread = threading.Thread(target=watch, name="stemstream-moves", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(LOOK_SECONDS)
