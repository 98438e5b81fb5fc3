"""Standard input and output, and what is told where nobody is watching."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.doubles import noise

Run = Callable[..., Any]
MODEL = ("separate", "-n", "passthrough", "--clip-mode", "none", "--float32")


def through(song: Path, *words: str) -> tuple[bytes, str]:
    """Pipe a file through the command; return its standard output and error."""
    command = [sys.executable, "-c", "from cli.main import main; main()", *words]
    with subprocess.Popen(["cat", str(song)], stdout=subprocess.PIPE) as cat:
        done = subprocess.run(command, stdin=cat.stdout, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr.decode()


@pytest.fixture
def decoded() -> Callable[..., Any]:
    """Decode with the ffmpeg command, from its standard input."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("needs the ffmpeg command: apt-get install ffmpeg")

    def decode(data: bytes, channels: int, *given: str) -> Any:
        command = ["ffmpeg", "-v", "error", *given, "-i", "-", "-f", "f32le", "-"]
        done = subprocess.run(command, input=data, capture_output=True, check=True)
        return np.frombuffer(done.stdout, "<f4").reshape(-1, channels)

    return decode


def test_wav_of_one_stem(song: Run, decoded: Run, elsewhere: Path) -> None:
    path = song(audio=noise(20_000))
    out, err = through(path, *MODEL, "-", "-o", "-", "--stems", "vocals")
    assert np.abs(decoded(out, 2) - noise(20_000)).max() < 1e-5
    assert not (elsewhere / "separated").exists()
    # quiet: the table, and nothing that moves a cursor
    assert "\x1b" not in err
    assert "\r" not in err
    assert "standard output" in err


def test_raw_of_several_stems(song: Run, decoded: Run) -> None:
    path = song(audio=noise(20_000))
    out, _ = through(path, *MODEL, "-", "-o", "-", "--format", "raw")
    assert len(out) == 20_000 * 8 * 4
    stems = decoded(out, 8, "-f", "f32le", "-ar", "44100", "-ac", "8").reshape(-1, 4, 2)
    assert np.abs(stems - noise(20_000)[:, np.newaxis]).max() < 1e-5


def test_wav_of_several_stems_into_ffmpeg(song: Run, decoded: Run) -> None:
    # from a file its length is known and stated
    path = song(audio=noise(20_000))
    out, _ = through(path, *MODEL, str(path), "-o", "-", "--stems", "bass,drums")
    stems = decoded(out, 4).reshape(-1, 2, 2)
    assert np.abs(stems - noise(20_000)[:, np.newaxis]).max() < 1e-5
    assert len(out) < 20_000 * 16 + 200


@pytest.mark.parametrize("kind", ["wav", "flac"])
def test_header_states_no_more_than_comes(kind: str, song: Run) -> None:
    path = song(f"song.{kind}", noise(200_000), subtype="PCM_16")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    out, err = through(path, *MODEL, str(path), "-o", "-", "--stems", "bass")
    assert "damaged or cut short" in err
    head = out.index(b"data") + 8
    stated = int.from_bytes(out[head - 4 : head], "little")
    assert stated in (len(out) - head, 0xFFFFFFFF)
    assert 80_000 < (len(out) - head) / 8 < 120_000


def test_reader_that_goes_away(song: Run, process: Run) -> None:
    run = process(*MODEL, song(audio=noise(400_000)), "-o", "-")
    assert run.stdout.read(4) == b"RIFF"
    run.stdout.close()
    error = run.stderr.read().decode()
    assert run.wait(60) == 4
    assert error == "stemstream: The reader of the pipe went away before the end\n"


def test_standard_input_cannot_be_read_twice(song: Run, elsewhere: Path) -> None:
    command = [sys.executable, "-c", "from cli.main import main; main()", *MODEL, "-"]
    with song().open("rb") as file, subprocess.Popen(["cat"], stdin=file, stdout=-1) as cat:
        done = subprocess.run(
            [*command, "--normalize", "track"], stdin=cat.stdout, capture_output=True, timeout=60
        )
    assert done.returncode == 3
    assert done.stderr.startswith(b"stemstream: ")
    assert b"try normalize=rms" in done.stderr
    assert not list(elsewhere.glob("separated/**/*.*"))


def test_terminal_gets_a_bar_and_no_audio(song: Run) -> None:
    screen, ours = pty.openpty()
    command = [sys.executable, "-c", "from cli.main import main; main()", *MODEL, str(song())]
    with subprocess.Popen(command, stderr=ours, stdout=ours) as bar:
        os.close(ours)
        shown = _all_of(screen)
    assert bar.returncode == 0
    assert b"\x1b[?25l" in shown  # the cursor is hidden while the bar moves
    assert b"song.wav" in shown
    assert b"%" in shown
    assert b"\\x1b" not in shown, "the bar itself is not escaped"
    refused, ours = pty.openpty()
    with subprocess.Popen([*command, "-o", "-"], stderr=ours, stdout=ours) as crowded:
        os.close(ours)
        said = _all_of(refused)
    assert crowded.returncode == 2
    assert b"standard output is a terminal" in said


def test_the_lines_of_a_batch_go_to_standard_output_while_a_bar_moves(song: Run) -> None:
    screen, ours = pty.openpty()
    words = ["batch", "-n", "passthrough", "--json", str(song()), str(song("other.wav"))]
    command = [sys.executable, "-c", "from cli.main import main; main()", *words]
    with subprocess.Popen(command, stderr=ours, stdout=subprocess.PIPE) as batch:
        os.close(ours)
        shown = _all_of(screen)
        assert batch.stdout is not None
        lines = batch.stdout.read().splitlines()
    assert batch.returncode == 0
    told = [json.loads(line) for line in lines]
    assert {Path(row["source"]).name for row in told[:-1]} == {"song.wav", "other.wav"}
    assert told[-1]["songs"] == 2
    assert b"\x1b[?25l" in shown
    assert b"\\x1b" not in shown
    assert b"{" not in shown


@pytest.mark.parametrize("words", [MODEL, ("batch", "-n", "passthrough")], ids=" ".join)
def test_a_terminal_that_is_closed_ends_no_work(
    words: tuple[str, ...], song: Run, elsewhere: Path
) -> None:
    screen, ours = pty.openpty()
    command = [sys.executable, "-c", "from cli.main import main; main()", *words, str(song())]
    with subprocess.Popen(command, stderr=ours, stdout=subprocess.DEVNULL) as work:
        os.close(ours)
        os.close(screen)
    assert work.returncode == 0
    assert len(list((elsewhere / "separated/passthrough/song").glob("*.wav"))) == 4


def _all_of(screen: int) -> bytes:
    shown = b""
    with contextlib.suppress(OSError):  # how Linux tells that nobody writes any more
        while data := os.read(screen, 4096):
            shown += data
    os.close(screen)
    return shown


RESULTS = [
    ("models",),
    ("models", "path", "htdemucs_mini"),
    ("presets",),
    ("doctor",),
    ("--help",),
    (*MODEL, "song.wav", "--json"),
    (*MODEL, "song.wav", "-o", "-"),
]


@pytest.mark.parametrize("words", RESULTS, ids=" ".join)
@pytest.mark.parametrize(
    ("to", "said"), [(">/dev/full", "No space left on device"), (">&-", "closed")]
)
def test_standard_output_that_takes_nothing(
    words: tuple[str, ...], to: str, said: str, song: Run
) -> None:
    song()
    program = f"{sys.executable} -c 'from cli.main import main; main()' \"$@\" {to}"
    done = subprocess.run(["sh", "-c", program, "sh", *words], capture_output=True, timeout=60)
    assert done.returncode == 4, done.stderr
    complaint = done.stderr.decode().splitlines()[-1]
    assert complaint.startswith("stemstream: ")
    assert said in complaint
    for noise_ in (b"should not happen", b"Traceback", b"Exception ignored"):
        assert noise_ not in done.stderr


@pytest.mark.parametrize("streams", ["<&- >&- 2>&-", ">/dev/full 2>/dev/full"])
def test_files_need_no_standard_streams(
    streams: str, song: Run, read: Run, elsewhere: Path
) -> None:
    """Nor does a stem's file become one of them, for libraries to print into."""
    program = f"{sys.executable} -c 'from cli.main import main; main()' \"$@\" {streams}"
    done = subprocess.run(["sh", "-c", program, "sh", *MODEL, str(song())], timeout=60)
    assert done.returncode == 0
    for stem in ("drums", "bass", "other", "vocals"):
        assert len(read(elsewhere / f"separated/passthrough/song/{stem}.wav")) == 20_000
