"""How all plots look: their colours and their style. Needs no matplotlib itself."""

from __future__ import annotations

from typing import Any, Final

INK: Final = "#24292f"
BLUE: Final = "#0969da"
GREEN: Final = "#2da44e"
AMBER: Final = "#bf8700"
RED: Final = "#cf222e"
GREY: Final = "#8c959f"

STYLE: Final[dict[Any, Any]] = {  # the keys' type is a list of all there are
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.grid": True,
    "grid.color": "#d8dee4",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}
