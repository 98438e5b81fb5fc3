"""Which backend `--backend auto` takes here: measured now, and kept.

::

    for choice in fix("htdemucs_mini"):
        choice.backend, choice.window_seconds
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from streamer import models
from streamer.benchmark.inference import models_here
from streamer.models.choice import Choices
from streamer.models.networks.random import RANDOM
from streamer.settings import Precision

PRECISIONS: Final[tuple[Precision, ...]] = ("float32", "bfloat16")


@dataclass(frozen=True)
class FixedChoice:
    """What runs a model: for files or ``live``, with numbers of this precision at least.

    ``window_seconds`` has the best time of a window for each backend that was tried, by name. It is
    empty if there was only one.
    """

    model: str
    live: bool
    precision: Precision
    backend: str
    window_seconds: Mapping[str, float]


def models_to_fix() -> list[str]:
    """Return the models whose networks are here; those of a row are there by themselves."""
    return [
        name
        for name in models_here()
        if name != RANDOM and models.info(name).origin != "none" and not models.info(name).bag.first
    ]


def fix(model: str, choices: Choices | None = None) -> Iterator[FixedChoice]:
    """Measure what runs a model fastest on the CPU, and keep it whatever its age.

    ``choices`` measures (default: one that fixes, on disk).

    Raises:
        StemstreamError: the model is unknown, its weights cannot be had, or it failed.
    """
    choices = choices or Choices(fixing=True)
    for live in (False, True):
        for precision in PRECISIONS:
            before = len(choices.measured)
            bag = models.load(
                model, device="cpu", exact_window=live, precision=precision, choices=choices
            )
            for one in choices.measured[before:]:
                yield FixedChoice(model, live, precision, one.fastest, one.window_seconds)
            if len(choices.measured) == before:  # there was no choice
                yield FixedChoice(model, live, precision, bag.backend, {})
