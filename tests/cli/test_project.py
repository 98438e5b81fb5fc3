"""`--project`: stems and a project that opens them, each read by another library."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from support.doubles import noise

from streamer.files import Encoding, FileSink
from streamer.files.bwf import TimeStamp

parser = pytest.importorskip("rpp", reason="needs pip install rpp")
Run = Callable[..., Any]
STEMS = ("drums", "bass", "other", "vocals")
FRAMES = 30_000


@pytest.fixture
def loud(song: Run) -> Path:
    """A song with peaks far over full scale."""
    return song("song.wav", 4 * noise(FRAMES))


def tracks_of(project: Path) -> dict[str, tuple[Path, float]]:
    """The file and the fader of each track."""
    root = parser.loads(project.read_text("utf-8"))
    return {
        track.find("NAME")[1]: (
            project.parent / track.find("ITEM").find("SOURCE").find("FILE")[1],
            float(track.find("VOLPAN")[1]),
        )
        for track in root.findall("TRACK")
    }


def test_stems_that_would_clip_get_one_gain_that_the_faders_make_up_for(
    separate: Run, loud: Path, read: Run, elsewhere: Path
) -> None:
    outcome = separate("--project", "reaper", "--json", "--stems", "bass,vocals", loud)
    (told,) = json.loads(outcome.out)
    peak = np.abs(read(loud)).max()
    assert told["gain"] == pytest.approx(1 / (1.01 * peak))
    assert "dB lower, so that none clips" in outcome.err
    project = Path(told["project"])
    assert project == Path("separated/passthrough/song/song.rpp")
    tracks = tracks_of(project)
    assert list(tracks) == ["bass", "vocals"]
    for name, (file, fader) in tracks.items():
        info = soundfile.info(file)
        assert (info.subtype, info.frames, info.samplerate) == ("PCM_24", FRAMES, 44100)
        stem = read(file)
        assert 0.98 < np.abs(stem).max() < 1
        peak_db = 20 * np.log10(np.abs(stem).max())
        assert told["stems"][name]["peak_db"] == pytest.approx(peak_db, abs=0.01)
        # the model that separates nothing gives the mix
        np.testing.assert_allclose(stem * fader, read(loud), atol=1e-5)


def test_stems_that_do_not_clip_are_left_as_loud_as_they_are(separate: Run, song: Run) -> None:
    outcome = separate("--project", "reaper", "--json", song())
    (told,) = json.loads(outcome.out)
    assert told["gain"] == 1
    assert "none clips" not in outcome.notes
    assert {fader for _, fader in tracks_of(Path(told["project"])).values()} == {1.0}


def test_stems_begin_when_their_song_does(separate: Run, elsewhere: Path) -> None:
    wavinfo = pytest.importorskip("wavinfo", reason="needs pip install wavinfo")
    stamp = TimeStamp(44_100 * 3_600, "2026-11-28", "01:00:00")
    with FileSink(elsewhere / "take.wav", 44100, 2, Encoding("wav", "int24", stamp=stamp)) as sink:
        sink.write(noise(FRAMES))
        sink.commit()
    assert separate("--project", "reaper", "take.wav").code == 0
    for stem in STEMS:
        told = wavinfo.WavInfoReader(str(elsewhere / f"separated/passthrough/take/{stem}.wav"))
        assert told.bext.time_reference == stamp.frames
        assert told.bext.description == stem
    assert separate("-o", "plain", "take.wav").code == 0
    plain = wavinfo.WavInfoReader(str(elsewhere / "plain/passthrough/take/bass.wav"))
    assert plain.bext is None


def test_what_is_missing_comes_back_with_the_same_gain(
    separate: Run, loud: Path, files: Run, elsewhere: Path
) -> None:
    folder = elsewhere / "separated/passthrough/song"
    assert separate("--project", "reaper", loud).code == 0
    whole = {name: (folder / name).read_bytes() for name in files(folder)}
    assert set(whole) == {*(f"{stem}.wav" for stem in STEMS), "song.rpp"}
    for gone in (["bass.wav"], ["song.rpp"], ["vocals.wav", "song.rpp"]):
        for name in gone:
            (folder / name).unlink()
        assert separate("--project", "reaper", "--resume", loud).code == 0
        assert {name: (folder / name).read_bytes() for name in files(folder)} == whole
    outcome = separate("--project", "reaper", "--resume", "--json", loud)
    assert "left as they are" in outcome.err
    (told,) = json.loads(outcome.out)
    assert (Path(told["project"]).name, told["gain"]) == ("song.rpp", None)  # nobody knows it now


def test_stems_of_another_gain_get_no_project(
    separate: Run, loud: Path, files: Run, elsewhere: Path
) -> None:
    folder = elsewhere / "separated/passthrough/song"
    assert separate(loud).code == 0
    (folder / "bass.wav").unlink()
    outcome = separate("--project", "reaper", "--resume", loud)
    assert outcome.code == 4
    assert "drums.wav was made without a project, and may have another level" in outcome.err
    assert files(folder) == {"drums.wav", "other.wav", "vocals.wav"}


@pytest.mark.parametrize(("first", "then"), [("bass,vocals", None), (None, "bass")])
def test_stems_of_another_choice_get_no_gain_of_their_own(
    separate: Run, loud: Path, files: Run, elsewhere: Path, first: str | None, then: str | None
) -> None:
    def chosen(stems: str | None) -> tuple[str, ...]:
        return ("--project", "reaper", *(("--stems", stems) if stems else ()))

    folder = elsewhere / "separated/passthrough/song"
    assert separate(*chosen(first), loud).code == 0
    (folder / "bass.wav").unlink()
    kept = files(folder)
    outcome = separate(*chosen(then), "--resume", loud)
    assert outcome.code == 4
    assert "song.rpp was made for other stems, which may have another level" in outcome.complaint
    assert files(folder) == kept
    assert separate(*chosen(first), "--resume", loud).code == 0
    assert files(folder) == kept | {"bass.wav"}


def test_projects_of_two_songs_in_one_folder_have_two_names(
    separate: Run, song: Run, files: Run, elsewhere: Path
) -> None:
    songs = song("a.wav"), song("b.wav")
    words = ("--project", "reaper", "--stems", "bass", "--filename", "{stem}/{track}.{ext}")
    assert separate(*words, *songs).code == 0
    folder = elsewhere / "separated/passthrough"
    assert files(folder) == {"a/a.rpp", "b/b.rpp", "bass/a.wav", "bass/b.wav"}
    for name in "ab":
        ((file, _),) = tracks_of(folder / name / f"{name}.rpp").values()
        assert file.samefile(folder / f"bass/{name}.wav")


def test_a_project_that_stands_there_is_kept(separate: Run, song: Run, elsewhere: Path) -> None:
    mine = elsewhere / "separated/passthrough/song/song.rpp"
    mine.parent.mkdir(parents=True)
    mine.write_text("my work of a week")
    outcome = separate("--project", "reaper", song())
    assert "song.rpp exists" in outcome.complaint
    assert mine.read_text() == "my work of a week"
    assert list(mine.parent.iterdir()) == [mine]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--format", "mp3"), "--project needs --format=wav; leave out --format"),
        (("--clip-mode", "soft"), "--project needs --clip-mode=rescale; leave out --clip-mode"),
        (("-o", "-"), "--project opens files; give --out a folder"),
    ],
)
def test_what_a_project_cannot_hold_is_refused(
    words: tuple[str, ...], said: str, separate: Run, song: Run
) -> None:
    assert said in separate("--project", "reaper", *words, song()).complaint


def test_a_file_that_a_project_cannot_name_is_told_before_the_work(
    separate: Run, song: Run, files: Run, elsewhere: Path
) -> None:
    path = song("two\nlines.wav")
    outcome = separate("--project", "reaper", "--filename", "{track}-{stem}.{ext}", path)
    assert "a Reaper project cannot name the file" in outcome.complaint
    assert not files(elsewhere / "separated")
