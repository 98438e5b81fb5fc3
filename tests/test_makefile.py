"""Set-up that stopped halfway is taken up again by the same command."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MADE = "mkdir -p .venv/bin; touch .venv/bin/python"
ANSWERS = f"""#!/bin/sh
[ "$1" = -c ] || {{ {MADE}; exit 0; }}
exec {sys.executable} -c 'import sys; sys.version_info = (3, MINOR, 9); exec(sys.argv[1])' "$2"
"""
HALF = f'#!/bin/sh\n[ "$1" = -c ] && exit 0; {MADE}; exit 1\n'
"""As `python3 -m venv` of a Debian without python3-venv."""

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


def make(
    folder: Path, python: str, target: str = ".venv/bin/python"
) -> subprocess.CompletedProcess[str]:
    """Have `make` make an environment with a Python of our own."""
    shutil.copy(ROOT / "Makefile", folder)
    (folder / ".ci").mkdir(exist_ok=True)
    for name, program in ((".ci/system-packages", "#!/bin/sh\n"), ("python", python)):
        (folder / name).write_text(program)
        (folder / name).chmod(0o755)
    command = ["make", target, "PYTHON=./python"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_an_environment_without_pip_is_not_taken_for_a_whole_one(tmp_path: Path) -> None:
    assert make(tmp_path, HALF).returncode
    assert not (tmp_path / ".venv/bin/python").exists()


def test_a_python_that_is_too_old_makes_nothing(tmp_path: Path) -> None:
    made = make(tmp_path, ANSWERS.replace("MINOR", "10"))
    assert made.returncode
    assert "needs Python 3.11 or later, and ./python is older; try: make demo" in made.stderr
    assert not (tmp_path / ".venv").exists()


def test_an_environment_whose_python_is_gone_is_filled_anew(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv/demo").touch()
    logging = "echo 'echo \"$@\" >> log' > .venv/bin/python; chmod +x .venv/bin/python"
    made = make(
        tmp_path, ANSWERS.replace("MINOR", "11").replace(MADE, f"{MADE}; {logging}"), "demo"
    )
    assert made.returncode  # no stemstream comes of it here
    assert "-m pip install" in (tmp_path / "log").read_text()
