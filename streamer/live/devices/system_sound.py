"""Stems of whatever plays: a sink of our own is the sound server's default while a run lasts.

::

    other programs --> sink "stemstream" --> its monitor --> stemstream --> the default of before

All that is needed to put things back is in the server, as properties of the sink: the default of
before, and who made the sink. A run that was killed is found out by that: its client is gone, its
sink is not. The next run takes that sink down.

`PulseServer` does it, `SystemSound` is the thread that does it in time and looks after it, and
`system_sound` the whole for a run: for PortAudio the two ends are devices of ALSA's.
"""

from __future__ import annotations

import importlib
import os
import secrets
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from typing import Any, Final, TypeVar
from urllib.parse import quote, unquote

from streamer.errors import DeviceError, SettingsError
from streamer.live.devices.alsa_config import alsa_devices
from streamer.live.devices.patience import in_time
from streamer.live.devices.portaudio import PortAudioBackend
from streamer.live.settings import LiveSettings

SINK: Final = "stemstream"
MODEL_RATE: Final = 44100
"""The sink's rate if no other is asked for: the server resamples where it must, and nobody else."""
INPUT, OUTPUT = "stemstream_input", "stemstream_output"
_OWNER: Final = "stemstream.owner"
_FORMER: Final = "stemstream.former"
_LOOK_SECONDS: Final = 0.2
_AGAIN_SECONDS: Final = 1.0
_PATIENCE_SECONDS: Final = 5.0
_SETTLE_SECONDS: Final = 0.5
_POLL_SECONDS: Final = 0.01

_Found = TypeVar("_Found")


class PulseServer:
    """A PulseAudio server, or PipeWire in its place, as one client of it.

    Args:
        pulse: a `pulsectl.Pulse`; no other client has its name.
    """

    def __init__(self, pulse: Any) -> None:
        self._pulse = pulse

    def take(self, rate: int) -> str:
        """Make the sink, and all that plays play into it; return the name of the default of before.

        Raises:
            DeviceError: another run has done so, or there is no sound device.
        """
        left = self._sink(SINK)
        if left is not None:
            if self._is_held(left):
                raise DeviceError("another stemstream has taken all that plays; end that one first")
            self._take_down(left)
        former = self._default()
        properties = {
            "device.description": SINK,
            _OWNER: self._pulse.name,
            _FORMER: quote(former.name, safe=""),
        }
        written = " ".join(f'{name}="{value}"' for name, value in properties.items())
        self._pulse.module_load(
            "module-null-sink",
            f"sink_name={SINK} rate={rate} format=float32le channels=2 sink_properties='{written}'",
        )
        made = self._wait(lambda: self._sink(SINK))
        if made is None:
            raise DeviceError(f"the sound server does not make the sink {SINK}; restart it")
        self._pulse.sink_default_set(SINK)
        self._move(former, made)
        return str(former.name)

    def look(self) -> str:
        """Return what `take` would do. Nothing is changed.

        Raises:
            DeviceError: a run that was killed has left its sink, or there is no sound device.
        """
        made = self._sink(SINK)
        if made is None:
            return f"ready; the stems would play on {self._default().name}"
        if self._is_held(made):
            return "a run has taken all that plays"
        raise DeviceError(
            f"a run that was killed has left its sink {SINK}; "
            "stemstream live --system puts all back, or pactl unload-module module-null-sink"
        )

    def put_back(self) -> None:
        """Undo what `take` did, as far as it got."""
        made = self._sink(SINK)
        if made is not None and made.proplist.get(_OWNER) == self._pulse.name:
            self._take_down(made)

    def holds(self) -> bool:
        """Return whether the sink is there."""
        return self._sink(SINK) is not None

    def rescue(self) -> str | None:
        """Move our own sound out of our own sink; return where to, None: it was not in there.

        The server puts it there when its device goes: by then the sink is the default. The model
        would hear itself.
        """
        made = self._sink(SINK)
        if made is None or not self._own(made):
            return None
        former = unquote(made.proplist.get(_FORMER, ""))
        others = [one for one in self._pulse.sink_list() if one.name != SINK]
        others.sort(key=lambda one: one.name != former)
        for stream in self._own(made):
            with suppress(_pulsectl().PulseError):  # it has ended
                if others:
                    self._pulse.sink_input_move(stream.index, others[0].index)
                else:
                    self._pulse.sink_input_mute(stream.index, True)
        return str(others[0].name) if others else "nowhere"

    def _default(self) -> Any:
        sink = self._wait(lambda: self._sink(self._pulse.server_info().default_sink_name))
        if sink is None:
            raise DeviceError("the sound server has no output; plug one in, and try again")
        return sink

    def _is_held(self, made: Any) -> bool:
        """Return whether the client that made a sink of ours is there."""
        owner = made.proplist.get(_OWNER)
        return any(client.name == owner for client in self._pulse.client_list())

    def _take_down(self, made: Any) -> None:
        former = self._sink(unquote(made.proplist.get(_FORMER, "")))
        if former is not None:
            if self._pulse.server_info().default_sink_name == SINK:
                self._pulse.sink_default_set(former.name)
            self._move(made, former)
        self._pulse.module_unload(made.owner_module)
        self._wait(lambda: self._sink(SINK) is None)

    def _move(self, here: Any, there: Any) -> None:
        """Move all others' streams, once the server has moved those that follow its default.

        A stream that we move stays there, as if a person had moved it, whatever the default is.
        """
        self._wait(lambda: not self._others(here))
        for stream in self._others(here):
            with suppress(_pulsectl().PulseError):  # it has ended, or may not be moved
                self._pulse.sink_input_move(stream.index, there.index)

    def _wait(self, find: Callable[[], _Found]) -> _Found:
        """Return what is found in the end: PipeWire does a moment later what it is told."""
        end = time.monotonic() + _SETTLE_SECONDS
        while not (found := find()) and time.monotonic() < end:
            time.sleep(_POLL_SECONDS)
        return found

    def _others(self, sink: Any) -> list[Any]:
        streams = self._pulse.sink_input_list()
        return [one for one in streams if one.sink == sink.index and not _is_own(one)]

    def _own(self, sink: Any) -> list[Any]:
        streams = self._pulse.sink_input_list()
        return [one for one in streams if one.sink == sink.index and _is_own(one)]

    def _sink(self, name: str) -> Any:
        return next((one for one in self._pulse.sink_list() if one.name == name), None)


class SystemSound:
    """Has all that plays as long as it is open; after a restart of the server, again.

    One thread of its own does all, since a server that hangs takes its time.
    """

    def __init__(self, rate: int, tell: Callable[[str], None]) -> None:
        self._rate, self._tell = rate, tell
        self._taken: SimpleQueue[str | Exception] = SimpleQueue()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stemstream-system", daemon=True)

    def open(self) -> str:
        """Take all that plays; return the name of the default of before.

        Raises:
            DeviceError: there is no server, or it does not answer.
        """
        self._thread.start()
        try:
            taken = self._taken.get(timeout=_PATIENCE_SECONDS)
        except Empty:
            raise DeviceError("the sound server does not answer; restart it") from None
        if isinstance(taken, Exception):
            raise taken
        return taken

    def close(self) -> None:
        """Put everything back."""
        self._stop.set()
        if self._thread.ident is None:
            return
        self._thread.join(_PATIENCE_SECONDS)
        if self._thread.is_alive():
            self._tell(
                f"the sound server does not answer, so its default is still {SINK}; "
                "run stemstream live --system again, or restart the server"
            )

    def _run(self) -> None:
        with _pulsectl().Pulse(f"{SINK} {secrets.token_hex(4)}", connect=False) as pulse:
            server = PulseServer(pulse)
            # the errors of pulsectl have no parent of their own
            try:
                self._taken.put(self._take(pulse, server))
            except DeviceError as error:
                self._taken.put(error)
            except Exception:
                self._taken.put(_no_server())
            else:
                self._stay(pulse, server)
            with suppress(Exception):
                server.put_back()

    def _take(self, pulse: Any, server: PulseServer) -> str:
        pulsectl = _pulsectl()

        def changed(_event: object) -> None:
            raise pulsectl.PulseLoopStop

        pulse.connect()
        former = server.take(self._rate)
        pulse.event_mask_set("sink_input")
        pulse.event_callback_set(changed)
        return former

    def _stay(self, pulse: Any, server: PulseServer) -> None:
        """Keep our own sound out of our sink until the end; make the sink again where it goes."""
        there = True
        while not self._stop.is_set():
            try:
                if not there:
                    self._take(pulse, server)
                    self._tell("all that plays is taken in again")
                pulse.event_listen(_LOOK_SECONDS)
                now_there, place = server.holds(), server.rescue()
                if place is not None:
                    self._tell(f"the stems play on {place}, since their output went away")
            except Exception:
                now_there = False
            if there and not now_there:
                self._tell(f"the sound server has lost the sink {SINK}; it is made again")
            there = now_there
            if not there:
                self._stop.wait(_AGAIN_SECONDS)


@contextmanager
def system_sound(settings: LiveSettings, tell: Callable[[str], None]) -> Iterator[LiveSettings]:
    """Take in all that plays meanwhile; yield the settings with the devices for it.

    Raises:
        SettingsError: pulsectl is not installed.
        DeviceError: there is no sound server, or PortAudio does not reach it.
    """
    _check_system()
    sound = SystemSound(settings.samplerate or MODEL_RATE, tell)
    try:
        former = sound.open()
        with alsa_devices({INPUT: f"{SINK}.monitor", OUTPUT: former}):
            _check_plugin()
            tell(f"all that plays is taken in; the stems play on {former}")
            devices = {"input": f"ALSA:{INPUT}", "output": (f"ALSA:{OUTPUT}",)}
            yield settings.model_copy(update=devices)
    finally:
        sound.close()


def look_at_system_sound() -> str:
    """Return what a run with `--system` would do now. Nothing is changed.

    Raises:
        SettingsError: pulsectl is not installed.
        DeviceError: there is no sound server, or a run that was killed is to be cleared away.
    """
    _check_system()

    def look() -> str:
        with _pulsectl().Pulse(f"{SINK} doctor", connect=False) as pulse:
            try:
                pulse.connect()
            except Exception:  # see `SystemSound`
                raise _no_server() from None
            return PulseServer(pulse).look()

    return in_time(look, "system look")


def _check_system() -> None:
    if sys.platform == "darwin":
        raise DeviceError(
            "system needs PulseAudio or PipeWire; install BlackHole (brew install blackhole-2ch), "
            "make it the output in the system's settings, and try --input BlackHole"
        )
    _pulsectl()


def _check_plugin() -> None:
    backend = PortAudioBackend()
    if not _reaches(backend):
        backend.refresh()
        if not _reaches(backend):
            raise DeviceError(
                "system needs ALSA's plugin for PulseAudio; try apt install libasound2-plugins"
            )


def _reaches(backend: PortAudioBackend) -> bool:
    return {INPUT, OUTPUT} <= {device.name for device in backend.devices()}


def _pulsectl() -> Any:
    try:
        return importlib.import_module("pulsectl")
    except ImportError:
        raise SettingsError(
            "system needs pulsectl, which is not installed; try pip install 'stemstream[system]'"
        ) from None
    except OSError:
        raise DeviceError("system needs PulseAudio's library; try apt install libpulse0") from None


def _no_server() -> DeviceError:
    return DeviceError(
        "no PulseAudio or PipeWire answers; try systemctl --user start pipewire-pulse, or "
        "apt install pulseaudio and pulseaudio --start"
    )


def _is_own(stream: Any) -> bool:
    return bool(stream.proplist.get("application.process.id") == str(os.getpid()))
