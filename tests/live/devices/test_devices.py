"""Devices by name; PortAudio with native callbacks on PulseAudio and JACK; servers that go."""

from __future__ import annotations

import errno
import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from live.support.counting import STEPS, Counter, ramp
from live.support.servers import RATE, WIDE_CHANNELS, Server, wait_until

from streamer.audio import Samples
from streamer.errors import DeviceError
from streamer.live.devices.device import Device, find_device
from streamer.live.devices.portaudio import PortAudioBackend, PortAudioStream, _latency
from streamer.live.devices.portaudio_library import library
from streamer.live.devices.watchdog import Reconnect

# more than the sound server needs, so that a busy machine does not make the tests fail
LATENCY_SECONDS = 0.1


def device(index: int, name: str, hostapi: str = "ALSA", **more: object) -> Device:
    return Device(index, name, hostapi, 2, 2, RATE, 0.01, 0.01, **more)


LISTED = [
    device(0, "HDA Intel PCH: ALC257 Analog (hw:0,0)"),
    device(1, "pulse", default_input=True),
    device(2, "pulse", "JACK Audio Connection Kit"),
    device(3, "Pulse Wide", default_output=True),
    Device(4, "speakers", "ALSA", 0, 2, RATE, 0.01, 0.01),
    device(5, "10"),
]


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (3, 3),
        ("3", 3),
        ("wide", 3),
        ("PULSE WIDE", 3),
        ("alc257", 0),
        ("HDA Intel PCH: ALC257 Analog (hw:0,0)", 0),
        ("ALSA:pulse", 1),
        ("jack:pulse", 2),
        ("alsa:wide", 3),
        (None, 1),
    ],
)
def test_finds_a_device(query: str | int | None, index: int) -> None:
    assert find_device(LISTED, query, "input").index == index


@pytest.mark.parametrize(
    ("query", "kind", "told"),
    [
        ("pulse", "input", "several for 'pulse'; .* 1 ALSA:pulse, 2 JACK Audio Connection Kit:pu"),
        ("nothing", "input", "no input device named 'nothing'; try an index or HOSTAPI:NAME of: 0"),
        ("speakers", "input", "'speakers' has no input"),
        (4, "input", "'speakers' has no input"),
        (17, "output", "no device with index 17"),
    ],
)
def test_refuses_in_one_sentence(query: str | int, kind: str, told: str) -> None:
    with pytest.raises(DeviceError, match=told) as refused:
        find_device(LISTED, query, kind)
    assert "\n" not in str(refused.value)


def test_says_that_there_is_no_device_at_all() -> None:
    with pytest.raises(DeviceError, match="no default input device; this machine has no device"):
        find_device([], None, "input")


def test_portaudio_is_loaded_by_a_backend_and_not_before() -> None:
    code = (
        "import sys, streamer.testing.virtual, streamer.live.devices.watchdog\n"
        "import streamer.live.devices.portaudio\n"
        "assert 'sounddevice' not in sys.modules and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def command(*words: str, before: str = "") -> subprocess.CompletedProcess[str]:
    """The command line, as a process of its own."""
    code = f"import sys; {before}\nfrom cli.main import main\nsys.argv[0] = 'stemstream'; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=False
    )


def test_names_the_package_where_the_library_is_missing() -> None:
    hidden = "import ctypes.util; ctypes.util.find_library = lambda name: None"
    done = command("devices", before=hidden)
    assert done.returncode == DeviceError.exit_code
    assert done.stderr.splitlines() == [
        "stemstream: the PortAudio library is not installed; try apt install libportaudio2"
    ]


def test_the_command_lists_what_there_is(pulse: Server, portaudio: PortAudioBackend) -> None:
    listed = json.loads(command("devices", "--json").stdout)
    assert [Device(**each) for each in listed] == portaudio.devices()
    table = command("devices").stdout.splitlines()
    assert " ".join(table[0].split()) == "index name host API in out Hz latency in out"
    wide = next(line.split() for line in table if " wide " in line)
    assert wide[:3] == [
        str(find_device(portaudio.devices(), "wide", "output").index),
        "wide",
        "ALSA",
    ]


def test_doctor_tells_of_the_sound(pulse: Server, portaudio: PortAudioBackend) -> None:
    told = " ".join(command("doctor").stdout.split())
    assert "ok PortAudio PortAudio V19" in told
    assert re.search(r"ok sound devices \d+ with inputs, \d+ with outputs", told)
    assert "real-time priority" in told


def test_an_entry_of_an_older_list_opens_no_other_device(
    pulse: Server, portaudio: PortAudioBackend
) -> None:
    """While a server is away PortAudio lists less, and an index is that of another device."""
    there = find_device(portaudio.devices(), "source", "input")
    gone = replace(there, name="what had this index")
    with pytest.raises(DeviceError, match="'what had this index' is gone; plug it in"):
        portaudio.open(Counter(2).request(gone))


def test_c_libraries_are_kept_off_the_terminal_and_python_is_not() -> None:
    code = (
        "import os, sys\n"
        "from streamer.live.devices.portaudio_library import quiet_libraries\n"
        "with quiet_libraries():\n"
        "    os.write(2, b'ALSA lib: underrun')\n"
        "    print('own', file=sys.stderr)\n"
        "os.write(2, b'after')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "own\nafter"


def longest_run(heard: Samples) -> int:
    """The most frames in a row that are the ramp's, each with all its channels right."""
    steps = np.round(heard[:, 0] * STEPS * 16).astype(int) // 8
    right = (heard == ramp(0, STEPS, heard.shape[1])[steps % STEPS]).all(axis=1)
    breaks = np.flatnonzero(~right[1:] | (np.diff(steps) % STEPS != 1))
    return int(np.diff(np.concatenate([[-1], breaks, [len(right) - 1]])).max())


def test_pulse_brings_what_is_played_to_what_captures(
    pulse: Server, portaudio: PortAudioBackend
) -> None:
    played, heard = Counter(outputs=2), Counter(2)
    target = find_device(portaudio.devices(), "player", "output")
    source = find_device(portaudio.devices(), "source", "input")
    streams = [
        portaudio.open(played.request(None, target, latency=LATENCY_SECONDS)),
        portaudio.open(heard.request(source, latency=LATENCY_SECONDS)),
    ]
    for stream in streams:
        stream.start()
    wait_until(lambda: heard.captured.any(axis=1).sum() > RATE // 2)
    assert all(stream.active for stream in streams)
    assert streams[0].output_latency_seconds > 0
    assert streams[0].input_latency_seconds == 0
    assert streams[1].time() > 0
    assert not portaudio.refresh()  # streams are open
    for stream in streams:
        stream.close()
        stream.close()
    assert not any(stream.active for stream in streams)
    assert longest_run(heard.captured) > RATE // 8


def test_pulse_keeps_eight_channels_apart(
    pulse: Server, portaudio: PortAudioBackend, tmp_path: Path
) -> None:
    played = Counter(outputs=WIDE_CHANNELS)
    target = find_device(portaudio.devices(), "wide", "output")
    stream = portaudio.open(played.request(None, target, latency=LATENCY_SECONDS))
    stream.start()
    file = tmp_path / "heard"
    with pulse.recording("wide.monitor", file, WIDE_CHANNELS):
        wait_until(lambda: file.exists() and file.stat().st_size > RATE * 4 * WIDE_CHANNELS)
    stream.stop()
    heard = np.fromfile(file, "<f4")
    heard = heard[: len(heard) // WIDE_CHANNELS * WIDE_CHANNELS].reshape(-1, WIDE_CHANNELS)
    assert longest_run(heard) > RATE // 8


def test_jack_brings_what_is_played_to_what_captures(
    jack: Server, portaudio: PortAudioBackend
) -> None:
    played, heard = Counter(outputs=8), Counter(2)
    system = find_device(portaudio.devices(), "JACK:system", "output")
    for request in (played.request(None, system), heard.request(system)):
        portaudio.open(request).start()
    for port, channel in ((0, "out_0"), (1, "out_1")):
        assert jack.call("jack_connect", f"PortAudio:{channel}", f"PortAudio:in_{port}") is not None
    wait_until(lambda: heard.captured.any(axis=1).sum() > RATE // 2)
    assert longest_run(heard.captured) > RATE // 8


def test_refuses_what_a_device_cannot(jack: Server, portaudio: PortAudioBackend) -> None:
    system = find_device(portaudio.devices(), "JACK:system", "output")
    with pytest.raises(DeviceError, match="samplerate=44100 must be a rate that 'system' has; try"):
        portaudio.open(Counter(outputs=2).request(None, system, samplerate=44100))
    with pytest.raises(DeviceError, match="'system' has 8 output channels, 9 are wanted"):
        portaudio.open(Counter(outputs=9).request(None, system))
    portaudio.open(Counter(outputs=2).request(None, system)).start()


@pytest.mark.parametrize(("kind", "name"), [("pulse", "wide"), ("jack", "JACK:system")])
def test_a_server_that_died_is_left_and_its_device_found_again(
    kind: str, name: str, request: pytest.FixtureRequest
) -> None:
    server: Server = request.getfixturevalue(kind)
    portaudio: PortAudioBackend = request.getfixturevalue("portaudio")
    lost = find_device(portaudio.devices(), name, "output")
    stream, counter = playing(portaudio, lost)
    waiting = portaudio.open(counter.request(None, lost))  # one that never started is closed too
    server.kill()
    wait_until(lambda: not stream.active)
    stream.stop()
    stream.close()
    waiting.close()
    again = Reconnect(lost, "output", now_seconds=0.0)
    assert portaudio.refresh()
    assert again.find(portaudio.devices()) is None
    server.start()
    assert portaudio.refresh()
    back = again.find(portaudio.devices())
    assert back is not None
    playing(portaudio, back)


@pytest.mark.parametrize("rate", [RATE, 44100])
@pytest.mark.parametrize("block_frames", [32, 64, 256, 512])
def test_a_card_is_asked_for_periods_of_one_block(block_frames: int, rate: int) -> None:
    """As PortAudio 19.6 works them out in ``PaAlsaStreamComponent_DetermineFramesPerBuffer``."""
    usual = replace(LISTED[0], input_latency_seconds=384 / rate, output_latency_seconds=384 / rate)
    both = Counter(2, 2).request(usual, usual, samplerate=rate, blocksize=block_frames)
    for kind in ("input", "output"):
        seconds = _latency(replace(both, latency="low"), kind, usual)
        buffer_frames = block_frames + max(block_frames, int(seconds * rate))
        periods_frames = -(-(buffer_frames // 4) // block_frames) * block_frames
        assert periods_frames == block_frames


def playing(portaudio: PortAudioBackend, target: Device) -> tuple[object, Counter]:
    """A stream whose callbacks come."""
    counter = Counter(outputs=8, capacity_frames=0)
    stream = portaudio.open(counter.request(None, target, latency=LATENCY_SECONDS))
    stream.start()
    wait_until(lambda: counter.calls > 10)
    return stream, counter


def test_a_call_that_never_returns_is_left_to_itself(
    pulse: Server, portaudio: PortAudioBackend
) -> None:
    never = threading.Event()
    with hurried(), pytest.raises(DeviceError, match="does not answer; restart it"):
        library().call(never.wait)
    never.set()
    assert portaudio.refresh()  # by another copy of the library
    playing(portaudio, find_device(portaudio.devices(), "wide", "output"))


def test_a_device_whose_opening_was_given_up_is_released_when_it_opens(
    pulse: Server, portaudio: PortAudioBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening, closed = threading.Event(), threading.Event()
    make, close = PortAudioStream.__init__, PortAudioStream.close_in

    def make_late(self: PortAudioStream, *of: object) -> None:
        opening.wait()
        make(self, *of)

    def close_noted(self: PortAudioStream, portaudio: object) -> None:
        close(self, portaudio)
        closed.set()

    monkeypatch.setattr(PortAudioStream, "__init__", make_late)
    monkeypatch.setattr(PortAudioStream, "close_in", close_noted)
    target = find_device(portaudio.devices(), "wide", "output")
    request = Counter(outputs=8).request(None, target, latency=LATENCY_SECONDS)
    with hurried(), pytest.raises(DeviceError, match="does not answer; restart it"):
        portaudio.open(request)
    opening.set()
    assert closed.wait(10)
    assert pulse.call("pactl", "list", "short", "sink-inputs").strip() == ""


def test_a_portaudio_that_did_not_start_again_refuses_in_one_sentence(
    pulse: Server, portaudio: PortAudioBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waits for a device tries on: anything but a `DeviceError` would end the run."""
    target = find_device(portaudio.devices(), "wide", "output")
    request = Counter(outputs=8).request(None, target, latency=LATENCY_SECONDS)
    never = threading.Event()

    def hang() -> None:
        library().sounddevice._lib.Pa_Terminate()
        never.wait()

    monkeypatch.setattr(library(), "_again", hang)
    with hurried(), pytest.raises(DeviceError, match="does not answer; restart it"):
        portaudio.refresh()
    with pytest.raises(DeviceError, match="cannot be used"):
        portaudio.open(request)
    never.set()
    assert portaudio.refresh()
    playing(portaudio, find_device(portaudio.devices(), "wide", "output"))


@pytest.mark.usefixtures("pulse")
def test_a_portaudio_of_which_no_copy_can_be_made_refuses_in_one_sentence(
    portaudio: PortAudioBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library(), "_spoiled", True)
    with monkeypatch.context() as full:
        full.setattr(shutil, "copyfile", Mock(side_effect=OSError(errno.ENOSPC, "no space")))
        for _ in range(2):
            with pytest.raises(DeviceError, match="no copy of PortAudio can be loaded"):
                portaudio.refresh()
    assert portaudio.refresh()


@contextmanager
def hurried() -> Iterator[None]:
    """Hardly wait for a call into PortAudio."""
    patience, library().patience_seconds = library().patience_seconds, 0.1
    try:
        yield
    finally:
        library().patience_seconds = patience
