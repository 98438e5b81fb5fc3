"""A MIDI controller and a run: one thread that asks the port and lights the lamps.

::

    found = find_controller("nano")
    with open_link(session, session.status, found, print) as link: ...

The port is asked every `POLL_SECONDS`, the values every `NEWS_SECONDS`. A controller that goes is
looked for every `LOOK_SECONDS`; the sound never waits for it.
"""

from __future__ import annotations

import math
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from streamer.errors import DeviceError, StemstreamError
from streamer.live.control.commands import Commands
from streamer.live.control.controls import Controls
from streamer.live.control.midi.controller_map import (
    ControllerMap,
    load_map,
    ready_map,
    save_map,
)
from streamer.live.control.midi.ports import MidiPort, MidiPorts, RtMidiPorts, find_port
from streamer.live.control.midi.signals import read
from streamer.live.control.midi.surface import Surface
from streamer.live.control.osc import Message
from streamer.live.control.values import ControlTree
from streamer.live.service import Service
from streamer.live.status import Status
from streamer.user_folders import own_folder
from streamer.words import counted

POLL_SECONDS: Final = 0.005
NEWS_SECONDS: Final = 0.05
LOOK_SECONDS: Final = 1.0


class MidiLink(Service):
    """A controller that is opened, lost, and opened again.

    Args:
        surface: does what the messages say.
        ports: the ports of the machine.
        port: the controller's.
        tell: called with a sentence that a person should know.

    Raises:
        DeviceError: the port cannot be opened.
    """

    def __init__(
        self, surface: Surface, ports: MidiPorts, port: MidiPort, tell: Callable[[str], None]
    ) -> None:
        self._surface, self._ports, self._tell = surface, ports, tell
        self.port = port
        self._connection = ports.open(port)
        self._lost, self._failure = False, ""
        self._twins = self._alike()
        self._next_news = self._next_look = -math.inf
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stemstream-midi", daemon=True)

    def learn(self, address: str) -> None:
        """Let the next control that is moved move this address. From any thread.

        Raises:
            SettingsError: there is no such address.
            DeviceError: the controller is not there.
        """
        if self._lost:
            raise DeviceError(f"MIDI port {self.port.name!r} is gone; plug it in, and learn again")
        self._surface.learn(address)

    def step(self, now: float) -> None:
        """Do what there is to do now; the thread calls it every `POLL_SECONDS`. Never raises."""
        try:
            self._turn(now)
        except Exception as error:  # the controller outlives a mistake of ours
            sentence = f"MIDI: this failed ({error!r}); please report it"
            if sentence != self._failure:
                self._failure = sentence
                self._tell(sentence)

    def _turn(self, now: float) -> None:
        if not self._lost:
            for message in self._connection.received():
                event = read(message)
                if event is not None:
                    self._surface.receive(event)
            self._surface.wait(now)
            if now >= self._next_news:
                self._next_news = now + NEWS_SECONDS
                for message in self._surface.news():
                    self._connection.send(message)
        if now >= self._next_look:
            self._next_look = now + LOOK_SECONDS
            self._look()

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def close(self) -> None:
        """Put the lamps out and let the controller go."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()
        if not self._lost:
            for message in self._surface.dark():
                self._connection.send(message)
        self._connection.close()

    def _run(self) -> None:
        while not self._stop.wait(POLL_SECONDS):
            self.step(time.monotonic())

    def _look(self) -> None:
        """See whether the controller is there, and open it when it comes back."""
        if not self._lost and not self._connection.there():
            self._lost = True
            self._connection.close()
            self._tell(f"MIDI: {self.port.name} is gone; it is used again when it is back")
        elif self._lost:
            alike = self._alike()
            self._twins = [one for one in self._twins if one in alike]
            back = [one for one in alike if one not in self._twins]
            if back:
                self._come_back(self.port if self.port in back else back[0])

    def _alike(self) -> list[MidiPort]:
        """Return the ports that look like the controller's, and are not its own."""
        alike = [one for one in self._ports.ports() if _is_same(one, self.port)]
        return [one for one in alike if self._lost or one != self.port]

    def _come_back(self, port: MidiPort) -> None:
        try:
            self._connection = self._ports.open(port)
        except DeviceError:  # it is not ready yet; the next look tries again
            return
        self._lost, self.port = False, port
        self._twins = self._alike()
        self._surface.begin()
        self._tell(f"MIDI: {port.name} is back")


@dataclass(frozen=True, slots=True)
class FoundController:
    """A controller that is there, and its map: all that can be known before a run.

    ``file`` keeps what is learned, where there is a place for it; ``named`` is the map in words.
    """

    ports: MidiPorts
    port: MidiPort
    map: ControllerMap
    named: str
    file: Path | None


def find_controller(
    query: str, path: Path | None = None, ports: MidiPorts | None = None
) -> FoundController:
    """Return the controller that ``query`` names, with the map for it; nothing is opened.

    ``path`` is the map's file; None: the one in the user's folder, where there is one, else the
    ready map for the port. What is learned is kept in that file.

    Raises:
        SettingsError: the map is wrong, or python-rtmidi is not installed.
        DeviceError: there is no such port.
    """
    ports = RtMidiPorts() if ports is None else ports
    port = find_port(ports.ports(), query)
    file = path or own_map(port)
    found = file is not None and file.exists()
    controller = load_map(file) if found and file is not None else ready_map(port.name)
    named = str(file) if found else "the ready map"
    if controller is None:
        controller, named = ControllerMap(), "no map yet: learn its controls with key l"
    return FoundController(ports, port, controller, named, file)


def open_link(
    controls: Controls,
    status: Callable[[], Status],
    found: FoundController,
    tell: Callable[[str], None],
) -> MidiLink:
    """Open a controller that was found.

    Raises:
        DeviceError: it cannot be opened, or is gone meanwhile.
    """
    commands, apart = Commands(controls, status), controls.apart

    def act(address: str, args: tuple[Any, ...]) -> None:
        message = Message(address, args)
        if not apart.takes(message):
            commands.act(message)
            return
        future = apart.do_soon(message, lambda: commands.act(message))
        if future.done():
            future.result()
        else:
            future.add_done_callback(told_late)

    def told_late(done: Future[list[Message]]) -> None:
        if error := done.exception():
            tell(f"MIDI: {error}")

    def keep(learned: ControllerMap) -> None:
        try:
            if found.file is None:
                raise DeviceError("the user has no home folder; try --midi-map")
            save_map(found.file, learned)
        except StemstreamError as error:
            tell(f"MIDI: what was learned is not kept: {error}")

    surface = Surface(
        act,
        ControlTree(controls, status),
        found.map,
        tell=tell,
        keep=keep,
    )
    link = MidiLink(surface, found.ports, found.port, tell)
    controls_there = counted(len(found.map.controls), "control")
    tell(f"MIDI: {found.port.name}, {controls_there} ({found.named})")
    return link


def own_map(port: MidiPort) -> Path | None:
    """Return the file in the user's folder for a controller; None: there is no such folder."""
    folder = own_folder("midi")
    return folder and folder / f"{re.sub(r'[^A-Za-z0-9]+', '-', port.lasting).strip('-')}.toml"


def _is_same(one: MidiPort, other: MidiPort) -> bool:
    return (one.api, one.lasting, one.place) == (other.api, other.lasting, other.place)
