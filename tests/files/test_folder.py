"""One run a folder, whatever name it goes by; stale part files go with the lock."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from streamer.errors import SinkError
from streamer.files import track_lock


@pytest.fixture(autouse=True)
def _own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", None)


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


def test_no_temporary_folder_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", none)
    with pytest.raises(SinkError, match="set TMPDIR"), track_lock([tmp_path / "song"]):
        pass


def test_only_stale_parts_of_the_targets_go(tmp_path: Path) -> None:
    from streamer.files.part import PartFile

    target = tmp_path / "song" / "vocals.wav"
    stale = PartFile(target)
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
        with pytest.raises(SinkError, match="Another run is writing"), track_lock([vocals]):
            pass
        part.publish()
    assert vocals.exists()
