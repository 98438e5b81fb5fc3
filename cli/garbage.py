"""When garbage is collected: not while a command is imported, which makes none."""

from __future__ import annotations

import gc


def collect_garbage() -> None:
    """Begin to collect it, which `cli.main` put off; what is there by now stays."""
    gc.freeze()
    gc.enable()
