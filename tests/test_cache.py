"""What is kept between runs: where, for whom, and what spoils it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from ringbuffer.kept import seal
from streamer.cache import (
    SUMS,
    JsonStore,
    keep,
    machine,
    note_use,
    processors,
    remove_unused,
)
from streamer.user_folders import cache_folder

IDENTITY = {"model": "tiny", "threads": 2}


def test_what_is_written_is_read_for_the_same_identity_alone(tmp_path):
    store = JsonStore(tmp_path / "new", 1)
    assert store.read(IDENTITY) == {}
    store.write(IDENTITY, {"seconds": 0.5})
    assert store.read(dict(reversed(IDENTITY.items()))) == {"seconds": 0.5}
    assert store.read({**IDENTITY, "threads": 1}) == {}
    assert JsonStore(tmp_path / "new", 2).read(IDENTITY) == {}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"layout": 1}', '{"layout": 1, "value": 3}'])
def test_a_damaged_file_counts_as_none(tmp_path, text):
    store = JsonStore(tmp_path, 1)
    store.write(IDENTITY, {"seconds": 0.5})
    (file,) = tmp_path.iterdir()
    file.write_text(text)
    assert store.read(IDENTITY) == {}


def test_no_flipped_byte_of_a_value_passes(tmp_path):
    store = JsonStore(tmp_path, 1)
    store.write(IDENTITY, {"seconds": 0.5})
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    for at in range(len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 1
        file.write_bytes(damaged)
        assert store.read(IDENTITY) == {}, at
        file.write_bytes(whole[:at])
        assert store.read(IDENTITY) == {}, at
    file.write_bytes(whole)
    assert store.read(IDENTITY) == {"seconds": 0.5}


def test_a_value_under_another_values_name_is_not_taken(tmp_path):
    store = JsonStore(tmp_path, 1)
    store.write(IDENTITY, {"seconds": 0.5})
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    file.unlink()
    store.write({**IDENTITY, "threads": 1}, {"seconds": 9.0})
    (other,) = tmp_path.iterdir()
    other.write_bytes(whole)
    assert store.read({**IDENTITY, "threads": 1}) == {}


@pytest.mark.parametrize("what", ["pipe", "loop", "folder", "deep"])
def test_what_is_no_file_of_ours_is_replaced(tmp_path, what):
    store = JsonStore(tmp_path, 1)
    store.write(IDENTITY, {"seconds": 0.5})
    (file,) = tmp_path.iterdir()
    file.unlink()
    if what == "pipe":
        os.mkfifo(file)
    elif what == "loop":
        file.symlink_to(file)
    elif what == "folder":
        file.mkdir()
    else:
        file.write_bytes(seal(b"[" * 100_000))
    assert store.read(IDENTITY) == {}
    store.write(IDENTITY, {"seconds": 0.6})
    assert store.read(IDENTITY) == {"seconds": 0.6}


def test_a_folder_that_cannot_be_is_done_without(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (None, tmp_path / "file"):
        store = JsonStore(folder, 1)
        store.write(IDENTITY, {"seconds": 0.5})
        assert store.read(IDENTITY) == {}


def test_the_folder_is_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder("x") == tmp_path / "xdg" / "stemstream" / "x"
    for useless in ("", "relative/path"):
        monkeypatch.setenv("XDG_CACHE_HOME", useless)
        assert cache_folder("x") == tmp_path / ".cache" / "stemstream" / "x"
    monkeypatch.setattr("sys.platform", "darwin")
    assert cache_folder("x") == tmp_path / "Library" / "Caches" / "stemstream" / "x"


def test_a_user_without_a_home_has_none(monkeypatch):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    assert cache_folder("x") is None


def test_the_machine_is_told_by_its_processor_and_cores():
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert processors() == cores
    assert machine().endswith(f", {cores} cores")
    assert machine() == machine()


DAY = 24 * 3600.0


@pytest.fixture
def kept(tmp_path):
    """Keeps a folder of so many bytes that was used so many days before day 100."""

    def make(name, size, days):
        folder = tmp_path / name
        keep(folder, name, lambda part: (part / "graph").write_bytes(bytes(size)))
        os.utime(folder / SUMS, (DAY * (100 - days),) * 2)
        return folder

    return make


def test_kept_folders_that_nobody_used_for_a_month_are_removed(kept, tmp_path):
    kept("old", 1, 31)
    used = kept("used", 1, 31)
    (tmp_path / "foreign").write_text("")
    leftover = tmp_path / "old.x.part"
    leftover.mkdir()
    os.utime(leftover, (DAY, DAY))
    note_use(used)
    remove_unused(tmp_path.iterdir(), 1 << 20, now=DAY * 100)
    assert {one.name for one in tmp_path.iterdir()} == {"used", "foreign"}


def test_of_kept_folders_that_are_too_much_the_longest_unused_go(kept, tmp_path):
    for name, days in (("a", 9), ("b", 5), ("c", 2), ("d", 7)):
        kept(name, 40_000, days)
    remove_unused(tmp_path.iterdir(), 100_000, now=DAY * 100)
    assert {one.name for one in tmp_path.iterdir()} == {"b", "c"}


def test_of_kept_folders_of_unequal_sizes_the_longest_unused_go_first(kept, tmp_path):
    for name, size, days in (("a", 40_000, 9), ("b", 90_000, 5), ("c", 40_000, 2)):
        kept(name, size, days)
    remove_unused(tmp_path.iterdir(), 100_000, now=DAY * 100)
    assert {one.name for one in tmp_path.iterdir()} == {"c"}  # not a and c, though they would fit


def test_a_kept_folder_that_cannot_be_looked_at_for_a_moment_stays(kept, tmp_path, monkeypatch):
    folder, lstat = kept("a", 1, 2), Path.lstat

    def failing(path):
        if path.name == "graph":
            raise OSError(errno.ESTALE, "stale file handle")
        return lstat(path)

    with monkeypatch.context() as moment:
        moment.setattr(Path, "lstat", failing)
        remove_unused([folder], 1 << 20, now=DAY * 100)
    assert (folder / "graph").exists()


def test_what_was_used_today_is_never_too_much(kept, tmp_path):
    for name in ("a", "b"):
        kept(name, 40_000, 0.5)
    kept("c", 40_000, 1.5)
    remove_unused(tmp_path.iterdir(), 1, now=DAY * 100)
    assert {one.name for one in tmp_path.iterdir()} == {"a", "b"}
