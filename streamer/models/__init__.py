"""Models: a list of them, their weights, and one call that makes a model ready.

::

    info, names              the facts about a model (`weights.registry`)
    available, download      where its weights are now; fetch them (`weights.places`)
    resolve_auto             the model that the name ``auto`` means now
    load                     name -> `Bag`, ready to separate (`loading`, asked by a `request`)
    Bag, Member, Separator   what the engine sees (`separator`)

    weights/                 where weights are
    networks/                what networks are
    backends/                what runs them
    choice, calibration      which backend is fastest here, and how long a window takes
    members                  the networks of one model, put on a backend

Importing this package imports neither torch nor demucs's networks; `load` does, once it needs them.
"""

from __future__ import annotations

from streamer.models.loading import load
from streamer.models.separator import Bag, Member, Separator
from streamer.models.weights.places import Available, available, download, resolve_auto
from streamer.models.weights.registry import ModelInfo, info, names

__all__ = [
    "Available",
    "Bag",
    "Member",
    "ModelInfo",
    "Separator",
    "available",
    "download",
    "info",
    "load",
    "names",
    "resolve_auto",
]
