"""What a hop costs a streaming model on one core, and whether it drifts in a long stream.

    python bench/stream.py [--model rt_mini] [--backend torch] [--minutes 10] [--seconds 5]

The song is the six seconds of MUSDB18 of the package stempeg. First a stream of it goes through the
model in hops of 1, 2, 4, 8 and 64 of its own, on one thread, for some seconds each; medians; the
deviation is that of the stems from those of calls of 64 hops. Then the song is repeated for
minutes, in calls of 64 hops, and the SDR of each minute's last round is told: a state that grows or
fades would show. A minute or two.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time

import numpy as np
import torch
from whole_process import introduction, markdown, parser

from streamer import models
from streamer.audio import Samples
from streamer.files import demo_song, open_source, reference_stems
from streamer.models.choice import Backend
from streamer.models.separator import Streaming, along

HOPS = (1, 2, 4, 8, 64)


def main() -> None:
    wish = _arguments()
    torch.set_num_threads(1)
    (member,) = models.load(
        wish.model, device="cpu", threads=1, backend=Backend(wish.backend, "float32")
    ).members
    assert member is not None
    separator = member.separator
    assert isinstance(separator, Streaming), f"{wish.model} is no streaming model"
    print(introduction("stemstream", "torch"))
    with open_source(str(demo_song())) as source:
        song = np.concatenate(list(source.blocks()))
    print("\n" + markdown(["frames", "ms", "RTF", "deviation"], _costs(separator, song, wish)))
    print("\n" + markdown(["minute", *separator.names], _minutes(separator, song, wish)))


def _costs(separator: Streaming, song: Samples, wish: argparse.Namespace) -> list[list[str]]:
    stride = separator.stride
    taken: dict[int, list[float]] = {hops: [] for hops in HOPS}
    deviations = {}
    whole = along(separator.begin(), stride, song)
    for hops in HOPS:
        size = hops * stride.hop_frames
        stream = separator.begin()
        starts = range(0, len(song) - size + 1, size)
        stems = np.concatenate([stream(song[at : at + size]) for at in starts], axis=1)
        given = stems[:, stride.lookahead_frames :]
        error = np.sum((given - whole[:, : given.shape[1]]) ** 2)
        deviations[hops] = 10 * np.log10(max(float(error), 1e-30) / float(np.sum(whole**2)))
        stream, until = separator.begin(), time.perf_counter() + wish.seconds
        for at in itertools.cycle(starts):
            began = time.perf_counter()
            stream(song[at : at + size])
            taken[hops].append(time.perf_counter() - began)
            if began > until:
                break
    rows = []
    for hops, times in taken.items():
        frames, median = hops * stride.hop_frames, statistics.median(times)
        rtf = median * separator.samplerate / frames
        rows.append(
            [str(frames), f"{1000 * median:.2f}", f"{rtf:.3f}", f"{deviations[hops]:.0f} dB"]
        )
    return rows


def _minutes(separator: Streaming, song: Samples, wish: argparse.Namespace) -> list[list[str]]:
    truth = reference_stems(demo_song())
    assert truth is not None
    size = HOPS[-1] * separator.stride.hop_frames
    whole = song[: len(song) // size * size]
    stems = np.stack(
        [np.concatenate(list(truth[name].blocks()))[: len(whole)] for name in separator.names]
    )
    lag = separator.stride.lookahead_frames
    lagging = np.roll(stems, lag, axis=1)  # of a song that goes round
    stream, rows = separator.begin(), []
    rounds_a_minute = round(60 * separator.samplerate / len(whole))
    for minute in range(1, wish.minutes + 1):
        for _ in range(rounds_a_minute):
            parts = [stream(whole[at : at + size]) for at in range(0, len(whole), size)]
        error = np.sum((np.concatenate(parts, axis=1) - lagging) ** 2, axis=(1, 2))
        ratios = 10 * np.log10(np.sum(lagging**2, axis=(1, 2)) / error)
        rows.append([str(minute), *(f"{ratio:.2f}" for ratio in ratios)])
    return rows


def _arguments() -> argparse.Namespace:
    wish = parser(__doc__)
    wish.add_argument("--model", default="rt_mini")
    wish.add_argument("--backend", default="torch", choices=["torch", "openvino"])
    wish.add_argument("--minutes", type=int, default=10)
    wish.add_argument("--seconds", type=float, default=5.0)
    return wish.parse_args()


if __name__ == "__main__":
    main()
