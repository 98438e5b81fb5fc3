"""What a live window costs where only its newest stretch is computed, and what that changes.

    python bench/live_windows.py [--windows 1 2 4 7.8] [--hop 0.25] [--lookahead 0.1] [--rounds 10]

The embedded model in torch, float32, on the song of the package stempeg. Of each window a hop and a
crossfade of 0.05 s are wanted, which end a lookahead before its end. "Whole" computes all of it and
cuts; "part" computes the decoder for what is wanted alone (`streamer.models.networks.hybrid`).
Turn about; medians; the deviation is told for the wanted stems. Less than a minute.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
from whole_process import introduction, markdown, parser

from streamer import models
from streamer.audio import Samples
from streamer.files import demo_song, open_source
from streamer.models.choice import BACKENDS
from streamer.models.separator import WHOLE, Separator

CROSSFADE_SECONDS = 0.05


def main() -> None:
    wish = _arguments()
    print(introduction("stemstream", "torch"))
    with open_source(str(demo_song())) as source:
        song = np.concatenate(list(source.blocks()))
    rows = [_row(song, seconds, wish) for seconds in wish.windows]
    head = ["window", "whole", "part", "times as fast", "deviation"]
    print("\n" + markdown(head, rows))


def _row(song: Samples, seconds: float, wish: argparse.Namespace) -> list[str]:
    bag = models.load(
        "htdemucs_mini", device="cpu", window=seconds, exact_window=True, backend=BACKENDS[0]
    )
    (member,) = bag.members
    assert member is not None
    separator = member.separator
    window = np.resize(song, (1, separator.window_frames, separator.channels))
    end = separator.window_frames - round((wish.lookahead - CROSSFADE_SECONDS) * bag.samplerate)
    wanted = slice(end - round((wish.hop + CROSSFADE_SECONDS) * bag.samplerate), end)
    taken: dict[str, list[float]] = {"whole": [], "part": []}
    for _ in range(wish.rounds):
        whole = _timed(separator, window, WHOLE, taken["whole"])[:, :, wanted]
        part = _timed(separator, window, wanted, taken["part"])
    error = float(np.sum((part - whole) ** 2))
    deviation = 10 * np.log10(max(error, 1e-30) / float(np.sum(whole**2)))
    medians = [statistics.median(some) for some in taken.values()]
    return [
        f"{seconds:g} s",
        *(f"{1000 * median:.0f} ms" for median in medians),
        f"{medians[0] / medians[1]:.2f}",
        f"{deviation:.0f} dB",
    ]


def _timed(separator: Separator, window: Samples, kept: slice, taken: list[float]) -> Samples:
    began = time.perf_counter()
    stems = separator(window, kept)
    taken.append(time.perf_counter() - began)
    return stems


def _arguments() -> argparse.Namespace:
    arguments = parser(__doc__)
    arguments.add_argument("--windows", type=float, nargs="+", default=[1.0, 2.0, 4.0, 7.8])
    arguments.add_argument("--hop", type=float, default=0.25)
    arguments.add_argument("--lookahead", type=float, default=0.1)
    arguments.add_argument("--rounds", type=int, default=10)
    return arguments.parse_args()


if __name__ == "__main__":
    main()
