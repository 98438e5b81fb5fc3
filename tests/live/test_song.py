"""A file as the input of a live run: where in the song it is, on virtual time."""

from __future__ import annotations

from pathlib import Path

import pytest
import soundfile
from doubles import RATE, noise
from live.staging import card, noise_source, running, speakers

from cli.screen import line
from streamer.live.report import plain
from streamer.live.status import Status


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
