"""What `separate` promises of its files: all stems of a track or none, and nothing that stood there
is lost."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.doubles import noise

from streamer.errors import OutputExistsError, SinkError
from streamer.files import left_to_write, open_track
from streamer.files.decode.memory import MemorySource
from streamer.processor import Processor
from streamer.settings import Settings

Run = Callable[..., Any]
STEMS = ("drums", "bass", "other", "vocals")
SINK = 4
FOLDER = "separated/passthrough/song"


@pytest.mark.parametrize("clip_mode", ["soft", "rescale"])
@pytest.mark.parametrize("when", ["while it is written", "while files get their names"])
def test_a_stem_that_appears_during_the_run_leaves_none_of_ours(
    clip_mode: str, when: str, tmp_path: Path, files: Run
) -> None:
    settings = Settings(model="passthrough", clip_mode=clip_mode)
    source = MemorySource("song", noise(9000), 44100)
    paths = {name: tmp_path / f"out/{name}.wav" for name in STEMS}
    processor = Processor(settings)
    processor.prepare(44100, 9000, 2)
    theirs = paths["other"]

    def separate() -> None:
        with open_track(settings, source, 2, paths, STEMS) as track:
            if when == "while files get their names":
                seal = track.outputs[-1].seal

                def appear() -> None:
                    seal()
                    theirs.write_text("mine")

                track.outputs[-1].seal = appear
            for stems in [*processor.feed(noise(9000)), *processor.flush()]:
                track.write(stems)
            if when == "while it is written":
                theirs.write_text("mine")

    with pytest.raises(OutputExistsError, match=r"other\.wav exists"):
        separate()
    assert files(tmp_path / "out") == {"other.wav"}
    assert theirs.read_text() == "mine"


@pytest.mark.parametrize("by", ["name", "hard link", "link"])
def test_no_output_replaces_an_input(by: str, separate: Run, song: Run, elsewhere: Path) -> None:
    other = song("other song.wav")
    victim = song(f"{FOLDER}/vocals.wav")
    asked = victim
    if by == "hard link":
        asked = elsewhere / "linked.wav"
        asked.hardlink_to(victim)
    elif by == "link":
        asked = elsewhere / "linked.wav"
        asked.symlink_to(victim)
    before = victim.read_bytes()
    # not even that of another track of the run
    outcome = separate("--overwrite", song(), other, asked)
    assert outcome.code == SINK
    assert f"vocals.wav is the input {asked} itself" in outcome.complaint
    assert victim.read_bytes() == before
    assert not (elsewhere / FOLDER / "drums.wav").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-o", "a\0b"), "its name holds a NUL character"),
        (("-o", "x" * 256), "longer than the disk allows"),
        (("--filename", "{stem}" + "x" * 256), "longer than the disk allows"),
        (("-o", "loop"), "in a circle"),
        (("-o", "loop", "--resume"), "in a circle"),
        (("-o", "x" * 256, "--resume"), "longer than the disk allows"),
    ],
)
def test_places_that_no_file_can_have_are_one_sentence(
    words: tuple[str, ...], said: str, separate: Run, song: Run, elsewhere: Path
) -> None:
    (elsewhere / "loop").symlink_to("loop")
    outcome = separate(*words, song())
    assert said in outcome.complaint
    assert outcome.code == SINK


@contextmanager
def nobody(folder: Path) -> Iterator[None]:
    """Be a user who may not do everything, with a temporary folder."""
    (folder / "tmp").mkdir(exist_ok=True)
    (folder / "tmp").chmod(0o777)
    for one in [folder, *folder.parents]:
        if one.stat().st_uid == os.getuid() and one != Path("/"):
            one.chmod(one.stat().st_mode | 0o055)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(folder / "tmp"))
        os.seteuid(65534)
        try:
            yield
        finally:
            os.seteuid(0)


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user: run as root")
@pytest.mark.parametrize("mode", [0o000, 0o300, 0o500])
def test_a_folder_that_may_not_be_looked_into_is_one_sentence(mode: int, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir(mode=0o777)
    os.chown(folder, 65534, -1)
    folder.chmod(mode)
    paths = {name: folder / f"{name}.wav" for name in STEMS}
    source = MemorySource("song", noise(900), 44100)

    def write() -> None:
        with open_track(Settings(), source, 2, paths, STEMS):
            pass

    with nobody(tmp_path), pytest.raises(SinkError, match="the folder is not yours"):
        write()
    if mode & 0o400 == 0:
        with nobody(tmp_path), pytest.raises(SinkError, match="the folder is not yours"):
            left_to_write(paths)
