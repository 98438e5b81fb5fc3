"""Train an embedded model anew, as its card says it was trained.

python recipes/rebuild.py rt_mini --musdb FOLDER --cc0 FOLDER [-o trained/rt_mini] [--resume]

Each round is in a folder of its own; the last one has the model.

FOLDER are the training split of the MUSDB18 7-second set and the album "everything-is-free" of
Software-Entwicklungskit (CC0), a folder of stems a song. What else is heard is made here
(`make_songs.py` says what that needs). It needs the package's extra ``train``, and hours.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
REAL = ("musdb", "cc0")
"""What is not made here."""
SONGS = {
    "htdemucs_mini": (*REAL, "rendered"),
    "htdemucs_mini-2": REAL,
    "rt_mini": (*REAL, "rendered"),
    "rt_mini-2": REAL,
    "rt_mini-3": (*REAL, "guitars", "kits", "rendered"),
    "rt_mini-4": (*REAL, "guitars", "kits", "rendered"),
    "rt_mini_fast": REAL,
}
"""What each round of a training learns from, in the order of ``mixing`` in its settings.

A round ``NAME-2`` begins with the weights of ``NAME``, and so on.
"""
TEACHERS = {"rt_mini-4": "mini_duo"}
"""What is learnt from beside the true stems; a recipe that is found may not name it."""
MODELS = [name for name in SONGS if "-" not in name]
WITH_BASS_APART = ("lithium", "sodium")
"""Of the album; in the other songs the bass is inside ``other``, which teaches what is wrong."""


def rounds_of(model: str, start: str | Path, out: Path) -> Iterator[tuple[str, str | Path, Path]]:
    """Yield each round's name, the weights that it begins with, and the folder it writes to."""
    weights = start
    for name in SONGS:
        if name.partition("-")[0] == model:
            yield name, weights, out / name
            weights = out / name / "model.safetensors"


def cc0_songs(album: Path, folder: Path) -> Path:
    """Return a folder of links to those stems of the album that are what they are called."""
    for song in sorted(album.iterdir()):
        stems = {"drums", "vocals"}
        if song.name in WITH_BASS_APART:
            stems |= {"bass", "other"}
        (folder / song.name).mkdir(parents=True, exist_ok=True)
        for file in song.iterdir():
            link = folder / song.name / file.name
            if file.stem in stems and not link.exists():
                link.symlink_to(file.resolve())
    return folder


def made_songs(name: str, folder: Path, musdb: Path, cc0: Path) -> Path:
    """Make what is missing of a kind of songs; return their folder."""
    command = [sys.executable, HERE / "make_songs.py", name, folder]
    subprocess.run([*command, "--musdb", musdb, "--cc0", cc0], check=True)
    return folder


def _filters_of_rt_mini(folder: Path) -> Path:
    """Write the network that `rt_mini_fast` began as, with the weights of `rt_mini`."""
    from streamer.models.networks.checkpoint import read_network, write_network
    from streamer.models.networks.filters import CausalFilters
    from streamer.models.weights.places import get_file, place_of

    place = place_of("rt_mini", repo=None, trust_checkpoint=False)
    rt_mini = read_network(get_file(place, place.bag.members[0])).float()
    args, kwargs = rt_mini._init_args_kwargs
    network = CausalFilters(*args, **kwargs)
    network.load_state_dict(rt_mini.state_dict())
    path = folder / "begin.safetensors"
    write_network(network, path)
    return path


def main() -> int:
    """Prepare the songs and train."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("--musdb", type=Path, required=True)
    parser.add_argument("--cc0", type=Path, required=True)
    parser.add_argument("-o", "--out", type=Path)
    parser.add_argument("--resume", action="store_true")
    told = parser.parse_args()
    out = told.out or Path("trained", told.model)
    songs = out.parent / "songs"
    songs.mkdir(parents=True, exist_ok=True)
    real = {"musdb": told.musdb, "cc0": cc0_songs(told.cc0, songs / "cc0")}
    start = {"rt_mini_fast": _filters_of_rt_mini}.get(told.model, lambda _: told.model)(songs)
    for name, weights, folder in rounds_of(told.model, start, out):
        data = [
            real.get(kind) or made_songs(kind, songs / kind, told.musdb, told.cc0)
            for kind in SONGS[name]
        ]
        status = _train(name, weights, data, songs / "cache", folder, resume=told.resume)
        if status:
            return status
    return 0


def _train(
    name: str, weights: str | Path, data: list[Path], cache: Path, out: Path, *, resume: bool
) -> int:
    """Train one round; return the command's exit status."""
    command = [Path(sys.executable).with_name("stemstream"), "train"]
    command += ["--config", HERE / f"{name}.toml", "--model", weights, "--cache", cache, "-o", out]
    command += [part for folder in data for part in ("--data", folder)]
    command += ["--teacher", TEACHERS[name]] if name in TEACHERS else []
    return subprocess.run([*command, *["--resume"] * resume], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
