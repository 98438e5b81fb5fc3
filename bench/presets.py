"""What the presets cost, and what they give: time, memory and SDR.

    python bench/presets.py [--seconds 30] [--rounds 1] [--stems vocals] [--backend auto]

Each preset separates the song of the package stempeg, looped to ``--seconds``, in a process of its
own (`stemstream separate --preset ...`), turn about in an order that turns round every round. Times
are medians; CPU is user and system time of all threads; the cost is a preset's wall time over that
of FAST, beside what the note that began the project promised. ``--stems`` measures once more with
these stems alone: of htdemucs_ft only their networks run. ``--backend`` is stemstream's; ``auto``
chooses for each model, and on a busy machine perhaps not alike for two that are built alike: the
table says what was chosen.

The published weights are not needed: the networks of htdemucs and htdemucs_ft are replaced by
random ones of their shape, in their bags. So the SDR is that of the embedded htdemucs_mini, with
the preset's overlap, shifts, samples and precision, read back from the files: the mean over stems
of ``10 log10(sum s^2 / sum (s - e)^2)``, s the true stem and e ours. It tells what the settings of
a preset give, not what its model does.

Some 2 GB of networks and graphs lie in the temporary folder meanwhile. AUDIOPHILE takes most of
the time: 64 times what a window takes for 7.8 s of song, and more.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import soundfile
from whole_process import (
    Run,
    command,
    introduction,
    loop_song,
    looped,
    markdown,
    parser,
    run_command,
    stempeg_song,
    take_turns,
)

from streamer.audio import Samples
from streamer.files import reference_stems
from streamer.measure import StemMeasure
from streamer.models import load
from streamer.models.networks.random import write_random_htdemucs
from streamer.models.weights.registry import info
from streamer.presets import PRESETS, Preset

SCORED_MODEL = "htdemucs_mini"
SONG, REPO, OUT = "song.wav", "repo", "separated"
PROMISED = {"AUDIOPHILE": "4-5x", "PRODUCTION": "2x", "DEVELOPMENT": "1.5x", "FAST": "1x"}
HEAD = [
    "preset",
    "stems",
    "backend",
    "wall s",
    "from - to",
    "CPU s",
    "peak MB",
    "cost",
    "promised",
    "SDR dB",
]


def main() -> None:
    wish = _arguments()
    print(introduction("stemstream", "demucs", "torch", "openvino"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["XDG_CACHE_HOME"] = str(folder / "cache")  # graphs of networks nobody else has
        write_networks(folder / REPO)
        loop_song(stempeg_song(), wish.seconds, folder / SONG)
        words = separate(folder, wish.backend)
        prepare(words)
        runs = take_turns(commands(words, wish.stems), wish.rounds)
        truth = true_stems(wish.seconds)
        scores = {preset: mean_sdr_db(words, preset, folder, truth) for preset in PRESETS}
        backends = {preset: backend(preset, folder / REPO, wish.backend) for preset in PRESETS}
    print(f"{wish.seconds:g} s of song, rounds: {wish.rounds}, random full-size networks\n")
    print(markdown(HEAD, rows(runs, wish.stems, backends, scores)))


def write_networks(repo: Path) -> None:
    """Write a network for each of htdemucs and htdemucs_ft under its name; all are different."""
    repo.mkdir()
    members = [*info("htdemucs").networks, *info("htdemucs_ft").networks]
    for seed, member in enumerate(members):
        write_random_htdemucs(repo, member, seed)


def separate(folder: Path, library: str) -> list[str]:
    """Return the command less what tells the presets apart."""
    words = [command("stemstream"), "separate", str(folder / SONG), "--repo", str(folder / REPO)]
    words += ["-o", str(folder / OUT), "--overwrite"]
    return [*words, "-d", "cpu", "--backend", library]


def prepare(words: Sequence[str]) -> None:
    """Run every model once: a backend is chosen for it, and its graphs are made and kept."""
    for model in dict.fromkeys(str(values["model"]) for values in PRESETS.values()):
        run_command([*words, "-n", model, "--shifts", "0"], threads=None)


def commands(words: Sequence[str], some_stems: str | None) -> dict[str, list[str]]:
    """Return the commands to measure."""
    return {
        title(preset, stems): [*words, "--preset", preset, *(["--stems", stems] if stems else [])]
        for stems in asked(some_stems)
        for preset in PRESETS
    }


def asked(some_stems: str | None) -> list[str | None]:
    """Return which stems are asked for, one after the other; None is all of them."""
    return [None, some_stems] if some_stems else [None]


def title(preset: str, stems: str | None) -> str:
    """Return what a command is called."""
    return f"{preset}, {stems or 'all'}"


def backend(preset: Preset, repo: Path, library: str) -> str:
    """Return what the command had chosen to run the preset's model."""
    model = str(PRESETS[preset]["model"])
    return load(model, stems=["vocals"], repo=repo, device="cpu", backend=library).backend


def mean_sdr_db(
    words: Sequence[str], preset: Preset, folder: Path, truth: Mapping[str, Samples]
) -> float:
    """Return how well the embedded model does with a preset's settings, the mean over stems."""
    made = info(str(PRESETS[preset]["model"])).origin == "made"  # of htdemucs, in bfloat16
    precision = "bfloat16" if made else "float32"
    own = ["--preset", preset, "-n", SCORED_MODEL, "--precision", precision]
    run_command([*words, *own], threads=None)
    stems = folder / OUT / SCORED_MODEL / Path(SONG).stem
    return statistics.fmean(sdr_db(stems / f"{name}.wav", true) for name, true in truth.items())


def true_stems(seconds: float) -> dict[str, Samples]:
    """Return the true stems of the looped song."""
    truth = {}
    for name, source in (reference_stems(stempeg_song()) or {}).items():
        with source:
            truth[name] = looped(source, seconds)
    return truth


def sdr_db(path: Path, truth: Samples) -> float:
    """Return the signal-to-distortion ratio of a file, in dB."""
    measure = StemMeasure()
    measure.feed(soundfile.read(path, dtype="float32")[0], truth)
    assert measure.sdr_db is not None
    return measure.sdr_db


def rows(
    runs: Mapping[str, Sequence[Run]],
    some_stems: str | None,
    backends: Mapping[Preset, str],
    scores: Mapping[Preset, float],
) -> list[list[str]]:
    """Return the cells of the table."""
    return [
        [
            preset,
            stems or "all",
            backends[preset],
            *times(runs[title(preset, stems)], runs[title("FAST", stems)]),
            PROMISED[preset],
            "" if stems else f"{scores[preset]:.2f}",
        ]
        for stems in asked(some_stems)
        for preset in PRESETS
    ]


def times(some: Sequence[Run], fast: Sequence[Run]) -> list[str]:
    """Return the cells of what was measured of a command, the last its cost."""
    walls = [run.seconds for run in some]
    cost = statistics.median(walls) / statistics.median(run.seconds for run in fast)
    return [
        f"{statistics.median(walls):.1f}",
        f"{min(walls):.1f} - {max(walls):.1f}",
        f"{statistics.median(run.cpu_seconds for run in some):.1f}",
        f"{max(run.peak_mb for run in some):.0f}",
        f"{cost:.1f}x",
    ]


def _arguments() -> argparse.Namespace:
    arguments = parser(__doc__)
    arguments.add_argument("--seconds", type=float, default=30.0, help="of song")
    arguments.add_argument("--rounds", type=int, default=1)
    arguments.add_argument("--stems", help="these alone, too", metavar="vocals")
    arguments.add_argument("--backend", choices=("auto", "torch", "openvino"), default="auto")
    return arguments.parse_args()


if __name__ == "__main__":
    main()
