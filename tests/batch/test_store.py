"""Songs and stems in object stores: what is listed, fetched and put, and what is told if not."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest
from batch.support.runs import PATIENCE_SECONDS, count, files, make_library, start, wait_until
from fsspec.implementations.memory import MemoryFileSystem

from streamer import Settings, separate
from streamer.batch import reach, store
from streamer.batch.at_hand import at_hand
from streamer.batch.engine import Made, Outcome, Task, Worker
from streamer.batch.job import Job
from streamer.batch.manifest import State, open_manifest, read_manifest
from streamer.batch.places import place_of
from streamer.batch.scratch import PREFIX, remove_stale, scratch
from streamer.batch.songs import Song, find_songs, look
from streamer.errors import OutputExistsError, SettingsError, SinkError, SourceError
from streamer.files.part import sink_errors

pytestmark = pytest.mark.filterwarnings("ignore")  # of the libraries' own

GOOD, BAD = 12, 2


class Frail(MemoryFileSystem):
    """A store in memory whose network goes away, or whose doors close."""

    protocol = "frail"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    fails: ClassVar[list[Exception]] = []
    date: ClassVar[str] = "created"

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return super()._strip_protocol(path.removeprefix("frail://"))

    def info(self, path: str, **options: Any) -> dict[str, Any]:
        told = super().info(path, **options)
        return {self.date if name == "created" else name: told[name] for name in told}

    def get_file(self, rpath: str, lpath: str, **options: Any) -> None:
        if self.fails:
            raise self.fails.pop()
        super().get_file(rpath, lpath, **options)

    def put_file(self, lpath: str, rpath: str, **options: Any) -> None:
        super().put_file(lpath, rpath, **options)
        if "broken" in rpath:
            raise ConnectionResetError


@pytest.fixture
def frail(monkeypatch) -> type[Frail]:
    fsspec.register_implementation("frail", Frail, clobber=True)
    monkeypatch.setattr(reach, "WAITS_SECONDS", (0.0, 0.0))
    Frail.store.clear()
    Frail.fails.clear()
    return Frail


@pytest.fixture
def library(tmp_path) -> Path:
    return make_library(tmp_path / "music", GOOD, BAD)


@pytest.fixture
def undisturbed(library, tmp_path) -> dict[str, bytes]:
    good = sorted(library.glob("song*.wav"))
    separate(good, model="passthrough", out=tmp_path / "alone")
    return files(tmp_path / "alone")


def put(address: str, content: bytes = b"x") -> None:
    with fsspec.open(address, "wb") as file:
        file.write(content)


def run(tmp_path: Path, words: list[str], out: str, **wish: Any) -> tuple[Job, list[str]]:
    """Run a job in this process; return it, and the songs that were begun."""
    settings = Settings(model="passthrough")
    worker, begun = Worker(settings), []

    class Here:
        workers = 1

        def start(self) -> Made:
            return worker.made

        def run(self, next_task: Any) -> Iterator[Outcome]:
            while (task := next_task()) is not None:
                begun.append(task.source.rpartition("/")[2])
                yield worker.do(task)

        def close(self) -> None:
            pass

    with open_manifest(tmp_path / "job") as manifest:
        songs, place = find_songs(words), place_of(out)
        job = Job(songs, settings, manifest, made=worker.made, place=place, **wish)
        list(job.run(Here()))
    return job, begun


def objects(out: str) -> dict[str, bytes]:
    bucket, key = fsspec.core.url_to_fs(out, use_listings_cache=False)
    start = len(key.rstrip("/")) + 1
    return {name[start:]: bucket.cat_file(name) for name in bucket.find(key)}


# S3


@pytest.fixture
def bucket(s3, library) -> str:
    for path in library.iterdir():
        s3.put_file(str(path), f"music/{path.name}")
    return "s3://music"


def test_after_kill_9_each_stem_is_in_the_bucket_once_and_equal_to_the_bit(
    bucket, undisturbed, tmp_path
):
    job = tmp_path / "job"
    first = start(bucket, "s3://stems/all", "--job", str(job))
    wait_until(lambda: count(job) >= 2 or first.poll() is not None)
    first.kill()
    first.communicate()
    assert count(job) < GOOD
    there = objects("s3://stems/all")
    assert there == {name: undisturbed[name] for name in there}, "nothing is half written"
    second = start(bucket, "s3://stems/all", "--job", str(job), "--json")
    lines, complaints = second.communicate(timeout=PATIENCE_SECONDS)
    assert second.returncode == 1, complaints  # of the damaged ones
    last = json.loads(lines.splitlines()[-1])
    assert (last["done"], last["failed"]) == (GOOD, BAD)
    assert objects("s3://stems/all") == undisturbed
    assert "nobody" not in lines + complaints
    assert "not-a-secret" not in lines + complaints
    assert PREFIX not in lines + complaints


def test_a_second_run_on_s3_does_only_what_changed_or_is_missing(s3, bucket, tmp_path):
    out = "s3://stems/all"
    words = [f"{bucket}/song00*.wav"]
    assert len(run(tmp_path, words, out)[1]) == 10
    assert run(tmp_path, words, out)[1] == []
    s3.cp_file("music/song001.wav", "music/song000.wav")
    s3.rm_file("stems/all/passthrough/song002/bass.wav")
    job, begun = run(tmp_path, words, out)
    assert begun == ["song002.wav"], "song000 has the content of song001 now, and gets its stems"
    assert {row.state for row in job.rows.values()} == {State.DONE}
    made = objects(f"{out}/passthrough")
    assert made["song000/bass.wav"] == made["song001/bass.wav"]
    put("s3://stems/all/passthrough/song010/bass.wav", b"a mix of mine")
    job, _ = run(tmp_path, [f"{bucket}/song010.wav"], out)
    assert "did not write it" in job.rows[f"{bucket}/song010.wav"].error


def test_a_bucket_that_is_not_there_and_no_credentials_are_one_sentence(s3, monkeypatch, tmp_path):
    monkeypatch.setattr(reach, "WAITS_SECONDS", ())
    with pytest.raises(SourceError, match="no such bucket"):
        find_songs(["s3://nowhere/songs"])
    with pytest.raises(SinkError, match="no such bucket"):
        place_of("s3://nowhere/songs")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    type(s3).clear_instance_cache()
    for word in ("s3://music/songs", "s3://music/one.wav"):
        with pytest.raises(SourceError, match=r"gives no access; .* AWS_PROFILE"):
            find_songs([word])


# Any store


def test_a_prefix_a_pattern_an_object_and_a_list_name_songs():
    for name in ("one.wav", "b/two.FLAC", "b/c/three.mp3", "b/cover.jpg", ".hid.wav", "[x] y.wav"):
        put(f"memory://library/{name}")
    put("memory://library/all.csv", b"path\none.wav\nmemory://library/b/c/three.mp3\n")

    def found(*words: str) -> list[tuple[str, str]]:
        songs = find_songs(words)
        return [(song.source.removeprefix("memory://library/"), str(song.folder)) for song in songs]

    everything = [("[x] y.wav", "."), ("b/c/three.mp3", "b/c"), ("b/two.FLAC", "b")]
    everything.append(("one.wav", "."))
    assert found("memory://library/") == everything
    assert found("memory://library/b/*", "memory://library/one.wav") == [
        ("b/c/three.mp3", "."),
        ("b/two.FLAC", "."),
        ("one.wav", "."),
    ]
    assert found("memory://library/**/*.mp3") == [("b/c/three.mp3", ".")]
    assert found("memory://library/[x] y.wav") == [("[x] y.wav", ".")]
    assert found("memory://library/all.csv") == [("one.wav", "."), ("b/c/three.mp3", ".")]
    for nothing in ("memory://library/none", "memory://library/*.ogg"):
        with pytest.raises((SourceError, SettingsError)):
            find_songs([nothing])


@pytest.mark.parametrize("key", ["a/../../up.wav", "a/.hidden/x.wav", "a/b\nc.wav", "a//b.wav"])
def test_a_key_that_could_leave_its_folder_is_told_and_never_a_path(frail, key, tmp_path):
    put("frail://library/a/good.wav")
    put(f"frail://library/{key}")
    songs = find_songs(["frail://library"])
    bad = [song for song in songs if song.problem]
    assert [song.source for song in bad] == [f"frail://library/{key}"]
    job, begun = run(tmp_path, ["frail://library"], str(tmp_path / "out"), keep_folders=True)
    assert begun == ["good.wav"]
    row = job.rows[f"frail://library/{key}"]
    assert (row.state, row.exit_code) == (State.FAILED, 3)
    assert "cannot be a path" in row.error
    again, _ = run(tmp_path, ["frail://library"], str(tmp_path / "out"), keep_folders=True)
    assert not again.waiting, "no model is loaded for what can never be separated"
    assert again.rows[row.source] == row


def test_from_a_store_to_a_folder_and_back_all_is_as_on_disk(library, undisturbed, tmp_path):
    for path in library.glob("song*.wav"):
        put(f"memory://mixed/{path.name}", path.read_bytes())
    _, begun = run(tmp_path, ["memory://mixed"], str(tmp_path / "out"))
    assert len(begun) == GOOD
    assert files(tmp_path / "out") == undisturbed
    (tmp_path / "job" / "manifest.sqlite").unlink()
    out = f"file://{tmp_path}/there"
    run(tmp_path, [str(library / "song*.wav")], out)
    assert files(tmp_path / "there") == undisturbed


def test_an_upload_that_breaks_off_leaves_nothing_under_its_key(frail, tmp_path):
    (tmp_path / "stem").write_bytes(b"x" * 100)
    whole, broken = "frail://stems/one.wav", "frail://stems/broken.wav"
    with pytest.raises(SinkError, match="cannot be reached"):
        store.put({tmp_path / "stem": broken}, replace=False)
    assert list(frail.store) == []
    put("frail://stems/one.wav.01234567.part")  # of a run that was killed
    store.put({tmp_path / "stem": whole}, replace=False)
    assert list(frail.store) == ["/stems/one.wav"]
    with pytest.raises(OutputExistsError):
        store.put({tmp_path / "stem": whole}, replace=False)


def test_an_upload_that_breaks_off_takes_back_nothing_that_another_may_have_written(
    frail, tmp_path
):
    for name in ("stem", "other"):
        (tmp_path / name).write_bytes(b"x")
    files = {tmp_path / "stem": "frail://stems/one.wav", tmp_path / "other": "frail://s/broken.wav"}
    with pytest.raises(SinkError):
        store.put(files, replace=False)
    assert list(frail.store) == ["/stems/one.wav"]


def test_a_store_that_tells_no_date_and_no_digest_is_read_again(frail, monkeypatch):
    put("frail://songs/one.wav", b"new")
    song = Song("frail://songs/one.wav")
    monkeypatch.setattr(frail, "date", "last_modified")  # as Azure's library has it
    dated = look(song, store.Seen())
    assert dated.modified_ns
    assert look(song, replace(dated, content="kept")).content == "kept"
    monkeypatch.setattr(frail, "date", "a name of its own")
    undated = replace(dated, modified_ns=0)
    assert look(song, replace(undated, content="old")) == undated


def test_a_network_that_comes_back_is_waited_for(frail, tmp_path):
    put("frail://songs/one.wav", b"sound")
    frail.fails[:] = [ConnectionResetError(), TimeoutError()]
    store.fetch("frail://songs/one.wav", tmp_path / "one.wav")
    assert (tmp_path / "one.wav").read_bytes() == b"sound"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ConnectionResetError("secret"), "cannot be reached .* --retry-failed"),
        (PermissionError("secret"), "gives no access"),
        (FileNotFoundError("secret"), "there is no frail://songs/one.wav"),
        (ArithmeticError("secret"), "cannot be used"),
        (OSError(errno.ENOSPC, "secret"), "disk takes no more .* TMPDIR"),
    ],
)
def test_what_a_store_refuses_is_one_sentence_without_its_own_words(frail, tmp_path, error, said):
    put("frail://songs/one.wav", b"sound")
    frail.fails[:] = [error] * 3
    with pytest.raises(SourceError, match=said) as refused:
        store.fetch("frail://songs/one.wav", tmp_path / "one.wav")
    assert "secret" not in str(refused.value)
    assert refused.value.__cause__ is None


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("nosuch://bucket/x.wav", "no store that is known"),
        ("s3://me:secret@bucket/x.wav", "without"),
        ("zip://x.wav::s3://bucket/x.zip", "without"),
    ],
)
def test_addresses_that_cannot_be_are_one_sentence(address, said):
    with pytest.raises(SettingsError, match=said) as refused:
        find_songs([address])
    assert "secret" not in str(refused.value)


def test_a_store_without_its_account_is_no_unknown_store():
    class Locked(MemoryFileSystem):
        def __init__(self, **options: Any) -> None:
            raise ValueError("secret: name an account")

    fsspec.register_implementation("locked", Locked, clobber=True)
    with pytest.raises(SettingsError, match="gives no access") as refused:
        find_songs(["locked://songs"])
    assert "secret" not in str(refused.value)


def test_a_full_disk_is_tried_once_and_named_as_what_it_is(frail, tmp_path):
    put("frail://songs/one.wav", b"sound")
    frail.fails[:] = [OSError(errno.ENOSPC, "")] * 2
    with pytest.raises(SourceError):
        store.fetch("frail://songs/one.wav", tmp_path / "one.wav")
    assert len(frail.fails) == 1
    with (
        pytest.raises(SinkError, match=r"^TMPDIR/one\.wav cannot be written: the disk is full"),
        at_hand("here.wav", "frail://stems", replace=False) as (_, stems),
        sink_errors(stems / "one.wav"),
    ):
        raise OSError(errno.ENOSPC, "")
    with (
        pytest.raises(OSError, match="of a separation"),
        at_hand("here.wav", "frail://stems", replace=False),
    ):
        raise OSError(errno.EIO, "of a separation")


def test_separate_takes_no_store_and_says_who_does():
    with pytest.raises(SettingsError, match="batch alone writes to a store"):
        Settings(out="s3://stems")


def test_a_worker_that_was_killed_leaves_no_song_behind(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    killed = tmp_path / f"{PREFIX}gone"
    (killed / "work").mkdir(parents=True)
    (killed / "lock").touch()
    with scratch() as mine:
        (mine / "song.wav").write_bytes(b"x")
        remove_stale()
        assert not killed.exists()
        assert (mine / "song.wav").exists()
    assert list(tmp_path.iterdir()) == []


def test_a_failed_song_of_a_store_is_told_without_its_temporary_name(tmp_path):
    put("memory://bad/junk.wav", b"junk")
    job, _ = run(tmp_path, ["memory://bad"], "memory://bad-stems")
    (row,) = read_manifest(tmp_path / "job").values()
    assert row.state is State.FAILED
    assert row.error.startswith("junk.wav is not audio")
    assert PREFIX not in row.error
    assert job.rows == {row.source: row}


def test_a_task_that_is_stopped_puts_no_stem(tmp_path, library):
    put("memory://stop/song.wav", (library / "song000.wav").read_bytes())
    task = Task("memory://stop/song.wav", "memory://stopped")
    outcome = Worker(Settings(model="passthrough")).do(task, lambda: True)
    assert outcome.error == "stopped"
    assert objects("memory://stopped") == {}
