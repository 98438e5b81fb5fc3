"""Channels on PulseAudio, and where they are: no route is silence, nothing is mixed down, moves."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from live.conftest import found
from live.support import servers
from live.support.command import LiveRun, read_report
from live.support.servers import WIDE_CHANNELS, WIDE_MAP, Server, wait_until
from support.doubles import noise

from streamer.audio import Samples
from streamer.live.devices.moves import Moves
from streamer.live.devices.portaudio import PortAudioBackend
from streamer.live.devices.sound_server import ServerStream

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
    assert portaudio.channels_behind(device, kind) == channels


def test_without_pactl_the_routes_say_how_many_channels_to_open(
    pulse: Server, portaudio: PortAudioBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    (device,) = [one for one in portaudio.devices() if one.name == "wide"]
    assert portaudio.channels_behind(device, "output") is None


@pytest.mark.parametrize(
    ("streams", "move", "told"),
    [
        ("sink-inputs", ("move-sink-input", "source"), "output from wide to source, which has 2"),
        (
            "source-outputs",
            ("move-source-output", "wide.monitor"),
            "input from source.monitor to wide.monitor, which has 8",
        ),
    ],
)
def test_a_stream_that_the_server_moved_elsewhere_is_told(
    pulse: Server, live: Start, tmp_path: Path, streams: str, move: tuple[str, str], told: str
) -> None:
    report = tmp_path / "report.json"
    given = ("--input", "source", "--output", "wide", "--report", report)
    run = live("-n", "passthrough", *given)
    run.until("running")
    listed = json.loads(pulse.call("pactl", "--format=json", "list", streams) or "[]")
    own = str(run.process.pid)
    (index,) = [
        one["index"] for one in listed if one["properties"].get("application.process.id") == own
    ]
    command, place = move
    assert pulse.call("pactl", command, str(index), place) is not None
    run.until(f"the sound server moved the {told} channels; move it back")
    assert run.stop() == 130
    assert [line for line in read_report(report)["events"] if told in line["text"]]


def test_moves_are_told_once_and_a_new_stream_is_where_it_is() -> None:
    moves = Moves()
    here, there = (ServerStream("output", 7, place, 1) for place in ("here", "there"))
    assert moves.feed([here]) == moves.feed([here]) == moves.feed([]) == []
    assert moves.feed([ServerStream("output", 8, "there", 2)]) == []
    assert moves.feed([ServerStream("input", 7, "there", 2)]) == []
    (sentence,) = moves.feed([there])
    assert "from here to there, which has 1 channel;" in sentence
    assert moves.feed([there]) == []
