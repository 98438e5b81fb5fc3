"""A Reaper project, read by a parser of another library."""

from __future__ import annotations

from pathlib import PurePath
from typing import get_args

import pytest

from streamer.errors import SinkError
from streamer.files.marks import Mark
from streamer.files.project.contents import Project, ProjectTrack
from streamer.files.project.kinds import KINDS
from streamer.files.project.reaper import rpp
from streamer.settings import ProjectKind

parser = pytest.importorskip("rpp", reason="needs pip install rpp")


def project(*names: str, **facts) -> Project:
    tracks = [ProjectTrack(name, PurePath(f"{name}.wav")) for name in names or ("bass", "vocals")]
    return Project(tracks, **{"samplerate": 48000, "channels": 2, "frames": 96000} | facts)


def read(one: Project):
    return parser.loads(rpp(one).decode())


def test_each_kind_of_project_can_be_written():
    assert set(KINDS) == set(get_args(ProjectKind))
    for kind in KINDS.values():
        assert kind.made_of(project())
        assert kind.suffix.startswith(".")


def test_another_parser_finds_tracks_items_and_files():
    root = read(project(gain=0.5))
    assert root.tag == "REAPER_PROJECT"
    assert root.find("SAMPLERATE")[1] == "48000"
    tracks = root.findall("TRACK")
    assert [track.find("NAME")[1] for track in tracks] == ["bass", "vocals"]
    assert [float(track.find("VOLPAN")[1]) for track in tracks] == [2.0, 2.0]
    colours = [int(track.find("PEAKCOL")[1]) for track in tracks]
    assert colours == [0x1F0965D, 0x19B72E4]  # blue, green, red, as Windows has them
    for track in tracks:
        item = track.find("ITEM")
        assert float(item.find("POSITION")[1]) == 0
        assert float(item.find("LENGTH")[1]) == 2
        source = item.find("SOURCE")
        assert list(source.attrib) == ["WAVE"]
        assert source.find("FILE")[1] == f"{track.find('NAME')[1]}.wav"


def test_tempo_and_marks_are_told_and_marks_after_the_end_are_not():
    marks = [Mark(0.5, "Verse"), Mark(1.25, 'The "hook"'), Mark(2.5, "gone")]
    root = read(project(tempo=127.5, marks=marks))
    assert root.find("TEMPO")[1:] == ["127.5", "4", "4"]
    told = [(float(one[2]), one[3]) for one in root.findall("MARKER")]
    assert told == [(0.5, "Verse"), (1.25, 'The "hook"')]
    assert read(project()).find("TEMPO")[1] == "120"


@pytest.mark.parametrize(
    "name",
    ['x"\n  >\n  <TRACK\n    NAME evil', "`'\"", "a\r\x00\x1b[2Jb", "\u2028\u202e", "", "乐 – ü"],
)
def test_no_name_of_a_mark_can_add_a_line(name):
    plain, told = (rpp(project(marks=[Mark(1.0, one)])).decode() for one in ("x", name))
    assert len(told.splitlines()) == len(plain.splitlines())
    root = parser.loads(told)
    assert [track.find("NAME")[1] for track in root.findall("TRACK")] == ["bass", "vocals"]


@pytest.mark.parametrize("name", ["a\nb", "'`\"", "a\x00"])
def test_a_file_that_cannot_be_named_is_one_sentence(name):
    with pytest.raises(SinkError, match="--filename"):
        rpp(project(name))


def test_odd_names_of_files_are_written_as_they_are():
    for name in ("a 'b' \"c\"", "乐", "%d & $HOME", "\udcff"):
        told = rpp(project(name)).decode("utf-8", "surrogateescape")
        assert f"{name}.wav" in told
