"""Where nothing can be kept between runs all works, and it is told."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHELL = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'


@pytest.fixture
def served(read_only_disk: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command as a service has it: an installation that is read-only, and no home."""
    command = ["unshare", "-m", "sh", "-c", SHELL, str(ROOT)]
    if subprocess.run([*command, "true"], capture_output=True).returncode:
        pytest.skip("needs the right to mount: run as root")

    def run(*words: object) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "HF_HUB_OFFLINE": "1",
            "HOME": str(read_only_disk),
            "COLUMNS": "200",
        }
        code = [sys.executable, "-c", "from cli.main import main; main()", *map(str, words)]
        ran = [*command, *code]
        return subprocess.run(ran, capture_output=True, encoding="utf-8", env=environment)

    return run


def test_stems_are_written_without_a_writable_cache(
    served: Callable[..., subprocess.CompletedProcess[str]],
    song: Callable[..., Path],
    tmp_path: Path,
) -> None:
    done = served("separate", "-n", "passthrough", "--out", tmp_path / "out", song())
    assert done.returncode == 0, done.stderr
    assert "compiled code" not in done.stderr  # a song's way compiles nothing
    assert len(list((tmp_path / "out").rglob("*.wav"))) == 4


def test_doctor_tells_that_nothing_can_be_kept(
    served: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    told = served("doctor").stdout
    assert re.search(r"^ - +kept between runs +nothing", told, re.MULTILINE), told
    assert re.search(r"^ - +compiled code +not kept .*NUMBA_CACHE_DIR", told, re.MULTILINE), told
