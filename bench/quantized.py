"""What htdemucs_quantized costs in sound, and what it brings in speed and memory.

    python bench/quantized.py [SONG...] [--seconds 30] [--rounds 3] [--threads 2]

Separates real music with a network as it is and with its quantized copy, and prints for each song
the deviation in dB over all stems (10 log10 of the energy of the float32 stems over the energy of
the difference; more is nearer) and the ratio of the times, taken in alternating runs. Two networks:
the embedded one, which is trained, and one of htdemucs's full size with random weights, for which
only speed and memory mean something. Without a song it takes the one of the package stempeg.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from importlib import resources
from importlib.util import find_spec
from pathlib import Path

import av
import numpy as np
import torch
from demucs.htdemucs import HTDemucs

from streamer.audio import Samples
from streamer.models.checkpoint import Network, read_network
from streamer.models.quantized import is_bfloat16_faster, quantize, weight_bytes
from streamer.models.torch_separator import TorchSeparator

CPU = torch.device("cpu")
SAMPLERATE = 44100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("songs", nargs="*", type=Path)
    parser.add_argument("--seconds", type=float, default=30.0, help="of each song, from its start")
    parser.add_argument("--rounds", type=int, default=3, help="alternating runs for the times")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    wish = parser.parse_args()
    torch.set_num_threads(wish.threads)
    songs = {path.name: decode(path, wish.seconds) for path in wish.songs or [default_song()]}
    print(
        f"torch {torch.__version__}, {torch.get_num_threads()} threads, "
        f"bfloat16 faster than float32: {'yes' if is_bfloat16_faster(CPU) else 'no'}"
    )
    print("| network | song | computed in | deviation | weights in memory | speed |")
    print("| --- | --- | --- | --- | --- | --- |")
    networks = {"htdemucs_mini": embedded(), "full size, random": random_full_size()}
    for name, network in networks.items():
        reference = TorchSeparator(network, CPU)
        for compute in (True, False):
            small = copy.deepcopy(network)
            other = TorchSeparator(small, CPU, autocast=quantize(small, CPU, compute=compute))
            sizes = f"{weight_bytes(network) / 1e6:.1f} -> {weight_bytes(small) / 1e6:.1f} MB"
            for song, audio in songs.items():
                decibels, speed = compare(reference, other, audio, wish.rounds)
                kind = "bfloat16" if compute else "float32"
                row = (name, song, kind, f"{decibels:.1f} dB", sizes, f"{speed:.2f}x")
                print("|", " | ".join(row), "|", flush=True)


def compare(
    reference: TorchSeparator, other: TorchSeparator, audio: Samples, rounds: int
) -> tuple[float, float]:
    """Return the deviation in dB over the whole song, and how many times as fast ``other`` is."""
    signal = noise = 0.0
    windows = cut(audio, reference.window_frames)
    for window in windows:
        expected, got = reference(window), other(window)
        signal += float(np.sum(np.square(expected, dtype=np.float64)))
        noise += float(np.sum(np.square(expected - got, dtype=np.float64)))
    ratios = [seconds(reference, windows[0]) / seconds(other, windows[0]) for _ in range(rounds)]
    return 10 * float(np.log10(signal / noise)), statistics.median(ratios)


def seconds(separator: TorchSeparator, window: Samples) -> float:
    start = time.perf_counter()
    separator(window)
    return time.perf_counter() - start


def cut(audio: Samples, frames: int) -> list[Samples]:
    """Cut ``(frames, channels)`` into windows side by side, the last one filled with zeros."""
    count = -(-len(audio) // frames)
    padded = np.zeros((count * frames, audio.shape[1]), np.float32)
    padded[: len(audio)] = audio
    return list(padded.reshape(count, 1, frames, audio.shape[1]))


def decode(path: Path, most_seconds: float) -> Samples:
    """Return the first audio stream of a file as ``(frames, 2)`` at the model's rate."""
    resampler = av.AudioResampler(format="fltp", layout="stereo", rate=SAMPLERATE)
    blocks: list[Samples] = []
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            blocks += [out.to_ndarray().T for out in resampler.resample(frame)]
            if sum(map(len, blocks)) >= most_seconds * SAMPLERATE:
                break
    return np.concatenate(blocks)[: int(most_seconds * SAMPLERATE)]


def default_song() -> Path:
    # Found without importing it, since its import wants ffmpeg.
    found = find_spec("stempeg")
    if found is None or not found.submodule_search_locations:
        raise SystemExit("give a song, or `pip install stempeg`, which carries one")
    return next((Path(found.submodule_search_locations[0]) / "data").glob("*.stem.mp4"))


def embedded() -> Network:
    folder = Path(str(resources.files("streamer.models.embedded")))
    return read_network(folder / "htdemucs_mini.safetensors")


def random_full_size() -> Network:
    torch.manual_seed(0)
    return HTDemucs(
        sources=["drums", "bass", "other", "vocals"],
        dconv_mode=3,
        t_layers=5,
        bottom_channels=512,
        segment=7.8,
    ).eval()


if __name__ == "__main__":
    main()
