"""Every program in examples/ does what its first line says."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from support.doubles import noise

from streamer.audio import Samples
from streamer.testing.virtual import VirtualBackend
from streamer.testing.virtual_device import VirtualDevice

EXAMPLES = Path(__file__).parents[1] / "examples"
RATE = 44100
MOST_LINES = 30


@pytest.fixture
def song(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Samples:
    """A second of noise, which is song.wav in the current folder."""
    monkeypatch.chdir(tmp_path)
    audio = np.float32(0.1) * noise(RATE)
    soundfile.write("song.wav", audio, RATE, subtype="FLOAT")
    return audio


def run(name: str, monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    monkeypatch.setattr(sys, "argv", [name, *words])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")


def read(path: str | Path) -> Samples:
    audio: Samples = soundfile.read(path, dtype="float32", always_2d=True)[0]
    return audio


def test_each_example_is_short_and_run_here() -> None:
    tested = Path(__file__).read_text()
    examples = sorted(EXAMPLES.glob("*.py"))
    assert len(examples) == 4
    for example in examples:
        assert len(example.read_text().splitlines()) <= MOST_LINES
        assert f'"{example.name}"' in tested


def test_separate_a_file(
    song: Samples, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run("separate_file.py", monkeypatch, "song.wav")
    told = dict(line.split(" ", 1) for line in capsys.readouterr().out.splitlines())
    assert set(told) == {"drums", "bass", "other", "vocals"}
    assert all(len(read(path)) == len(song) for path in told.values())


def test_a_host_of_your_own_plays_all_that_it_takes(
    song: Samples, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run("own_host.py", monkeypatch, "song.wav", "karaoke.wav")
    delay = int(capsys.readouterr().out.split()[0])
    assert delay < 0.03 * RATE
    karaoke = read("karaoke.wav")
    assert karaoke.shape == (len(song) + delay, song.shape[1])
    assert karaoke.any()


def test_a_host_of_your_own_leaves_out_the_vocals_alone(song: Samples) -> None:
    host = runpy.run_path(str(EXAMPLES / "own_host.py"))["sing_along"]
    latency = host("song.wav", "karaoke.wav", model="passthrough", hop=0.1, normalize="none")
    assert 0 < latency < len(song)
    heard = read("karaoke.wav")[latency:]
    np.testing.assert_allclose(heard, 3 * song, atol=1e-5)


def test_a_model_of_your_own_adds_up_to_the_song(
    song: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("own_model.py", monkeypatch, "song.wav")
    middle, sides = read("middle.wav"), read("sides.wav")
    np.testing.assert_allclose(middle[:, 0], song.mean(axis=1), atol=1e-4)
    np.testing.assert_allclose(middle + sides, song, atol=1e-4)


def test_the_live_mixer_fades_a_stem_down() -> None:
    draw = np.random.default_rng(0)
    sound = (0.1 * draw.standard_normal((RATE, 2))).astype("f4")
    card = VirtualDevice(
        "card",
        input_channels=2,
        output_channels=2,
        samplerate=RATE,
        source=lambda start, frames: sound[np.arange(start, start + frames) % RATE],
    )
    backend = VirtualBackend([card])
    faded_at = 0.0

    def typed() -> Iterator[str]:
        nonlocal faded_at
        backend.advance(2.0)
        faded_at = backend.clock()
        yield "vocals -90"
        backend.advance(1.0)

    mix = runpy.run_path(str(EXAMPLES / "live_mixer.py"))["mix"]
    mix(
        backend,
        typed(),
        model="passthrough",
        route=("vocals=1,2",),
        hop=0.1,
        lookahead=0.05,
        latency=0.5,
    )
    before = card.heard(round(RATE * (faded_at - 0.5)), RATE // 4)
    after = card.heard(round(RATE * (faded_at + 0.5)), RATE // 4)
    assert np.abs(before).max() > 0.05
    assert np.abs(after).max() == 0
