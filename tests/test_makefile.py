"""Set-up that stopped halfway is taken up again by the same command."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HALF = "#!/bin/sh\nmkdir -p .venv/bin; touch .venv/bin/python; exit 1\n"
"""As `python3 -m venv` of a Debian without python3-venv."""


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_an_environment_without_pip_is_not_taken_for_a_whole_one(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / ".ci").mkdir()
    for name, program in ((".ci/system-packages", "#!/bin/sh\n"), ("python", HALF)):
        (tmp_path / name).write_text(program)
        (tmp_path / name).chmod(0o755)
    command = ["make", ".venv/bin/python", "PYTHON=./python"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True).returncode
    assert not (tmp_path / ".venv/bin/python").exists()
