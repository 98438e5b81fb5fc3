"""A GPU: files in batches of windows, live windows one by one, and `demucs` on the same device.

    python bench/gpu.py [--device cuda] [--model full] [--precision float32] [--batches 1 2 4 8]

Files: tones in noise go from memory through the whole path (no file is read or written) with
overlap 0.25 and no shifts, at each batch size, and through `demucs.apply.apply_model`, which takes
one window at a time. Live: ``--windows`` single windows, from the host's memory and back; the delay
is what that makes of ``--hop`` and ``--lookahead``, before the sound devices' own. Memory is the
most that torch held on the device. What comes first of each kind is not counted. The full model is
built as htdemucs is, with random weights, which are as fast. ``--device cpu --seconds 10`` shows
that the script works.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from demucs.apply import apply_model
from demucs.pretrained import get_model
from whole_process import MODELS, RATE, export_model, introduction, noise_blocks, parser, table

from streamer.audio import Samples
from streamer.models import load
from streamer.models.separator import Bag
from streamer.processor import Processor
from streamer.settings import Precision, Settings

OVERLAP = 0.25


def main() -> None:
    wish = _arguments()
    if wish.device.startswith("cuda") and not torch.cuda.is_available():
        print("there is no CUDA device here; try --device cpu --seconds 10 to check the script")
        sys.exit(2)
    print(introduction("stemstream", "demucs", "torch"))
    if wish.device.startswith("cuda"):
        print(f"{torch.cuda.get_device_name(wish.device)}, CUDA {torch.version.cuda}\n")
    with tempfile.TemporaryDirectory() as name:
        repo = Path(name)
        export_model(wish.model, repo)
        print(files(repo, wish) + "\n")
        print(live(repo, wish))


def files(repo: Path, wish: argparse.Namespace) -> str:
    """Return the table of the file runs."""
    mix = np.concatenate(list(noise_blocks(int(wish.seconds * RATE))))
    bag = load_model(repo, wish)
    best = bag.best_load()
    jobs = wish.jobs or best.calls
    contestants: dict[str, Callable[[Samples], None]] = {
        f"stemstream, batch {batch}": lambda audio, batch=batch: separate(audio, bag, jobs, batch)
        for batch in wish.batches
    }
    network = get_model(wish.model, repo)
    contestants["demucs"] = lambda audio: run_demucs(audio, network, wish.device)
    rows = []
    for who, run in contestants.items():
        run(mix[: int(min(wish.seconds, 60) * RATE)])
        seconds, memory = measured(lambda run=run: run(mix), wish.device)
        rows.append([who, f"{seconds:.2f}", f"{wish.seconds / seconds:.1f}", memory])
    told = [*bag.take_notes(), f"batch 0 would be {best.windows} here; {jobs} calls at a time"]
    return "\n".join([table(["file", "wall s", "x real time", "peak MB"], rows), "", *told])


def load_model(repo: Path, wish: argparse.Namespace, **windows: Any) -> Bag:
    return load(
        wish.model, repo=repo, trust_checkpoint=True, device=wish.device, backend="torch",
        precision=wish.precision, **windows,
    )  # fmt: skip


def separate(mix: Samples, bag: Bag, jobs: int, batch: int) -> None:
    settings = Settings(overlap=OVERLAP, shifts=0)
    with Processor(settings, bag=bag, jobs=jobs, batch=batch) as processor:
        processor.prepare(RATE, len(mix), mix.shape[1])
        for start in range(0, len(mix), RATE):
            processor.feed(mix[start : start + RATE])
        processor.flush()


def run_demucs(mix: Samples, network: torch.nn.Module, device: str) -> None:
    tensor = torch.from_numpy(mix.T.copy())[None]
    ours = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(True)  # as it is where stemstream is not
    apply_model(network, tensor, device=device, shifts=0, overlap=OVERLAP)
    torch.backends.mha.set_fastpath_enabled(ours)


def live(repo: Path, wish: argparse.Namespace) -> str:
    """Return the table of single windows: how long each took, and the delay that follows."""
    rows = []
    for length in wish.lengths:
        bag = load_model(repo, wish, window=length, exact_window=True)
        (member,) = bag.members
        assert member is not None
        separator = member.separator
        window = next(noise_blocks(separator.window_frames))[np.newaxis]
        window = np.resize(window, (1, separator.window_frames, bag.channels))
        taken: list[float] = []

        def run(separator=separator, window=window, taken=taken) -> None:
            for _ in range(wish.windows):
                began = time.perf_counter()
                separator(window)
                taken.append(time.perf_counter() - began)

        separator(window)
        _, memory = measured(run, wish.device)
        p50, p99 = np.percentile(taken, [50, 99])
        delay = wish.hop + wish.lookahead + p99
        cells = [f"{1000 * value:.1f}" for value in (p50, p99, delay)]
        rows.append([f"{length:g} s", *cells, memory, "; ".join(bag.take_notes())])
    return table(["live window", "p50 ms", "p99 ms", "delay ms", "peak MB", ""], rows)


def measured(run: Callable[[], None], device: str) -> tuple[float, str]:
    """Return the seconds that a run takes, and the most memory, in MB, that the device counts."""
    on_cuda = device.startswith("cuda")
    if on_cuda:
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
    began = time.perf_counter()
    run()
    if on_cuda:
        torch.cuda.synchronize(device)
    seconds = time.perf_counter() - began
    return seconds, f"{torch.cuda.max_memory_allocated(device) / 1e6:.0f}" if on_cuda else "-"


def _arguments() -> argparse.Namespace:
    arguments = parser(__doc__)
    arguments.add_argument("--device", default="cuda")
    arguments.add_argument("--model", choices=MODELS, default="full")
    arguments.add_argument("--precision", choices=get_args(Precision), default="float32")
    arguments.add_argument("--seconds", type=float, default=240.0)
    arguments.add_argument("--batches", type=int, nargs="+", default=[1, 2, 4, 8])
    arguments.add_argument("--jobs", type=int, help="calls at a time; default: what suits it best")
    arguments.add_argument("--lengths", type=float, nargs="+", default=[7.8, 4.0, 2.0])
    arguments.add_argument("--windows", type=int, default=200)
    arguments.add_argument("--hop", type=float, default=0.05)
    arguments.add_argument("--lookahead", type=float, default=0.1)
    return arguments.parse_args()


if __name__ == "__main__":
    main()
