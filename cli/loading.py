"""The model of a command, loaded while what else the command needs is still imported."""

from __future__ import annotations

import gc

from streamer.models.separator import Bag
from streamer.processor import load_bag
from streamer.settings import StreamSettings


def load_model(settings: StreamSettings) -> Bag:
    """Load the model; with it most is there that stays, and garbage collection begins."""
    bag = load_bag(settings)
    bag.load_ahead()
    gc.freeze()
    gc.enable()
    return bag
