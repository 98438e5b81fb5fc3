"""How the command ends its process: with the right code, all told, and nothing freed."""

from __future__ import annotations

import subprocess
import sys

import pytest

ENDING = """
import atexit, os, sys, threading, time
import cli.main

class Freed:
    def __del__(self):
        os.write(1, b"freed ")

held, run, done = Freed(), cli.main.run, threading.Event()

def run_with_a_thread():
    threading.Thread(target=lambda: (done.wait(), time.sleep(0.2), os.write(1, b"thread "))).start()
    atexit.register(os.write, 1, b"tidied ")
    try:
        run()
    finally:
        done.set()

cli.main.run = run_with_a_thread
sys.argv[0] = "stemstream"
cli.main.main()
"""


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["presets"], 0),
        (["separate", "-n", "passthrough", "missing.wav"], 3),
        (["separate", "-x"], 2),
    ],
)
@pytest.mark.parametrize("standard_error", ["2>&1", "2>&-"])
def test_threads_end_all_is_tidied_up_and_nothing_is_freed(
    words: list[str], code: int, standard_error: str
) -> None:
    shell = ["sh", "-c", f'exec "$@" {standard_error}', "sh"]
    command = [*shell, sys.executable, "-c", ENDING, *words]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    assert done.returncode == code, done.stdout
    assert done.stdout.endswith("thread tidied "), done.stdout
