"""The pages that people read first name what is there."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

import streamer

ROOT = Path(__file__).parents[1]
PAGES = sorted((*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")), key=str)


def test_every_path_that_contributing_names_is_there() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    named = set(re.findall(r"`((?:streamer|tests|cli|ringbuffer|bench)/[\w./]*)`", text))
    assert len(named) > 20
    assert not [one for one in named if not (ROOT / one).exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_to_one(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    assert not [link for link in links if not (page.parent / link).exists()]


def test_the_newest_entry_of_the_changelog_is_of_this_version() -> None:
    newest = re.search(r"^## (\S+) - \d{4}-\d\d-\d\d$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert newest is not None
    assert newest[1] == streamer.__version__


def test_the_pictures_of_the_readme_show_a_run_and_its_delay(tmp_path: Path) -> None:
    pytest.importorskip("stempeg", reason="the song is that of the extra demo")
    runpy.run_path(str(ROOT / "docs" / "pictures.py"))["draw"](tmp_path, seconds=0.5)
    screen = (tmp_path / "live.svg").read_text()
    assert all(one in screen for one in ("rt_mini", "drums", "vocals", "master"))
    assert "lookahead" in (tmp_path / "delay.svg").read_text()
