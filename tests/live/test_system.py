"""`stemstream live --system`: what plays comes out as stems; all is put back."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from live.conftest import found
from live.support import servers
from live.support.command import LiveRun
from live.support.pipewire import pipewire
from live.support.servers import Server, wait_until
from support.doubles import noise

from streamer.errors import DeviceError, SettingsError
from streamer.live.devices.system_sound import SINK, PulseServer, SystemSound, system_sound
from streamer.live.settings import LiveSettings

RATE = 44100
FORMER = "speaker"
"""The default of the test's server before anybody takes over."""
HOLD = """
from streamer.live.devices.system_sound import SystemSound
print(SystemSound(44100, print).open(), flush=True)
input()
"""


@contextmanager
def pulseaudio() -> Iterator[Server]:
    with servers.pulse(RATE) as server:
        sink = f"norewinds=1 rate={RATE} sink_name={FORMER}"
        server.call("pactl", "load-module", "module-null-sink", *sink.split())
        server.call("pactl", "set-default-sink", FORMER)
        yield server


@pytest.fixture(scope="module", params=[pulseaudio, pipewire], ids=["pulseaudio", "pipewire"])
def pulse(request: pytest.FixtureRequest) -> Iterator[Server]:
    """PulseAudio, and PipeWire in its place."""
    pytest.importorskip("pulsectl", reason="pulsectl is that of the extra system")
    with found(request.param()) as server:
        yield server


def default(pulse: Server) -> str:
    return (pulse.call("pactl", "get-default-sink") or "").strip()


def sinks(pulse: Server) -> dict[int, str]:
    listed = json.loads(pulse.call("pactl", "--format=json", "list", "sinks") or "[]")
    return {one["index"]: one["name"] for one in listed}


def places(pulse: Server, pid: int) -> dict[int, str]:
    """Where a process's streams play, by their index."""
    names = sinks(pulse)
    listed = json.loads(pulse.call("pactl", "--format=json", "list", "sink-inputs") or "[]")
    return {
        one["index"]: names.get(one["sink"], "")
        for one in listed
        if one["properties"].get("application.process.id") == str(pid)
    }


@contextmanager
def playing(folder: Path) -> Iterator[int]:
    """Another program that plays noise on the default output."""
    path = folder / "noise.wav"
    soundfile.write(path, 0.1 * noise(60 * RATE), RATE, subtype="FLOAT")
    player = subprocess.Popen(["paplay", str(path)])
    try:
        yield player.pid
    finally:
        player.kill()
        player.wait()


def is_put_back(pulse: Server) -> bool:
    return default(pulse) == FORMER and SINK not in sinks(pulse).values()


def test_what_plays_comes_out_as_stems_and_a_sigterm_puts_all_back(
    pulse: Server, live: Callable[..., LiveRun], tmp_path: Path
) -> None:
    with playing(tmp_path) as player:
        wait_until(lambda: list(places(pulse, player).values()) == [FORMER])
        run = live("--system", "-n", "passthrough", "--route", "vocals=1,2")
        run.until("running")
        assert default(pulse) == SINK
        assert list(places(pulse, player).values()) == [SINK]
        ours = places(pulse, run.process.pid)
        assert set(ours.values()) == {FORMER}
        heard = tmp_path / "heard"
        with pulse.recording(f"{FORMER}.monitor", heard, 2):
            wait_until(lambda: heard.exists() and heard.stat().st_size > 2 * RATE * 8)
        data = np.fromfile(heard, "<f4")[RATE:]
        # once, not twice: neither beside its own stems, nor in a circle
        assert np.sqrt((data**2).mean()) == pytest.approx(
            0.1 * np.sqrt((noise(RATE) ** 2).mean()), rel=0.3
        )

        # our own sound never stays in our own sink
        (index,) = ours

        def is_rescued() -> bool:
            # PipeWire's session manager overlooks some moves
            for place in (FORMER, SINK):
                pulse.call("pactl", "move-sink-input", str(index), place)
            return run.has_told(f"the stems play on {FORMER}, since their output went away", 1)

        wait_until(is_rescued)
        wait_until(lambda: set(places(pulse, run.process.pid).values()) == {FORMER})

        second = SystemSound(RATE, print)
        with pytest.raises(DeviceError, match="another stemstream has taken all that plays; end"):
            second.open()
        second.close()

        assert run.stop(signal.SIGTERM) == 128 + signal.SIGTERM
        assert is_put_back(pulse)
        assert list(places(pulse, player).values()) == [FORMER]


def test_what_a_killed_run_left_behind_is_put_back_by_the_next(
    pulse: Server, tmp_path: Path
) -> None:
    with playing(tmp_path) as player:
        wait_until(lambda: list(places(pulse, player).values()) == [FORMER])
        killed = subprocess.Popen(
            [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert killed.stdout is not None
        assert killed.stdout.readline() == f"{FORMER}\n"
        killed.kill()
        killed.communicate()
        assert default(pulse) == SINK
        sound = SystemSound(RATE, print)
        assert sound.open() == FORMER
        assert list(sinks(pulse).values()).count(SINK) == 1
        sound.close()
        assert is_put_back(pulse)
        assert list(places(pulse, player).values()) == [FORMER]


def test_a_sink_that_is_lost_with_its_server_is_made_again(pulse: Server) -> None:
    told: list[str] = []
    sound = SystemSound(RATE, told.append)
    assert sound.open() == FORMER
    pulse.kill()
    wait_until(lambda: told == ["the sound server has lost the sink stemstream; it is made again"])
    pulse.start()
    wait_until(lambda: told[1:] == ["all that plays is taken in again"])
    assert SINK in sinks(pulse).values()
    sound.close()
    assert SINK not in sinks(pulse).values()


class Listed:
    """What a server lists: a default, perhaps a sink of ours, and the clients that are there."""

    def __init__(self, default: str, *, taken: bool = False, clients: tuple[str, ...] = ()) -> None:
        self.default, self.clients = default, clients
        ours = SimpleNamespace(name=SINK, proplist={"stemstream.owner": "stemstream 1"})
        self.sinks = [SimpleNamespace(name="speaker", proplist={}), *([ours] if taken else [])]

    def server_info(self) -> SimpleNamespace:
        return SimpleNamespace(default_sink_name=self.default)

    def sink_list(self) -> list[SimpleNamespace]:
        return self.sinks

    def client_list(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(name=name) for name in self.clients]


def test_a_look_tells_what_a_run_would_find_and_changes_nothing() -> None:
    ready = PulseServer(Listed("speaker")).look()
    assert ready == "ready; the stems would play on speaker"
    held = PulseServer(Listed(SINK, taken=True, clients=("a browser", "stemstream 1"))).look()
    assert held == "a run has taken all that plays"
    with pytest.raises(DeviceError, match="a run that was killed has left its sink stemstream; "):
        PulseServer(Listed(SINK, taken=True, clients=("a browser",))).look()
    with pytest.raises(DeviceError, match="has no output; plug one in"):
        PulseServer(Listed("")).look()


def test_without_a_server_one_sentence_says_what_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pulsectl", reason="pulsectl is that of the extra system")
    monkeypatch.setenv("PULSE_SERVER", "unix:/nowhere")
    with (
        pytest.raises(DeviceError, match="no PulseAudio or PipeWire answers; try systemctl"),
        system_sound(LiveSettings(system=True), print),
    ):
        pass


def test_a_system_without_such_a_server_names_a_cable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with (
        pytest.raises(DeviceError, match="install BlackHole"),
        system_sound(LiveSettings(system=True), print),
    ):
        pass


def test_devices_of_ones_own_do_not_go_with_all_that_plays() -> None:
    with pytest.raises(SettingsError, match="leave out input and output"):
        LiveSettings(system=True, input="USB")
