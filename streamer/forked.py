"""Refuse to run a model in a process that was forked after a model was loaded.

Such a process lacks the threads of its parent, and the libraries would wait for them for ever.
"""

from __future__ import annotations

import os

from streamer.errors import ModelError

_loaded_in: int | None = None


def note_model() -> None:
    """Remember that this process has loaded a model."""
    global _loaded_in
    refuse_forked()
    _loaded_in = os.getpid()


def refuse_forked() -> None:
    """Make sure that this process was not forked after a model was loaded.

    Raises:
        ModelError: it was.
    """
    if _loaded_in not in (None, os.getpid()):
        raise ModelError(
            "this process was forked after a model was loaded, and would wait for threads that it "
            "has not; start it by multiprocessing.get_context('spawn')"
        )
