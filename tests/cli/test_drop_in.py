"""`stemstream separate` in the place of `demucs`: the same flags, files and samples."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest
import typer
from demucs.separate import get_parser
from demucs.separate import main as demucs
from support.doubles import RATE, noise

from cli.options import with_settings
from streamer.audio import Samples
from streamer.resolve import resolve
from streamer.settings import Settings

# flag of demucs, a value for it (None: a switch), its name there, the field here
FLAGS = [
    ("-n", "mdx", "name", "model"),
    ("--name", "mdx", "name", "model"),
    ("--repo", "folder", "repo", "repo"),
    ("-o", "here", "out", "out"),
    ("--out", "here", "out", "out"),
    ("--filename", "{track}-{stem}.{ext}", "filename", "filename"),
    ("-d", "cpu", "device", "device"),
    ("--device", "cuda", "device", "device"),
    ("--shifts", "3", "shifts", "shifts"),
    ("--overlap", "0.5", "overlap", "overlap"),
    ("--segment", "7", "segment", "window"),
    ("--two-stems", "vocals", "stem", "two_stems"),
    ("--other-method", "minus", "other_method", "other_method"),
    ("--clip-mode", "clamp", "clip_mode", "clip_mode"),
    ("--mp3-bitrate", "192", "mp3_bitrate", "mp3_bitrate"),
    ("--mp3-preset", "5", "mp3_preset", "mp3_preset"),
    ("-j", "2", "jobs", "jobs"),
    ("--jobs", "2", "jobs", "jobs"),
]
SWITCHES = [
    ("--int24", "sample_format", "int24"),
    ("--float32", "sample_format", "float32"),
    ("--mp3", "format", "mp3"),
    ("--flac", "format", "flac"),
]
# where we differ: `auto` falls back, and `soft` leaves what is below full scale as it is
OWN_DEFAULTS = {"name", "device", "clip_mode"}


def ours(*words: str) -> Settings:
    """Return the settings that the flags of the command line make."""
    seen: list[Settings] = []

    def command(
        *, inputs: Annotated[list[str], typer.Argument()], flags: dict[str, object]
    ) -> None:
        seen.append(resolve(flags, environ={}).settings)

    app = typer.Typer()
    app.command()(with_settings(Settings)(command))
    app([*words, "song.wav"], standalone_mode=False)
    return seen[0]


def theirs(*words: str) -> Any:
    return get_parser().parse_args([*words, "song.wav"])


@pytest.mark.parametrize(("flag", "value", "there", "here"), FLAGS)
def test_flag_means_the_same(flag: str, value: str, there: str, here: str) -> None:
    assert getattr(ours(flag, value), here) == getattr(theirs(flag, value), there)
    assert getattr(ours(), here) != getattr(ours(flag, value), here)


@pytest.mark.parametrize(("flag", "here", "value"), SWITCHES)
def test_switch_means_the_same(flag: str, here: str, value: str) -> None:
    assert getattr(theirs(flag), flag.strip("-")) is True
    assert getattr(ours(flag), here) == value


def test_every_choice_is_taken() -> None:
    fields = {there: here for _, _, there, here in FLAGS}
    chosen = [action for action in get_parser()._actions if action.choices is not None]
    assert {action.dest for action in chosen} == {"other_method", "clip_mode", "mp3_preset"}
    for action in chosen:
        for choice in action.choices or ():
            settings = ours(action.option_strings[-1], str(choice))
            assert getattr(settings, fields[action.dest]) == choice


def test_no_flag_of_the_issue_is_new_to_demucs() -> None:
    known = {word for action in get_parser()._actions for word in action.option_strings}
    assert known >= {flag for flag, *_ in (*FLAGS, *SWITCHES)}


def test_without_flags_the_settings_are_the_defaults() -> None:
    assert ours() == Settings()


def test_defaults_are_those_of_demucs() -> None:
    for _, _, there, here in FLAGS:
        if there not in OWN_DEFAULTS:
            assert getattr(ours(), here) == getattr(theirs(), there), here


LAYOUTS = [
    (),
    ("--two-stems", "vocals"),
    ("--two-stems", "vocals", "--other-method", "add"),
    ("--two-stems", "vocals", "--other-method", "minus"),
    ("--two-stems", "drums", "--other-method", "none"),
    ("--filename", "{trackext}/{track}.{stem}.{ext}"),
    ("--overlap", "0.5", "--shifts", "0"),
    ("--two-stems", "bass", "--other-method", "minus", "--clip-mode", "clamp"),
    ("--two-stems", "bass", "--other-method", "minus", "--clip-mode", "rescale"),
]


@pytest.mark.parametrize("flags", LAYOUTS, ids=" ".join)
def test_same_files_with_the_same_samples(
    flags: tuple[str, ...],
    stemstream: Callable[..., Any],
    song: Callable[..., Path],
    repo: Path,
    read: Callable[[Path], Samples],
    files: Callable[[Path], set[str]],
    tmp_path: Path,
) -> None:
    # demucs's WAV writer cuts at full scale whatever the mode, so only what it clips may pass that
    loudness = 4 if "--clip-mode" in flags else 1
    path = song("A song. By me.wav", noise(9_001) * loudness, samplerate=RATE)
    common = ["-n", "tiny", "--repo", str(repo), "--shifts", "0", "--float32", "-d", "cpu", *flags]
    if "--clip-mode" not in flags:
        common += ["--clip-mode", "none"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        demucs([*common, "-o", str(tmp_path / "theirs"), str(path)])
    outcome = stemstream(
        "separate", *common, "-o", "ours", "--normalize", "track", "--trust-checkpoint", path
    )
    assert outcome.code == 0, outcome.err
    made = files(tmp_path / "theirs")
    assert made
    assert files(tmp_path / "ours") == made
    for name in made:
        wanted = read(tmp_path / "theirs" / name)
        got = read(tmp_path / "ours" / name)
        assert got.shape == wanted.shape == (9_001, 2)
        assert np.abs(got - wanted).max() < 1e-5, name
        assert np.abs(wanted).max() > 1e-3


@pytest.mark.parametrize(
    ("switches", "extension"),
    [(("--flac", "--int24"), "flac"), (("--mp3", "--mp3-bitrate", "128"), "mp3")],
)
def test_other_formats_lie_in_the_same_places(
    switches: tuple[str, ...],
    extension: str,
    separate: Callable[..., Any],
    song: Callable[..., Path],
    files: Callable[[Path], set[str]],
    tmp_path: Path,
) -> None:
    assert separate(*switches, "--two-stems", "bass", song()).code == 0
    assert files(tmp_path / "separated") == {
        f"passthrough/song/bass.{extension}",
        f"passthrough/song/no_bass.{extension}",
    }
