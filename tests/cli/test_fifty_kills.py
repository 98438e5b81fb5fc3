"""Runs that are ended at random moments, by every signal, and gone on with."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.doubles import noise

Run = Callable[..., Any]
KILLS = 50
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
FLAGS = ("separate", "-n", "passthrough", "--stems", "bass,vocals")
# One process imports everything once; each run is a fork of it, before it has run anything.
STARTER = """
import os, signal, sys
import cli.commands, cli.separate, cli.tracks
import streamer.files.encode.file_sink, streamer.files.decode.pcm
from cli.main import main
signal.signal(signal.SIGINT, signal.SIG_DFL)
sys.argv[0] = "stemstream"
while sys.stdin.readline():
    child = os.fork()
    if not child:
        main()
    print(child, flush=True)
    sys.stdin.readline()  # until then its number is not given to another process
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def test_fifty_kills_and_resume_give_the_same_stems_to_the_bit(
    stemstream: Run, song: Run, elsewhere: Path
) -> None:
    songs = [song(f"{name}.wav", noise(60_000, seed=ord(name))) for name in "ab"]
    assert stemstream(*FLAGS, "-o", "whole", *songs).code == 0
    whole = contents(elsewhere / "whole")
    draw = random.Random(0)
    command = [sys.executable, "-c", STARTER, *FLAGS, "--resume", "-o", "killed", *map(str, songs)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as starter:
        assert starter.stdin is not None
        assert starter.stdout is not None

        def ask() -> int:
            starter.stdin.write("\n")
            starter.stdin.flush()
            return int(starter.stdout.readline())

        began = time.monotonic()
        ask()
        assert ask() == 0
        seconds = time.monotonic() - began
        killed = 0
        for number in range(KILLS):
            if contents(elsewhere / "killed") == whole:
                for file in (elsewhere / "killed").rglob("*.wav"):
                    file.unlink()
            child = ask()
            time.sleep(draw.uniform(0, seconds))  # a moment is what is drawn: nothing is waited for
            os.kill(child, SIGNALS[number % len(SIGNALS)])
            killed += ask() != 0
            for name, data in contents(elsewhere / "killed").items():
                if not name.endswith(".part"):
                    assert data == whole[name], name
        assert killed
        ask()
        assert ask() == 0
    assert contents(elsewhere / "killed") == whole


def contents(folder: Path) -> dict[str, bytes]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}
