"""One run a folder, whatever name it goes by; stale part files go with the lock."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest

from streamer.cache import private_folder
from streamer.errors import SinkError
from streamer.files import Encoding, FileSink, track_lock
from streamer.files.part import PartFile, remove_stale_parts


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_second_run_is_refused_and_the_next_is_not(tmp_path: Path) -> None:
    track = tmp_path / "out" / "song"
    (tmp_path / "link").symlink_to(tmp_path / "out")
    with track_lock([track]):
        for same in (track, tmp_path / "link" / "song", tmp_path / "out" / ".." / "out" / "song"):
            with pytest.raises(SinkError, match="Another run is writing"), track_lock([same]):
                pass
        with track_lock([tmp_path / "out" / "other"]):
            pass
    assert not (tmp_path / "out").exists()
    with track_lock([track]):
        pass


def test_another_process_is_refused_until_it_is_killed(tmp_path: Path) -> None:
    track = tmp_path / "song"
    code = (
        "import sys, time; from pathlib import Path; from streamer.files import track_lock\n"
        "with track_lock([Path(sys.argv[1])]): print('held', flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(track)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(SinkError, match="Another run"), track_lock([track]):
            pass
        process.kill()
    with track_lock([track]):
        pass


def test_an_error_lets_go_of_the_lock(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), track_lock([tmp_path]):
        raise ZeroDivisionError
    with track_lock([tmp_path]):
        pass


def test_locks_are_in_a_folder_of_ones_own(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locks = cache / "stemstream" / "locks"
    for temporary in ("one", "other"):  # a run that sees another TMPDIR is kept out all the same
        monkeypatch.setenv("TMPDIR", str(tmp_path / temporary))
        monkeypatch.setattr(tempfile, "tempdir", None)
        assert private_folder("locks") == locks
    assert stat.S_IMODE(locks.stat().st_mode) == 0o700
    locks.chmod(0o777)
    with track_lock([tmp_path / "song"]):
        assert stat.S_IMODE(locks.stat().st_mode) == 0o700
        assert len(list(locks.iterdir())) == 2
    assert [lock.name for lock in locks.iterdir()] == ["every.lock"], "none is left of a song"


@pytest.mark.parametrize("foreign", ["owner", "link", "file"])
def test_a_folder_that_another_user_put_there_is_not_used(
    cache: Path, tmp_path: Path, foreign: str
) -> None:
    locks = cache / "stemstream" / "locks"
    locks.parent.mkdir(parents=True)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    if foreign == "owner":
        if os.geteuid() != 0:
            pytest.skip("needs root, to give a folder away")
        locks.mkdir()
        os.chown(locks, 12345, 12345)
    elif foreign == "link":
        locks.symlink_to(elsewhere)
    else:
        locks.touch()
    with track_lock([tmp_path / "song"]):
        assert not list(elsewhere.iterdir())
        assert foreign == "file" or not list(locks.iterdir())
    used = private_folder("locks")
    assert used == Path(f"/tmp/stemstream-{os.geteuid()}-locks")
    assert (used.stat().st_uid, stat.S_IMODE(used.stat().st_mode)) == (os.geteuid(), 0o700)


def test_a_link_in_place_of_a_lock_empties_no_file(tmp_path: Path, cache: Path) -> None:
    victim, song = tmp_path / "victim", tmp_path / "song"
    victim.write_text("precious")
    with track_lock([song]):
        there = (cache / "stemstream" / "locks").iterdir()
        (lock,) = (one for one in there if one.name != "every.lock")
    lock.symlink_to(victim)
    with pytest.raises(SinkError), track_lock([song]):
        pass
    assert victim.read_text() == "precious"


def test_no_folder_for_locks_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(kind: str) -> Path:
        raise OSError

    monkeypatch.setattr("streamer.files.folder.private_folder", none)
    with pytest.raises(SinkError, match="set XDG_CACHE_HOME"), track_lock([tmp_path / "song"]):
        pass


def test_only_stale_parts_of_the_targets_go(tmp_path: Path) -> None:
    from streamer.files.part import PartFile

    target = tmp_path / "song" / "vocals.wav"
    stale = PartFile(target)
    stale.open()
    stale.file.close()
    kept = ["bass.wav.0011223344556677.part", "vocals.wav", "vocals.wav.part"]
    for name in kept:
        (target.parent / name).touch()
    with track_lock([target, target.parent / "drums.wav"]):
        assert sorted(os.listdir(target.parent)) == kept  # noqa: PTH208
    with track_lock([tmp_path / "new" / "a.wav"]):
        pass


def test_a_run_of_some_stems_leaves_the_parts_of_a_run_of_more(tmp_path: Path) -> None:
    from streamer.files.part import PartFile

    drums, vocals = tmp_path / "drums.wav", tmp_path / "vocals.wav"
    with track_lock([drums, vocals]):
        part = PartFile(vocals)
        part.open()
        with pytest.raises(SinkError, match="Another run is writing"), track_lock([vocals]):
            pass
        part.publish()
    assert vocals.exists()


def test_of_several_runs_one_at_a_time_has_the_lock_though_each_removes_it(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from streamer.files import track_lock\n"
        "from streamer.errors import SinkError\n"
        "track, mine, had = Path(sys.argv[1]), Path(sys.argv[2]), 0\n"
        "while had < 30:\n"
        "    try:\n"
        "        with track_lock([track]):\n"
        "            mine.touch(exist_ok=False); mine.unlink(); had += 1\n"
        "    except SinkError: pass\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "song"), str(tmp_path / "mine")]
    runs = [subprocess.Popen(command) for _ in range(3)]
    assert [run.wait() for run in runs] == [0, 0, 0]


ELSEWHERE = """
import sys
from pathlib import Path
from streamer.files import track_lock
try:
    with track_lock([Path(sys.argv[1])]):
        if sys.argv[2] == "fails":
            raise ZeroDivisionError
except ZeroDivisionError:
    pass
"""


@pytest.mark.parametrize("it", ["ends", "fails"])
def test_a_run_that_does_not_see_the_lock_leaves_what_another_one_writes(
    tmp_path: Path, it: str
) -> None:
    """As on another machine, or as another user, with the same folder for stems."""
    target = tmp_path / "vocals.wav"
    part = PartFile(target)
    part.open()
    part.file.write(b"all of it")
    stale = part.path.with_name(f"{part.path.name[:-13]}00000000.part")
    stale.touch()
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "b")}
    subprocess.run([sys.executable, "-c", ELSEWHERE, target, it], check=True, env=environment)
    assert not stale.exists()
    part.publish()
    assert target.read_bytes() == b"all of it"


@pytest.mark.parametrize("it", ["ends", "fails"])
def test_nor_does_it_take_what_is_whole_and_has_no_name_yet(tmp_path: Path, it: str) -> None:
    target = tmp_path / "vocals.wav"
    with FileSink(target, 44100, 2, Encoding(), tags={"title": "T"}) as sink:
        sink.write(np.zeros((100, 2), np.float32))
        sink.seal()  # the other stems take longer
        environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "b")}
        subprocess.run([sys.executable, "-c", ELSEWHERE, target, it], check=True, env=environment)
        sink.commit()
    assert [path.name for path in tmp_path.glob("vocals*")] == ["vocals.wav"]


def test_nor_what_it_may_not_look_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part = PartFile(tmp_path / "vocals.wav")
    part.open()
    part.file.close()
    with monkeypatch.context() as patch:
        patch.setattr("streamer.files.part.os.open", Mock(side_effect=PermissionError))
        remove_stale_parts(part.target)
    assert part.path.exists()
    remove_stale_parts(part.target)
    assert not part.path.exists()
