"""Train an embedded model anew, as its card says it was trained.

python recipes/rebuild.py rt_mini --musdb FOLDER --cc0 FOLDER [-o trained/rt_mini] [--resume]

FOLDER are the training split of the MUSDB18 7-second set and the album "everything-is-free" of
Software-Entwicklungskit (CC0), a folder of stems a song. What else is heard is rendered here
(`render.py` says what that needs). It needs the package's extra ``train``, and hours.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
MODELS = sorted(recipe.stem for recipe in HERE.glob("*.toml"))
WITH_BASS_APART = ("lithium", "sodium")
"""Of the album; in the other songs the bass is inside ``other``, which teaches what is wrong."""


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
    rendered = songs / "rendered"
    if not rendered.exists():
        subprocess.run([sys.executable, HERE / "render.py", rendered], check=True)
    data = [told.musdb, cc0_songs(told.cc0, songs / "cc0"), rendered]
    stemstream = Path(sys.executable).with_name("stemstream")
    command = [stemstream, "train", "--config", HERE / f"{told.model}.toml"]
    command += [part for folder in data for part in ("--data", folder)]
    start = {"rt_mini_fast": _filters_of_rt_mini}.get(told.model, lambda _: told.model)
    command += ["--model", start(songs), "--cache", songs / "cache", "-o", out]
    return subprocess.run([*command, *["--resume"] * told.resume], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
