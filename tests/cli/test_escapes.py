"""A text from outside does not reach the terminal as a command to it."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from rich.live import Live
from rich.table import Table
from rich.text import Text

from cli.devices import devices
from cli.escapes import EscapedStream, escaped
from cli.terminal import SafeConsole

EVIL = "a\x1b]0;title\x07\x9b5m\u202egpj\udc9b"
SHOWN = r"a\x1b]0;title\x07\x9b5m\u202egpj\x9b"
# what rich draws lines and bars with
DRAWN = re.compile(r"\x1b\[(\?25[lh]|[0-9;]*[mAK]|2K)|\r")
COMMANDS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def on_a_pipe(words: Sequence[str]) -> str:
    command = [sys.executable, "-c", "from cli.main import main; main()", *words]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True)
    return (done.stdout + done.stderr).decode()


def on_a_terminal(words: Sequence[str]) -> str:
    command = [sys.executable, "-c", "from cli.main import main; main()", *words]
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs):
        os.close(theirs)
        shown = b""
        while True:
            try:
                piece = os.read(ours, 4096)
            except OSError:  # how Linux tells that the other side is closed
                break
            if not piece:
                break
            shown += piece
    os.close(ours)
    return DRAWN.sub("", shown.decode())


@pytest.mark.parametrize("show", [on_a_pipe, on_a_terminal])
def test_escape_sequences_in_file_names_do_not_reach_the_terminal(
    show: Callable[[Sequence[str]], str], song: Callable[..., Path], tmp_path: Path
) -> None:
    path = song(f"{EVIL}.wav")
    for words in (
        ["separate", "-n", "passthrough", "-o", str(tmp_path / "out"), str(path)],
        ["separate", "-n", "passthrough", f"{EVIL} gone.wav"],
        ["separate", "-n", EVIL, str(path)],
        ["models", "path", EVIL],
    ):
        seen = show(words)
        assert r"a\x1b]0;title\x07\x9b5m\u202e" in seen.replace("\n", ""), words
        assert not COMMANDS.search(seen), words


def test_json_stays_json(song: Callable[..., Path], tmp_path: Path) -> None:
    path = song(f"{EVIL}.wav")
    out = str(tmp_path / "out")
    command = [sys.executable, "-c", "from cli.main import main; main()"]
    words = ["separate", "-n", "passthrough", "-o", out, "--json", str(path)]
    done = subprocess.run([*command, *words], capture_output=True, check=True)
    assert not COMMANDS.search(done.stdout.decode())
    (track,) = json.loads(done.stdout)
    assert track["source"] == str(path)


def test_a_path_that_is_printed_for_a_program_stays_as_it_is(
    song: Callable[..., Path], tmp_path: Path
) -> None:
    code = "import sys; from cli.terminal import print_path; print_path(sys.argv[1])"
    command = [sys.executable, "-c", code, EVIL]
    done = subprocess.run(command, capture_output=True, check=True)
    assert done.stdout == os.fsencode(EVIL) + b"\n"


@pytest.mark.parametrize("terminal", [False, True])
def test_no_way_through_the_console_lets_them_pass(*, terminal: bool) -> None:
    evil = EVIL.replace("\x07", "")  # rich leaves that out of a Text
    file = io.StringIO()
    console = SafeConsole(file=file, force_terminal=terminal, width=120)
    console.print(evil, Text(evil, style="red"), Text.assemble("b", (evil, "bold")))
    table = Table(evil, title=evil, caption=evil)
    table.add_row(Text(evil))
    table.add_row(evil)
    with Live(console=console, auto_refresh=False) as live:
        live.update(table, refresh=True)
    seen = DRAWN.sub("", file.getvalue())
    assert seen.count(SHOWN.replace(r"\x07", "")) >= 7
    assert not COMMANDS.search(seen)
    assert not re.search("[\ud800-\udfff]", seen)


def test_tracebacks_and_warnings_are_escaped() -> None:
    code = (
        "import sys, threading, warnings, logging; from cli.standard import claim; claim()\n"
        "warnings.warn(sys.argv[1]); logging.getLogger('other').warning(sys.argv[1])\n"
        "def fail(): raise ValueError(sys.argv[1])\n"
        "one = threading.Thread(target=fail); one.start(); one.join(); fail()\n"
    )
    done = subprocess.run([sys.executable, "-c", code, EVIL], capture_output=True)
    seen = done.stderr.decode()
    assert seen.count(SHOWN) >= 4
    assert not COMMANDS.search(seen)


def test_what_is_kept_is_kept() -> None:
    assert escaped("Ünï 音 🎵 a\tb\n") == "Ünï 音 🎵 a\tb\n"
    file = io.StringIO()
    stream = EscapedStream(file)
    stream.writelines(["50 %\r", "\x1b[2J\n"])
    assert file.getvalue() == "50 %\r\\x1b[2J\n"


def test_names_of_midi_ports_are_shown_escaped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Ports:
        def ports(self) -> list[str]:
            return [f"ALSA:{EVIL}"]

    monkeypatch.setattr("cli.devices.RtMidiPorts", Ports)
    devices()
    out = capsys.readouterr().out
    assert f"MIDI ALSA:{SHOWN}" in out
    assert not COMMANDS.search(out)
