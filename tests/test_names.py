"""Names that come from elsewhere and become those of files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from support.doubles import SOURCES, bag_of, tiny

from streamer.errors import ModelError, SettingsError, StemstreamError
from streamer.files import project_place, stem_paths
from streamer.models import load
from streamer.models.weights.places import available
from streamer.naming import MOST_NAME_BYTES, FileName, distinct_names, track_name
from streamer.pipeline.derive import derive
from streamer.settings import Settings

BAD = [
    "../../../victim",
    "/etc/passwd",
    "..",
    ".",
    "",
    ".hidden",
    "a/b",
    "a\\b",
    "C:drums",
    "nul\0",
    "line\nbreak",
    "\x1b[2J",
    "\ud800",
    "\u202egnp.wav",
    "x" * (MOST_NAME_BYTES + 1),
    "ñ" * MOST_NAME_BYTES,
    7,
    None,
    True,
    ["vocals"],
]


@pytest.mark.parametrize("text", BAD, ids=ascii)
def test_a_name_that_leads_elsewhere_is_refused(text):
    with pytest.raises(ValueError, match="rename it") as caught:
        FileName(text)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    "text", ["vocals", "no vocals", "voz (líder)", "ドラム", "mix+fx", "a.b", "-"]
)
def test_a_plain_name_stays_as_it_is(text):
    assert FileName(text) == text
    assert FileName(FileName(text)) == text


@given(st.text())
def test_a_name_is_one_file_in_its_folder(text):
    try:
        name = FileName(text)
    except ValueError:
        return
    assert (Path("/out") / name).parent == Path("/out")
    assert Path(f"/out/{name}").name == text


@pytest.mark.parametrize(
    "names", [["vocals", "vocals"], ["vocals", "Vocals"], ["é", "e\u0301"], [], ["x"] * 65]
)
def test_names_that_are_one_file_on_some_disk_are_refused(names):
    with pytest.raises(ValueError, match="there"):
        distinct_names(names)


@pytest.mark.parametrize(
    ("source", "track"),
    [
        ("song.mp3", "song"),
        ("a/song.live.flac", "song.live"),
        ("song", "song"),
        (".wav", "wav"),
        ("...wav", "wav"),
        ("....wav", "wav"),
        ("..", "track"),
        ("/", "track"),
        (".hidden.wav", ".hidden"),
        ("line\nbreak.wav", "line\nbreak"),
        ("latin\udce9.wav", "latin\udce9"),
    ],
)
def test_a_track_stays_in_the_folder_of_its_model(source, track):
    assert track_name(source) == track
    paths = stem_paths(Settings(), "htdemucs", source, ["vocals"])
    assert paths["vocals"] == Path("separated", "htdemucs", track, "vocals.wav")


@pytest.mark.parametrize(
    "model", ["...safetensors", "a/...th", "..", ".", "hf://..", "\ud800", "a\nb"]
)
def test_a_model_stays_in_the_output_folder(model):
    with pytest.raises(ModelError, match="rename it"):
        stem_paths(Settings(), model, "song.mp3", ["vocals"])


@pytest.mark.parametrize(
    ("template", "source"),
    [
        ("{trackext}/{track}/{stem}.{ext}", "etc."),
        ("{track:.2}/{stem}.{ext}", "...and justice.mp3"),
    ],
)
def test_a_song_leads_no_template_out_of_the_folder(template, source):
    settings = Settings(out=Path("out"), filename=template, project="reaper")
    with pytest.raises(SettingsError, match="leads out of --out for the track"):
        stem_paths(settings, "m", source, SOURCES)
    with pytest.raises(SettingsError, match="leads out of --out for the track"):
        project_place(settings, "m", source, {})


def test_every_path_is_made_of_checked_names():
    with pytest.raises(ValueError, match="rename it"):
        stem_paths(Settings(), "htdemucs", "song.mp3", ["../vocals"])


def test_a_bag_has_names_that_can_be_files():
    bag = bag_of([tiny()], [[1.0] * 4])
    with pytest.raises(ModelError, match=r"'\.\./vocals' must be a plain name"):
        type(bag)("mine", bag.members, ("../vocals", "bass"), bag.samplerate, bag.channels)


def test_a_stem_called_residual_excludes_the_residual():
    with pytest.raises(SettingsError, match="needs the name residual"):
        derive("mine", ("vocals", "residual"), Settings(residual=True))


@pytest.fixture(scope="module")
def embedded() -> Path:
    here = available("rt_mini")
    assert here is not None
    return here.path


@pytest.mark.parametrize("name", ["../../../victim", "/tmp/victim", "a\0", 7, "drums", "x" * 300])
def test_a_checkpoint_does_not_write_outside_the_output_folder(embedded, tmp_path, name):
    """Whatever a model calls its stems, one sentence and no file."""
    with safe_open(str(embedded), "pt") as file:
        metadata = file.metadata()
    args, kwargs = (json.loads(metadata[key]) for key in ("args", "kwargs"))
    sources = [*SOURCES[:3], name]
    if args:
        args[0] = sources
    else:
        kwargs["sources"] = sources
    changed = {"args": json.dumps(args), "kwargs": json.dumps(kwargs)}
    save_file(load_file(embedded), tmp_path / "evil.safetensors", metadata | changed)
    with pytest.raises(StemstreamError, match="evil") as caught:
        load(str(tmp_path / "evil.safetensors"), device="cpu")
    assert str(caught.value).isprintable()
