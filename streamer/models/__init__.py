"""Models: which there are, where their weights are, and one call that makes them ready.

::

    info, names          what is known about a model (`registry`)
    available, download  where its weights are now, and fetching them (`weights`)
    resolve_auto         what the model name ``auto`` means here and now
    load                 name -> `Bag`, ready to separate (`loading`)
    Bag, Member, Separator   what the engine sees (`separator`)

Inside: `networks` reads weights, `backends` chooses what runs them, `torch_separator` and
`openvino_separator` do, over `hybrid` (HTDemucs in pieces), and `torch_stream` and
`openvino_stream` (`causal`, along a stream); `masked` and `causal` are networks of ours;
`calibration` times windows.

Importing this package imports neither torch nor demucs's networks; `load` does, once it needs them.
"""

from __future__ import annotations

from streamer.models.loading import load
from streamer.models.registry import ModelInfo, info, names
from streamer.models.separator import Bag, Member, Separator
from streamer.models.weights import Available, available, download, resolve_auto

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
