"""The model of a command."""

from __future__ import annotations

from streamer.models.separator import Bag
from streamer.processor import load_bag
from streamer.settings import StreamSettings


def load_model(settings: StreamSettings, *, ahead: bool = False) -> Bag:
    """Load the model; ``ahead``: it will be used, so what it loads later is begun now."""
    bag = load_bag(settings)
    if ahead:
        bag.load_ahead()
    return bag
