"""MIDI ports whose controllers are plugged in and out by a test, and moved by it."""

from __future__ import annotations

from streamer.errors import DeviceError
from streamer.live.control.midi.ports import MidiPort

NANO = MidiPort("ALSA", "nanoKONTROL2:nanoKONTROL2 _ CTRL 24:0")


class Controller:
    """An opened controller that remembers."""

    def __init__(self):
        self.waiting, self.sent = [], []
        self.plugged, self.closed = True, False

    def received(self):
        found, self.waiting = self.waiting, []
        return found

    def there(self):
        return self.plugged

    def send(self, message):
        self.sent.append(message)

    def close(self):
        self.closed = True


class Ports:
    """The ports of a machine."""

    def __init__(self, *ports):
        self.named, self.opened, self.refuses = list(ports), [], False

    def ports(self):
        return self.named

    def open(self, port):
        if self.refuses:
            raise DeviceError(f"MIDI port {port.name!r} cannot be opened")
        self.opened.append(Controller())
        return self.opened[-1]
