"""What a hop costs a streaming model on one core, and whether it drifts in a long stream.

    python bench/stream.py [--model rt_mini] [--backend torch] [--minutes 10] [--seconds 5]

The song is the six seconds of MUSDB18 of the package stempeg. First a stream of it goes through the
model in hops of 1, 2, 4, 8 and 64 of its own, on one thread, for some seconds each; medians; the
deviation is that of the stems from those of calls of 64 hops. Then each backend gets single hops
at the pace of a live run, between which caches go cold, and then silence as fast as it can: numbers
that are almost 0 would take longer. Then the song is repeated for minutes, in calls of 64 hops, and
the SDR of each minute's last round is told: a state that grows or fades would show. A minute or
two.
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
LIBRARIES = ("torch", "openvino", "native")
SILENT_HOPS = 4000
"""Over a minute until then, in which the memories fade."""


def main() -> None:
    wish = _arguments()
    torch.set_num_threads(1)
    separator = _load(wish.model, wish.backend)
    print(introduction("stemstream", "torch"))
    with open_source(str(demo_song())) as source:
        song = np.concatenate(list(source.blocks()))
    print("\n" + markdown(["frames", "ms", "RTF", "deviation"], _costs(separator, song, wish)))
    columns = ["backend", "p50 ms", "p99 ms", "silence p50 ms", "silence p99 ms"]
    print("\n" + markdown(columns, _paced(song, wish)))
    print("\n" + markdown(["minute", *separator.names], _minutes(separator, song, wish)))


def _load(model: str, library: str) -> Streaming:
    backend = Backend(library, "float32")
    (member,) = models.load(model, device="cpu", threads=1, backend=backend).members
    assert member is not None
    assert isinstance(member.separator, Streaming), f"{model} is no streaming model"
    return member.separator


def _paced(song: Samples, wish: argparse.Namespace) -> list[list[str]]:
    rows = []
    for library in LIBRARIES:
        separator = _load(wish.model, library)
        size, stream = separator.stride.hop_frames, separator.begin()
        starts = itertools.cycle(range(0, len(song) - size + 1, size))
        for at in itertools.islice(starts, 3):  # the first are slow
            stream(song[at : at + size])
        taken, due = [], time.perf_counter()
        for _ in range(round(wish.seconds * separator.samplerate / size)):
            at = next(starts)
            began = time.perf_counter()
            stream(song[at : at + size])
            taken.append(time.perf_counter() - began)
            due += size / separator.samplerate
            time.sleep(max(0.0, due - time.perf_counter()))
        silence, silent = np.zeros((size, separator.channels), np.float32), []
        for _ in range(SILENT_HOPS):
            began = time.perf_counter()
            stream(silence)
            silent.append(time.perf_counter() - began)
        times = [taken, silent[SILENT_HOPS // 2 :]]
        told = [f"{1000 * np.quantile(one, q):.2f}" for one in times for q in (0.5, 0.99)]
        rows.append([library, *told])
    return rows


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
    wish.add_argument("--backend", default="torch", choices=LIBRARIES)
    wish.add_argument("--minutes", type=int, default=10)
    wish.add_argument("--seconds", type=float, default=5.0)
    return wish.parse_args()


if __name__ == "__main__":
    main()
