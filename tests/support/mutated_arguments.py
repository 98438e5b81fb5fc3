"""Write small checkpoints with absurd arguments, and load each: a program for `test_arguments`.

It takes the number of mutations, and prints how many were refused and how many ran. What is no
`StemstreamError` ends it, and so does memory beyond `ROOM_BYTES`.
"""

from __future__ import annotations

import inspect
import json
import random
import resource
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from support.doubles import SOURCES, tiny

from streamer.errors import StemstreamError
from streamer.models import load
from streamer.models.networks.causal import CausalBandSplit
from streamer.models.networks.checkpoint import Network, metadata_of
from streamer.models.networks.masked import MaskedHTDemucs

ROOM_BYTES = 1_500_000_000
ABSURD = [
    *(-1, 0, 1, 2, 3, 7, 16, 100, 10**4, 10**9, 10**30, -(10**9)),
    *(0.5, 1.5, 1e-300, 1e300, float("nan"), float("inf"), -float("inf")),
    *(None, True, False, "", "sin", "cape", "scaled", "x" * 1000, "../..", "\0"),
    *([], [1], [0.5, 0.7], [[]], ["a"], ["a", "a"], ["../a"], {}, {"a": 1}),
    {"_type": "fraction", "numerator": 1, "denominator": 0},
    {"_type": "fraction", "numerator": 10**30, "denominator": 3},
    {"_type": "fraction", "numerator": "x"},
    {"_type": "fraction"},
]


def networks() -> list[Network]:
    masked = {"cac": False, "wiener_iters": -1, "end_iters": -1, "t_layers": 1, "t_heads": 2}
    size = {"channels": 8, "bottom_channels": 16, "nfft": 1024, "samplerate": 8000, "segment": 0.5}
    return [
        *(tiny(kind) for kind in ("htdemucs", "hdemucs", "demucs")),
        MaskedHTDemucs(SOURCES, **masked, **size),
        CausalBandSplit(SOURCES, width=8, depth=1, hidden=4),
    ]


def run(path: Path) -> str:
    try:
        bag = load(str(path), device="cpu", backend="torch", window=0.4)
        (member,) = bag.members
        assert member is not None
        frames = member.separator.input_frames(member.separator.window_frames)
        member.separator(np.zeros((1, min(frames, 48_000), bag.channels), np.float32) + 0.1)
    except StemstreamError as error:
        told = str(error)
        return "refused" if told.isprintable() and len(told) < 1000 else f"not a sentence: {told!a}"
    return "ran"


def main(mutations: int) -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    draw = random.Random(0)
    outcomes: Counter[str] = Counter()
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + ROOM_BYTES,) * 2)
    candidates = networks()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "mutated.safetensors")
        for _ in range(mutations):
            network = draw.choice(candidates)
            names = list(inspect.signature(type(network)).parameters)
            metadata = metadata_of(network)
            args, kwargs = json.loads(metadata["args"]), json.loads(metadata["kwargs"])
            if args:
                kwargs["sources"] = args[0]
            for name in draw.sample(names, draw.choice([1, 1, 1, 2, 3])):
                kwargs[name] = draw.choice(ABSURD)
            metadata |= {"args": "[]", "kwargs": json.dumps(kwargs)}
            tensors = {name: one.contiguous() for name, one in network.state_dict().items()}
            save_file(tensors, path, metadata)
            try:
                outcomes[run(path)] += 1
            except Exception as error:
                raise AssertionError(metadata["klass"], metadata["kwargs"][:2000]) from error
    sys.stdout.write(json.dumps(outcomes))


if __name__ == "__main__":
    main(int(sys.argv[1]))
