"""What a project says of its tracks, whatever opens it."""

from __future__ import annotations

import re
from pathlib import Path, PurePath

import streamer.live.control.page
from streamer.files.project.contents import COLOURS, OTHER_COLOURS, ProjectTrack

STATIC = Path(streamer.live.control.page.__file__).parent / "static"


def test_a_track_has_the_colour_that_its_stem_has_on_the_page():
    script = (STATIC / "strip.js").read_text("utf-8")
    (array,) = re.findall(r"const COLOURS = \[(.*?)\];", script, re.DOTALL)
    known = re.findall(r'"(\w+)"', array)
    dark = (STATIC / "desk.css").read_text("utf-8").partition("}")[0]
    shown = {int(i): int(rgb, 16) for i, rgb in re.findall(r"--c(\d): #([0-9a-f]{6});", dark)}
    assert list(COLOURS) == known
    assert [*COLOURS.values(), *OTHER_COLOURS] == [shown[i] for i in range(8)]
    assert len(shown) == 8
    for stem in (*known, "no_vocals", "a", "b", "se\N{LATIN SMALL LETTER N WITH TILDE}al"):
        place = known.index(stem) if stem in known else len(known) + sum(map(ord, stem)) % 2
        assert ProjectTrack(stem, PurePath("a.wav")).colour == shown[place]
