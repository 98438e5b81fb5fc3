"""What a job does again, what it leaves, and what it never replaces; the engine is in-process."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from streamer import Settings, separate
from streamer.batch.engine import Made, Outcome, Task, Worker
from streamer.batch.estimate import estimate
from streamer.batch.job import MOST_TRIES, Job, made_before
from streamer.batch.manifest import FILE, Row, State, open_manifest, read_manifest
from streamer.batch.places import place_of
from streamer.batch.songs import Song, find_songs
from streamer.errors import OutputExistsError, SettingsError, SinkError

RATE = 8000


class Here:
    """An engine without processes. ``loses`` are songs whose worker ends, so many times."""

    workers = 1

    def __init__(self, settings: Settings, loses: dict[str, int] | None = None) -> None:
        self._worker = Worker(settings)
        self._loses = loses or {}
        self.done: list[str] = []
        self.replaces: list[bool] = []

    def start(self) -> Made:
        return self._worker.made

    def run(self, next_task: Callable[[], Task | None]) -> Iterator[Outcome]:
        while (task := next_task()) is not None:
            name = Path(task.source).name
            self.done.append(name)
            self.replaces.append(task.replace)
            if self._loses.get(name, 0) > 0:
                self._loses[name] -= 1
                yield Outcome(task, error="its worker ended", exit_code=1, lost=True)
            else:
                yield self._worker.do(task)

    def close(self) -> None:
        pass


class Library:
    """A folder of songs, and the job that separates it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.out = folder / "music", folder / "out"
        self.folder.mkdir()

    def song(self, name: str, pitch: float = 440.0) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        seconds = np.arange(RATE // 5) / RATE
        soundfile.write(path, 0.3 * np.sin(2 * np.pi * pitch * seconds), RATE)
        return path

    def run(self, *, loses: dict[str, int] | None = None, job=None, **wish) -> list[str]:
        """Run it once; return the songs that were begun, in order."""
        job = job or {}
        settings = Settings(model="passthrough", out=self.out, **wish)
        engine = Here(settings, loses)
        with open_manifest(self.out / ".job") as manifest:
            songs = find_songs([str(self.folder)])
            self.job = Job(songs, settings, manifest, made=engine.start(), **job)
            self.told = [Path(row.source).name for row in self.job.run(engine)]
        self.replaces = engine.replaces
        return engine.done

    def rows(self) -> dict[str, Row]:
        return {Path(name).name: row for name, row in read_manifest(self.out / ".job").items()}

    def files(self) -> dict[str, bytes]:
        found = (path for path in self.out.rglob("*.*") if ".job" not in path.parts)
        return {str(path.relative_to(self.out)): path.read_bytes() for path in found}


@pytest.fixture
def library(tmp_path) -> Library:
    return Library(tmp_path)


def test_stems_are_byte_for_byte_those_of_separate(library, tmp_path):
    songs = [library.song(f"{number}.wav", 100.0 * number) for number in range(1, 4)]
    assert library.run() == ["1.wav", "2.wav", "3.wav"]
    separate(songs, model="passthrough", out=tmp_path / "alone")
    alone = Library.__new__(Library)
    alone.out = tmp_path / "alone"
    assert library.files() == alone.files()
    assert len(library.files()) == 12


def test_a_second_run_does_only_what_is_new_changed_or_missing(library):
    for number in range(1, 5):
        library.song(f"{number}.wav", 100.0 * number)
    library.run()
    assert library.run() == []
    library.song("2.wav", 333.0)
    library.song("5.wav", 500.0)
    (library.out / "passthrough" / "3" / "vocals.wav").unlink()
    os.utime(library.folder / "4.wav", (1, 1))  # only its date changed
    assert library.run() == ["2.wav", "3.wav", "5.wav"]
    assert library.run() == []


def test_other_settings_do_it_again_over_its_own_files(library):
    library.song("1.wav")
    library.run()
    before = library.files()
    assert library.run(sample_format="int24") == ["1.wav"]
    after = library.files()
    assert before.keys() == after.keys()
    assert before != after


@pytest.mark.parametrize("between", [{"format": "flac"}, {"stems": ("vocals",)}])
def test_back_to_earlier_settings_does_it_again_over_its_own_files(library, between):
    library.song("1.wav")
    for settings in ({}, between, {}):
        assert library.run(**settings) == ["1.wav"]
        assert library.rows()["1.wav"].state is State.DONE
    assert library.run() == []


def test_resume_of_a_settings_file_leaves_no_old_stem(library):
    library.song("1.wav")
    library.run(resume=True)
    before = library.files()
    library.song("1.wav", 333.0)
    assert library.run(resume=True) == ["1.wav"]
    assert all(library.files()[name] != stem for name, stem in before.items())


def test_what_is_to_tell_of_a_song_is_kept_with_it(library):
    whole = library.song("1.wav").read_bytes()
    (library.folder / "1.wav").write_bytes(whole[:-1000])
    library.run()
    ((note,),) = library.job.notes.values()
    assert "1 is damaged or cut short" in note or "1.wav is damaged or cut short" in note


def test_what_is_in_the_way_of_one_song_is_not_in_that_of_another_of_the_same_content(library):
    library.song("1.wav")
    library.song("again.wav")
    library.song("more.wav")
    stranger = library.out / "passthrough" / "1" / "bass.wav"
    stranger.parent.mkdir(parents=True)
    stranger.write_bytes(b"mine")
    assert library.run() == ["again.wav"]
    states = {name: row.state for name, row in library.rows().items()}
    assert states == {"1.wav": State.FAILED, "again.wav": State.DONE, "more.wav": State.DONE}
    assert stranger.read_bytes() == b"mine"


def test_the_same_content_is_separated_once_and_copied(library):
    library.song("1.wav")
    library.song("album/again.wav")
    assert len(library.run()) == 1
    assert sorted(library.told) == ["1.wav", "again.wav"]
    files = library.files()
    for stem in ("drums", "vocals"):
        one, other = (files[f"passthrough/{name}/{stem}.wav"] for name in ("1", "again"))
        assert one == other
    library.song("third.wav")
    assert library.run() == []
    assert library.rows()["third.wav"].state is State.DONE


def test_what_failed_is_left_until_it_changes_or_is_asked_for(library):
    (library.folder / "bad.wav").write_bytes(b"junk")
    (library.folder / "bad2.wav").write_bytes(b"junk")
    library.song("good.wav")
    library.run()
    rows = library.rows()
    assert [rows[name].state for name in ("bad.wav", "bad2.wav", "good.wav")] == [
        State.FAILED,
        State.FAILED,
        State.DONE,
    ]
    assert rows["bad.wav"].exit_code == 3
    assert library.run() == []
    assert library.run(job={"retry_failed": True}) == ["bad.wav"]
    library.song("bad.wav", 100.0)
    assert library.run() == ["bad.wav"]


def test_a_song_that_is_still_not_there_needs_no_model_in_the_next_run(library):
    settings = Settings(model="passthrough", out=library.out)
    engine, gone = Here(settings), Song(str(library.folder / "gone.wav"))
    for waits in (True, False):
        with open_manifest(library.out / ".job") as manifest:
            job = Job([gone], settings, manifest, made=engine.start())
            assert job.waiting is waits
            list(job.run(engine))
            assert job.rows[gone.source].state is State.FAILED
    library.song("gone.wav")
    assert library.run() == ["gone.wav"]


def test_a_file_that_is_not_its_own_is_never_replaced_unless_told(library):
    library.song("1.wav")
    stranger = library.out / "passthrough" / "1" / "bass.wav"
    stranger.parent.mkdir(parents=True)
    stranger.write_text("a mix of mine")
    for wish in ({}, {"retry_failed": True}):
        assert library.run(job=wish) == []
        assert stranger.read_text() == "a mix of mine"
        assert "--overwrite" in library.rows()["1.wav"].error
    assert library.run(overwrite=True) == ["1.wav"]
    assert stranger.read_bytes() != b"a mix of mine"


def test_songs_of_one_name_in_two_working_folders_are_two_songs(tmp_path, monkeypatch):
    out = tmp_path / "stems"
    settings = Settings(model="passthrough", out=out)
    for number, folder in enumerate(("a", "b"), 1):
        (tmp_path / folder).mkdir()
        soundfile.write(tmp_path / folder / "1.wav", np.full(4410, 0.1 * number), RATE)
    told = []
    for folder in ("a", "b", "a"):
        monkeypatch.chdir(tmp_path / folder)
        engine = Here(settings)
        with open_manifest(out / ".job") as manifest:
            job = Job(find_songs(["."]), settings, manifest, made=engine.start())
            list(job.run(engine))
        (row,) = job.rows.values()
        told.append((row.source, row.state, engine.done))
        if folder == "a":
            heard, _ = soundfile.read(out / "passthrough" / "1" / "bass.wav")
            assert np.median(heard) == pytest.approx(0.1, rel=0.05)
        else:
            assert "did not write it" in row.error
    assert told == [
        ("1.wav", State.DONE, ["1.wav"]),
        ("1.wav", State.FAILED, []),
        ("1.wav", State.DONE, []),
    ]
    assert set(read_manifest(out / ".job")) == {str(tmp_path / one / "1.wav") for one in "ab"}


def test_a_file_that_came_before_the_songs_turn_is_not_the_jobs_either(library):
    library.song("1.wav", 100.0)
    library.song("2.wav", 200.0)
    settings = Settings(model="passthrough", out=library.out)
    engine = Here(settings)
    with open_manifest(library.out / ".job") as manifest:  # ended after its first song
        songs = find_songs([str(library.folder)])
        next(Job(songs, settings, manifest, made=engine.start()).run(engine))
    stranger = library.out / "passthrough" / "2" / "bass.wav"
    stranger.parent.mkdir(parents=True)
    stranger.write_text("a mix of mine")
    assert library.run() == []
    assert stranger.read_text() == "a mix of mine"
    assert library.rows()["2.wav"].state is State.FAILED


def test_stems_of_a_song_that_failed_meanwhile_are_still_its_own(library):
    song = library.song("1.wav")
    library.run()
    song.write_bytes(b"junk")
    library.run()
    assert library.rows()["1.wav"].state is State.FAILED
    library.song("1.wav", 300.0)
    assert library.run() == ["1.wav"]
    assert library.rows()["1.wav"].state is State.DONE


def test_a_job_that_is_only_looked_at_changes_nothing(library):
    library.song("1.wav")
    library.run()
    library.song("again.wav")
    before = library.rows(), library.files()
    other = Settings(model="passthrough", out=library.out, sample_format="int24")
    with open_manifest(library.out / ".job") as manifest:
        songs = find_songs([str(library.folder)])
        job = Job(songs, other, manifest, made=Worker(other).made)
    assert {row.state for row in job.rows.values()} == {State.WAITING}
    assert (library.rows(), library.files()) == before


def test_a_run_that_was_killed_between_two_files_goes_on_over_its_own(library):
    library.song("1.wav")
    library.run()
    whole = library.files()
    with open_manifest(library.out / ".job") as manifest:  # as kill -9 leaves it
        (row,) = manifest.rows().values()
        manifest.put(
            Row(**{**{name: getattr(row, name) for name in row.__slots__}, "state": State.RUNNING})
        )
    (library.out / "passthrough" / "1" / "bass.wav").unlink()
    assert library.run() == ["1.wav"]
    assert library.files() == whole


def test_a_worker_that_is_told_to_stop_leaves_no_file(library):
    song = library.song("1.wav")
    worker = Worker(Settings(model="passthrough"))
    outcome = worker.do(Task(str(song), str(library.out)), lambda: True)
    assert outcome.error == "stopped"
    assert not [path for path in library.out.rglob("*") if path.is_file()]


def test_a_lost_worker_costs_a_try_and_no_song(library):
    library.song("1.wav", 100.0)
    library.song("2.wav", 200.0)
    library.song("3.wav", 300.0)
    library.run(loses={"1.wav": MOST_TRIES - 1, "2.wav": MOST_TRIES})
    rows = library.rows()
    assert (rows["1.wav"].state, rows["1.wav"].tries) == (State.DONE, MOST_TRIES)
    assert (rows["2.wav"].state, rows["2.wav"].error) == (State.FAILED, "its worker ended")
    assert rows["3.wav"].state is State.DONE


def test_a_song_that_is_begun_again_is_written_over_what_its_lost_worker_may_write_yet(library):
    library.song("1.wav")
    library.run(loses={"1.wav": 1})
    assert library.replaces == [False, True]


def test_two_songs_for_the_same_files_are_refused_and_folders_keep_them_apart(library):
    library.song("a/song.wav", 100.0)
    library.song("b/song.wav", 200.0)
    with pytest.raises(SettingsError, match="--keep-folders"):
        library.run()
    library.run(job={"keep_folders": True})
    assert {"a/passthrough/song/bass.wav", "b/passthrough/song/bass.wav"} < library.files().keys()


def test_stems_are_no_songs_and_replace_none(library):
    library.out = library.folder / "stems"
    library.song("1.wav")
    assert library.run() == ["1.wav"]
    assert library.run() == []


def test_however_out_is_spelled_its_stems_are_no_songs(library):
    library.out = library.folder / ".." / "music" / "stems"
    library.song("1.wav")
    assert library.run() == ["1.wav"]
    assert library.run() == []


def test_a_name_that_is_not_utf8_is_a_song_like_others(library):
    name = os.fsdecode(b"caf\xe9.wav")
    library.song("1.wav").rename(library.folder / name)
    library.song("2.wav", 500.0)
    assert sorted(library.run()) == ["2.wav", name]
    assert library.run() == []
    assert library.rows().keys() == {"2.wav", name}


def test_a_stem_that_would_replace_a_song_is_refused(library, tmp_path):
    library.out = tmp_path / "o"
    song = library.song("passthrough/bass.wav")
    (tmp_path / "o").mkdir()
    (tmp_path / "o" / "passthrough").symlink_to(song.parent)
    with pytest.raises(OutputExistsError):
        library.run(filename="{stem}.{ext}")


def test_another_run_and_a_damaged_table_are_one_sentence(library):
    library.song("1.wav")
    library.run()
    with open_manifest(library.out / ".job"), pytest.raises(SinkError, match="another run"):
        library.run()
    for name in (FILE, f"{FILE}-wal", f"{FILE}-shm"):
        (library.out / ".job" / name).unlink(missing_ok=True)
    (library.out / ".job" / FILE).write_bytes(b"x" * 5000)
    with pytest.raises(SinkError, match="--job"):
        library.run()
    with pytest.raises(SinkError, match="no job"):
        read_manifest(library.folder)


def test_an_estimate_counts_what_is_left(library):
    library.song("1.wav", 100.0)
    library.run()
    library.song("2.wav", 200.0)
    library.song("3.wav", 300.0)
    settings = Settings(model="passthrough", out=library.out)
    with open_manifest(library.out / ".job") as manifest:
        songs = find_songs([str(library.folder)])
        job = Job(songs, settings, manifest, made=Worker(settings).made)
    place = place_of(str(library.out))
    found = estimate(job.rows.values(), settings, place, stems=4, workers=2)
    assert (found.songs, found.unread) == (2, 0)
    assert found.seconds == pytest.approx(0.4)
    assert found.bytes == pytest.approx(0.4 * RATE * 2 * 2 * 4)
    assert found.elapsed_seconds is not None


def test_a_project_is_one_of_a_songs_files(library, tmp_path):
    songs = [library.song("1.wav"), library.song("again.wav")]
    assert library.run(project="reaper") == ["1.wav"]
    separate(songs, model="passthrough", out=tmp_path / "alone", project="reaper")
    alone = Library.__new__(Library)
    alone.out = tmp_path / "alone"
    assert library.files() == alone.files()
    (library.out / "passthrough" / "1" / "1.rpp").unlink()
    assert library.run(project="reaper") == []  # the other song has all of it
    assert library.files() == alone.files()


def test_songs_alike_whose_projects_name_other_files_are_separated_each(library):
    library.song("1.wav")
    library.song("again.wav")
    wish = {"project": "reaper", "filename": "{track}-{stem}.{ext}"}
    assert library.run(**wish) == ["1.wav", "again.wav"]
    assert b"again-bass.wav" in library.files()["passthrough/again-again.rpp"]


def test_what_the_model_made_is_known_in_the_next_run(library):
    library.song("1.wav")
    library.run()
    settings = Settings(model="passthrough", out=library.out)
    with open_manifest(library.out / ".job") as manifest:
        made = made_before(manifest, settings)
        assert made == Worker(settings).made
        songs = find_songs([str(library.folder)])
        assert not Job(songs, settings, manifest, made=made).waiting
        assert made_before(manifest, settings.model_copy(update={"seed": 1})) is None


PROGRAM = """
import sys
from cli.main import run
sys.argv[0] = 'stemstream'
try:
    run()
finally:
    print('torch' in sys.modules)
"""


def test_with_nothing_left_no_model_and_no_torch_is_loaded(library):
    library.song("1.wav")
    library.run()
    words = ["batch", str(library.folder), "-o", str(library.out), "-n", "passthrough"]
    command = [sys.executable, "-c", PROGRAM, *words]
    again = subprocess.run(command, capture_output=True, text=True)
    assert (again.returncode, again.stdout.strip()) == (0, "False"), again.stderr
    assert "1 song of 1 had their turn before" in again.stderr


def test_a_job_is_the_same_however_its_folders_are_spelled(library: Library) -> None:
    library.song("1.wav")
    library.song("2.wav", 300)
    assert library.run() == ["1.wav", "2.wav"]
    library.folder = library.folder / ".." / library.folder.name
    library.out = library.out.parent / "music" / ".." / library.out.name
    assert library.run() == []
    assert [row.state for row in library.job.rows.values()] == [State.DONE] * 2
    library.song("2.wav", 350)
    assert library.run() == ["2.wav"]
    assert library.replaces == [True]
    assert len(read_manifest(library.out / ".job")) == 2


def test_a_table_with_names_as_they_were_typed_is_taken_up(
    library: Library, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    name = os.fsdecode(b"1\xe9.wav")  # as of a disk of before UTF-8
    song = library.song("1.wav")
    try:
        song = song.rename(library.folder / name)
    except OSError:
        pytest.skip("this disk takes Unicode names alone")
    library.run()
    with sqlite3.connect(library.out / ".job" / "manifest.sqlite") as table:
        table.execute("update songs set source = ?, state = 'failed'", [os.fsencode(name)])
    monkeypatch.chdir(library.folder)
    library.run(job={"retry_failed": True})
    monkeypatch.chdir(tmp_path)
    (row,) = read_manifest(library.out / ".job").values()
    assert (row.source, row.state) == (str(song), State.DONE)


def test_a_worker_in_another_folder_is_given_whole_paths(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    here = Task("music/1.wav", "stems", replace=True).spelled_out()
    assert here == Task(str(tmp_path / "music/1.wav"), str(tmp_path / "stems"), replace=True)
    there = Task("s3://music/1.wav", "s3://stems")
    assert there.spelled_out() == there


def test_songs_that_all_lie_in_the_folder_for_stems(library: Library) -> None:
    library.song("1.wav")
    library.out = library.folder.parent
    with pytest.raises(SettingsError, match="all songs lie in the folder of --out"):
        library.run()
