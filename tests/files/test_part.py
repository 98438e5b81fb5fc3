"""A file appears under its name whole or not at all: aborts, kills, full disks, odd names."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import soundfile

from streamer.audio import Samples
from streamer.errors import OutputExistsError, SinkError
from streamer.files import Encoding, FileSink, open_source, remove_stale_parts
from streamer.files.part import refuse_unwritable, write_whole
from streamer.settings import SampleFormat

Tone = Callable[..., Samples]
TAGS = {"title": "Für Elise – 乐", "artist": "A"}


def write(path: Path, samples: Samples, encoding: Encoding, rate: int = 44100) -> None:
    with FileSink(path, rate, samples.shape[1], encoding, tags=TAGS) as sink:
        for start in range(0, len(samples), 9999):
            sink.write(samples[start : start + 9999])
        sink.commit()


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("kind", ["wav", "flac", "mp3", "ogg", "opus", "m4a"])
def test_abort_and_exceptions_leave_nothing(tmp_path: Path, tone: Tone, kind: str) -> None:
    path = tmp_path / "new" / f"a.{kind}"
    encoding = Encoding(kind)

    def interrupted() -> None:
        with FileSink(path, 44100, 2, encoding) as sink:
            sink.write(tone(20_000))
            assert len(left_in(path.parent)) == 1
            assert not path.exists()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert left_in(path.parent) == []
    with FileSink(path, 44100, 2, encoding) as sink:
        sink.write(tone(20_000))
    assert left_in(path.parent) == []
    sink.abort()


def test_existing_files_are_kept(tmp_path: Path, tone: Tone) -> None:
    path = tmp_path / "a.wav"
    path.write_text("mine")
    with pytest.raises(OutputExistsError, match="--overwrite replaces it, --resume makes"):
        FileSink(path, 44100, 2, Encoding())
    path.unlink()
    sink = FileSink(path, 44100, 2, Encoding())
    sink.write(tone(100))
    path.write_text("mine")
    with pytest.raises(OutputExistsError):
        sink.commit()
    assert path.read_text() == "mine"
    assert left_in(tmp_path) == ["a.wav"]
    with FileSink(path, 44100, 2, Encoding(), overwrite=True) as sink:
        sink.write(tone(100))
        sink.commit()
        sink.commit()
    assert soundfile.info(path).frames == 100


def test_a_device_or_a_pipe_is_never_replaced_by_a_file(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.json"
    os.mkfifo(pipe)
    for write_there in (partial(write_whole, text="{}"), refuse_unwritable):
        with pytest.raises(SinkError, match="is a device or a pipe, which a file would replace"):
            write_there(pipe)
    assert pipe.is_fifo()
    assert left_in(tmp_path) == ["pipe.json"]


def test_a_report_goes_to_where_its_link_leads(tmp_path: Path) -> None:
    link, file = tmp_path / "latest.json", tmp_path / "monday.json"
    link.symlink_to(file)
    for text in ("1", "2"):  # it need not be there yet
        refuse_unwritable(link)
        write_whole(link, text)
        assert file.read_text() == text
        assert link.is_symlink()


@pytest.mark.parametrize("kind", ["wav", "flac", "mp3", "ogg", "opus", "m4a"])
def test_a_full_disk_is_one_sentence(
    small_disk: Path, kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    noise = np.random.default_rng(0).uniform(-1, 1, (44100, 2)).astype(np.float32)
    path = small_disk / f"a.{kind}"

    with pytest.raises(SinkError) as caught:
        write(path, np.concatenate([noise] * 30), Encoding(kind))
    assert str(caught.value) == (
        f"{path} cannot be written: the disk is full; free some space or write to another folder"
    )
    assert left_in(small_disk) == []
    assert capfd.readouterr().err == ""


ENCODINGS = [
    *(Encoding("wav", depth) for depth in get_args(SampleFormat)),
    *(Encoding("flac", depth) for depth in ("int16", "int24")),
    *(Encoding(kind) for kind in ("mp3", "ogg", "opus", "m4a")),
]


@pytest.mark.parametrize("encoding", ENCODINGS, ids=lambda one: f"{one.format} {one.sample_format}")
def test_a_disk_that_fills_at_the_very_end(
    small_disk: Path, tone: Tone, encoding: Encoding
) -> None:
    """Whatever space is left, the file is whole or not there."""
    kind = encoding.format
    samples = tone(20_000)
    whole = small_disk / f"whole.{kind}"
    write(whole, samples, encoding)
    size = whole.stat().st_size
    reference = whole.read_bytes()
    whole.unlink()
    outcomes = set()
    for spare in range(-12288, 12289, 4096):
        (small_disk / "ballast").write_bytes(bytes(2**18 - size // 4096 * 4096 - spare - 4096))
        path = small_disk / f"whole.{kind}"
        try:
            write(path, samples, encoding)
        except SinkError:
            outcomes.add("refused")
            assert left_in(small_disk) == ["ballast"]
        else:
            outcomes.add("written")
            assert path.stat().st_size == len(reference)
            path.unlink()
    assert outcomes == {"refused", "written"}


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder.wav").mkdir()
    for path, words in {
        tmp_path / "file" / "a.wav": "a file stands where its folder should be",
        tmp_path / "file" / "b" / "a.wav": "a file stands where its folder should be",
        tmp_path / "folder.wav": "a folder stands under that name",
        tmp_path / f"{'x' * 300}.wav": "longer than the disk allows",
        tmp_path / ("y" * 300) / "a.wav": "longer than the disk allows",
    }.items():
        with pytest.raises(SinkError, match=words):
            FileSink(path, 44100, 2, Encoding())
    with pytest.raises(SinkError, match="at most 2 channels"):
        FileSink(tmp_path / "a.mp3", 44100, 6, Encoding("mp3"))
    with pytest.raises(SinkError, match="choose another format"):
        FileSink(tmp_path / "a.flac", 44100, 9, Encoding("flac"))
    assert left_in(tmp_path) == ["file", "folder.wav"]


def test_a_read_only_disk(read_only_disk: Path) -> None:
    with pytest.raises(SinkError, match="the disk is read-only; write to another folder"):
        FileSink(read_only_disk / "a.wav", 44100, 2, Encoding())
    with pytest.raises(SinkError, match="the disk is read-only; write to another folder"):
        FileSink(read_only_disk / "new" / "a.wav", 44100, 2, Encoding())


@pytest.mark.parametrize(
    "name",
    [
        "a song",
        "Für Elise – 乐",
        "-dash",
        "a:b%d",
        "x" * 251,
        os.fsdecode(b"\xff\xfe"),
        "乐" * 83,
    ],
)
@pytest.mark.parametrize("kind", ["wav", "mp3", "ogg", "flac", "m4a"])
def test_names(
    tmp_path: Path, tone: Tone, monkeypatch: pytest.MonkeyPatch, name: str, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path(f"{name[:250] if len(kind) == 4 else name}.{kind}")
    write(path, tone(3000), Encoding(kind))
    assert left_in(tmp_path) == [path.name]
    with open_source(path) as source:
        assert sum(map(len, source.blocks())) >= 3000


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs a system with kill -9")
@pytest.mark.parametrize("kind", ["wav", "m4a"])
def test_kill_leaves_only_a_part_file_that_is_cleaned_up(tmp_path: Path, kind: str) -> None:
    code = (
        "import sys, numpy as np; from pathlib import Path\n"
        "from streamer.files import Encoding, FileSink\n"
        "sink = FileSink(Path(sys.argv[1]), 44100, 2, Encoding(sys.argv[2]))\n"
        "block = np.random.default_rng(0).uniform(-1, 1, (44100, 2)).astype('f4')\n"
        "for turn in range(10**9):\n"
        "    sink.write(block)\n"
        "    if turn == 3: print('going', flush=True)\n"
    )
    path = tmp_path / f"a.{kind}"
    command = [sys.executable, "-c", code, str(path), kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"going\n"
        process.kill()
    left = left_in(tmp_path)
    assert len(left) == 1
    assert left[0].startswith(f"a.{kind}.")
    assert left[0].endswith(".part")
    other = tmp_path / f"b.{kind}.0123456789abcdef.part"
    other.touch()
    (tmp_path / f"a.{kind}").touch()
    remove_stale_parts(path)
    assert left_in(tmp_path) == [f"a.{kind}", other.name]


def test_two_runs_never_share_a_part_file(tmp_path: Path, tone: Tone) -> None:
    path = tmp_path / "a.wav"
    first = FileSink(path, 44100, 2, Encoding())
    second = FileSink(path, 44100, 2, Encoding())
    first.write(tone(100))
    second.write(tone(200))
    first.commit()
    with pytest.raises(OutputExistsError):
        second.commit()
    assert soundfile.info(path).frames == 100
    assert left_in(tmp_path) == ["a.wav"]
