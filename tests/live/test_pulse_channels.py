"""Channels on PulseAudio: what is not routed is silent, and what is taken in is not mixed down."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from doubles import noise
from live import servers
from live.command import LiveRun
from live.conftest import found
from live.servers import WIDE_CHANNELS, WIDE_MAP, Server, wait_until

from streamer.audio import Samples
from streamer.live.portaudio import PortAudioBackend

RATE = 44100
Start = Callable[..., LiveRun]


@pytest.fixture(scope="module")
def pulse() -> Iterator[Server]:
    with found(servers.pulse(RATE)) as server:
        yield server


@pytest.fixture
def song(tmp_path: Path) -> Path:
    path = tmp_path / "song.wav"
    soundfile.write(path, noise(RATE), RATE, subtype="FLOAT")
    return path


def peaks(pulse: Server, folder: Path) -> Samples:
    """The largest magnitude of each channel of the wide sink, over half a second from now on."""
    file = folder / "wide"
    with pulse.recording("wide.monitor", file, WIDE_CHANNELS):
        wait_until(lambda: file.exists() and file.stat().st_size >= RATE // 2 * WIDE_CHANNELS * 4)
    heard = np.fromfile(file, "<f4")
    return np.abs(heard[: len(heard) // WIDE_CHANNELS * WIDE_CHANNELS]).reshape(-1, 8).max(0)


def test_channels_without_a_route_are_silent_and_a_scene_adds_some_later(
    pulse: Server, live: Start, song: Path, tmp_path: Path
) -> None:
    scene = tmp_path / "band.toml"
    scene.write_text('routes = ["vocals=1,2", "mix=3,4"]\n')
    run = live(
        *("-n", "passthrough", "--input", song, "--loop", "--output", "wide"), "--scene", scene
    )
    run.until("running")
    before = peaks(pulse, tmp_path)
    assert before[:4].min() > 0.1
    assert before[4:].max() == 0
    scene.write_text('routes = ["vocals=1,2", "mix=3,4", "bass=7,8"]\n')
    run.until("scene band.toml loaded")
    after = peaks(pulse, tmp_path)
    assert after[[0, 1, 2, 3, 6, 7]].min() > 0.1
    assert after[4:6].max() == 0
    assert run.stop() == 130


def test_with_fewer_channels_the_server_spreads_them(
    pulse: Server, live: Start, song: Path, tmp_path: Path
) -> None:
    """What --output-channels is for must be seen to do something, and why it is rarely wanted."""
    run = live(
        *("-n", "passthrough", "--input", song, "--loop", "--output", "wide"),
        *("--output-channels", 2, "--route", "vocals=1,2"),
    )
    run.until("running")
    assert peaks(pulse, tmp_path)[4:].max() > 0.01
    assert run.stop() == 130


def test_a_route_to_a_channel_that_the_sink_lacks_is_refused(
    pulse: Server, portaudio: PortAudioBackend, refused: Callable[..., tuple[int, str]], song: Path
) -> None:
    usual = ("-n", "passthrough", "--input", song, "--output", "player", "--duration", 1)
    code, line = refused(*usual, "--route", "vocals=3,4")
    assert code == 2
    assert "route vocals=3,4 needs channel 4, and the output player has 2 channels" in line


def test_a_wide_source_is_taken_in_channel_for_channel(
    pulse: Server, live: Start, tmp_path: Path
) -> None:
    """Opened with two channels, the server would mix all eight into them."""
    run = live(
        *("-n", "passthrough", "--input", "heard", "--input-channels", "1,2", "--output", "player"),
        *("--record", tmp_path / "takes", "--float32"),
    )
    run.until("running")
    wide = np.concatenate([noise(RATE), noise(RATE, seed=1), np.full((RATE, 4), 0.3, "f4")], axis=1)
    path = tmp_path / "wide.wav"
    soundfile.write(path, wide, RATE, subtype="FLOAT")
    play = ("paplay", "--device=wide", f"--channel-map={WIDE_MAP}", str(path))
    subprocess.run(play, check=True, timeout=60)
    assert run.stop() == 130
    kept, _ = soundfile.read(next((tmp_path / "takes").rglob("vocals.wav")), dtype="float32")
    piece = wide[RATE // 2 : RATE // 2 + 4096, :2]
    at = int(np.argmax(np.correlate(kept[:, 0], piece[:, 0], "valid")))
    np.testing.assert_allclose(kept[at : at + len(piece)], piece, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "kind", "channels"),
    [
        ("wide", "output", 8),
        ("player", "output", 2),
        ("both", "output", 8),
        ("both", "input", 2),
        ("heard", "input", 8),
        ("default", "output", None),
    ],
)
def test_how_many_channels_are_behind_a_plugin(
    pulse: Server, portaudio: PortAudioBackend, name: str, kind: str, channels: int | None
) -> None:
    (device,) = [one for one in portaudio.devices() if one.name == name]
    assert portaudio.channels_behind(device, kind) == channels  # type: ignore[arg-type]


def test_without_pactl_the_routes_say_how_many_channels_to_open(
    pulse: Server, portaudio: PortAudioBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    (device,) = [one for one in portaudio.devices() if one.name == "wide"]
    assert portaudio.channels_behind(device, "output") is None
