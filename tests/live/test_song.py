"""A file as the input of a live run: which part is played, and where in the song it is."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from live.support.staging import begun, card, noise_source, running, speakers
from support.doubles import RATE, noise

from cli.screen import line
from streamer.audio import Samples
from streamer.errors import ModelError, SettingsError
from streamer.live.devices import player
from streamer.live.planning.prepare import prepare
from streamer.live.settings import LiveSettings
from streamer.live.status import Reason, Status
from streamer.live.telemetry.report import plain
from streamer.models.separator import Bag
from streamer.resolve import resolve
from streamer.testing.virtual import VirtualBackend


def song(folder: Path, seconds: float, rate: int = RATE) -> str:
    path = folder / "song.wav"
    soundfile.write(path, noise(round(seconds * rate)), rate, subtype="FLOAT")
    return str(path)


def test_the_status_tells_where_in_the_song_it_is_and_not_how_long_it_has_run(
    tmp_path: Path,
) -> None:
    with running([speakers()], input=song(tmp_path, 3), loop=True) as run:
        delay = run.session.plan.delay_seconds
        run.advance(delay / 2)
        assert run.session.status().song_seconds == 0
        run.advance(delay / 2 + 2)
        assert run.session.status().song_seconds == pytest.approx(2, abs=0.1)
        run.advance(2)
        status = run.session.status()
        assert status.song_seconds == pytest.approx(1, abs=0.1)
        assert status.song_length_seconds == 3
        assert plain(run.session.report())["song_length_seconds"] == 3


def test_the_position_is_that_of_the_file_at_another_rate(tmp_path: Path) -> None:
    with running([speakers()], input=song(tmp_path, 3, 2 * RATE), loop=True) as run:
        run.advance(run.session.plan.delay_seconds + 5)
        assert run.session.status().song_seconds == pytest.approx(2, abs=0.1)


def test_at_the_end_the_position_is_the_length(tmp_path: Path) -> None:
    with running([speakers()], input=song(tmp_path, 1)) as run:
        run.advance(4)
    assert run.session.status().song_seconds == run.session.status().song_length_seconds == 1


def test_a_device_that_is_taken_in_is_no_song() -> None:
    with running([card(noise_source())]) as run:
        run.advance(1)
        status = run.session.status()
    assert (status.song_seconds, status.song_length_seconds) == (None, None)


@pytest.mark.parametrize(
    ("position", "length", "shown"),
    [
        (83.9, 245.0, ", 00:01:23 of 00:04:05, "),
        (83.9, None, ", 00:01:23, "),
        (None, None, ", 00:10:00, "),
    ],
)
def test_the_status_line_shows_the_song(
    position: float | None, length: float | None, shown: str
) -> None:
    status = Status(
        samplerate=RATE,
        played_frames=600 * RATE,
        song_seconds=position,
        song_length_seconds=length,
    )
    assert shown in line(status)


# A part of the file


def played(path: str, seconds: float, **part: object) -> Samples:
    """What comes out from the first frame of the file on."""
    output = speakers()
    with running([output], input=path, route=["drums=1,2"], **part) as run:
        run.advance(seconds)
        delay = run.announced_frames
    return output.heard(0, output.heard_frames)[begun() + delay :]


def test_a_part_of_the_song_is_played_to_the_frame_and_the_run_ends(tmp_path: Path) -> None:
    path = song(tmp_path, 3)
    takes = {"record": tmp_path, "sample_format": "float32"}
    with running([speakers()], input=path, start=0.75, end="0:02.5", **takes) as run:
        assert run.session.status().song_length_seconds == 3
        run.advance(4)
        assert run.session.status().reason is Reason.SOURCE_ENDED
        assert run.session.status().song_seconds == 2.5
    recorded, _ = soundfile.read(tmp_path / "take-001" / "drums.wav", dtype="float32")
    whole, _ = soundfile.read(path, dtype="float32")
    np.testing.assert_allclose(recorded, whole[RATE * 3 // 4 : RATE * 5 // 2], atol=1e-7)


@pytest.mark.parametrize("kept_seconds", [60, 0.2, 0])
def test_a_loop_is_between_start_and_end_without_a_seam(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept_seconds: float
) -> None:
    monkeypatch.setattr(player, "KEPT_SECONDS", kept_seconds)
    path = song(tmp_path, 3)
    whole, _ = soundfile.read(path, dtype="float32")
    part = whole[RATE : RATE * 3 // 2]
    out = played(path, 3, start=1, end=1.5, loop=True)
    assert len(out) > 3 * len(part)
    np.testing.assert_allclose(out, np.resize(part, out.shape), atol=1e-6)


def test_a_loop_tells_where_in_the_song_it_is(tmp_path: Path) -> None:
    with running([speakers()], input=song(tmp_path, 3), start=1, end=2, loop=True) as run:
        run.advance(run.session.plan.delay_seconds + 2.5)
        assert run.session.status().song_seconds == pytest.approx(1.5, abs=0.1)
        assert run.session.status().song_length_seconds == 3


@pytest.fixture(scope="module")
def mp3(ffmpeg: Callable[..., bytes], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds in a format that can be read only from its beginning."""
    path = tmp_path_factory.mktemp("song") / "song.mp3"
    ffmpeg("-f", "lavfi", "-i", f"anoisesrc=d=3:r={44100}", path)
    return path


def test_a_part_of_a_compressed_file_is_played(mp3: Path, tmp_path: Path) -> None:
    with running([speakers()], input=str(mp3), start=1, end=2, loop=True) as run:
        run.advance(run.session.plan.delay_seconds + 2.5)
        assert run.session.status().song_seconds == pytest.approx(1.5, abs=0.1)
        assert run.session.status().dropped_frames == 0


@pytest.mark.parametrize(
    ("part", "sentence"),
    [
        ({"start": 3}, r"start=3 must be before the end of song\.\w+, which is 3\.\d s long; try"),
        ({"start": 99}, r"start=99 must be before the end of song"),
        ({"end": 3.5}, r"end=3\.5 must not be after the end of song\.\w+, which is 3\.\d s long; "),
    ],
)
@pytest.mark.parametrize("kind", ["wav", "mp3"])
def test_a_part_beyond_the_song_is_refused(
    tmp_path: Path, mp3: Path, kind: str, part: dict[str, object], sentence: str
) -> None:
    path = str(mp3) if kind == "mp3" else song(tmp_path, 3)
    if kind == "mp3" and part == {"start": 3}:
        part = {"start": 3.2}  # its last packet is padded
        sentence = sentence.replace("start=3", "start=3.2")
    with (
        pytest.raises(SettingsError, match=sentence),
        running([speakers()], input=path, **part),
    ):
        pass


def test_a_song_may_be_played_to_its_very_end(tmp_path: Path) -> None:
    with running([speakers()], input=song(tmp_path, 3), end=3.0) as run:
        assert run.session.status().song_length_seconds == 3


@pytest.mark.parametrize(
    ("part", "sentence"),
    [
        ({"start": 1}, "start=1.0 must go with a file that is played"),
        ({"end": 1}, "end=1.0 must go with a file that is played"),
        ({"loop": True}, "loop=true must go with a file that is played"),
    ],
)
def test_a_part_of_a_sound_device_is_refused(part: dict[str, object], sentence: str) -> None:
    with (
        pytest.raises(SettingsError, match=sentence),
        running([card(noise_source())], **part),
    ):
        pass


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("90", 90),
        ("90.5", 90.5),
        ("1:30", 90),
        ("1:30.25", 90.25),
        ("75:00", 4500),
        ("1:0:3", 3603),
    ],
)
def test_a_time_is_written_as_in_ffmpeg(written: str, seconds: float) -> None:
    settings = resolve(
        {"start": written, "end": "23:59:59"}, environ={}, kind=LiveSettings
    ).settings
    assert settings.start == seconds


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ({"start": "soon"}, r"--start=soon must be seconds, mm:ss or hh:mm:ss; try 1:30"),
        ({"start": "1:75"}, r"--start=1:75 must be seconds, mm:ss or hh:mm:ss; try 1:30"),
        ({"start": "1:2:3:4"}, r"must be seconds, mm:ss or hh:mm:ss"),
        ({"start": "9" * 4000}, r"must be seconds, mm:ss or hh:mm:ss"),
        ({"start": "nan"}, r"must be seconds, mm:ss or hh:mm:ss"),
        ({"start": "-1"}, r"--start=-1 must be between 0 and 86400; try 1:30"),
        ({"end": "0:00"}, r"--end=0 must be after --start=0"),
        ({"end": "1e9"}, r"must be seconds, mm:ss or hh:mm:ss"),
        (
            {"start": "1:30", "end": "1:00"},
            r"--end=60 must be after --start=90 \(in seconds\); try --end=120",
        ),
        ({"start": "90", "end": "90"}, r"--end=90 must be after --start=90"),
    ],
)
def test_a_wrong_time_is_refused_in_one_sentence(flags: dict[str, str], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        resolve(flags, environ={}, kind=LiveSettings)


def test_a_song_is_closed_where_planning_fails(tmp_path: Path) -> None:
    path = song(tmp_path, 1)

    def no_bag(_: LiveSettings) -> Bag:
        assert path in open_files(), "it is open while the run is planned"
        raise ModelError("there is no such model; try another")

    with pytest.raises(ModelError) as caught:
        prepare(LiveSettings(input=path), VirtualBackend([speakers()]), no_bag)
    assert path not in open_files(), caught  # whose frames keep the source alive


def open_files() -> list[str]:
    numbers = [number for number in Path("/proc/self/fd").iterdir() if number.is_symlink()]
    return [os.path.realpath(number) for number in numbers]
