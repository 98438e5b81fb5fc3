"""The first use of a streaming model on a machine: two processes compile its code.

A process compiles one function at a time. So a process of its own compiles the network, while this
one compiles what the sound devices call, as it is imported::

    with compiling_beside(settings, tell):
        import streamer.live.session

Later starts find both kept, and nothing is done here.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from streamer.cache import processors
from streamer.children import deaf, end_with_parent
from streamer.models.loading import load
from streamer.models.separator import Streaming
from streamer.models.weights.registry import info, names
from streamer.settings import StreamSettings

_SPAWN: Final = multiprocessing.get_context("spawn")


@contextmanager
def compiling_beside(settings: StreamSettings, tell: Callable[[str], None]) -> Iterator[None]:
    """Have the network's code compiled while the block runs; wait for it at the block's end.

    Nothing is done where the code is kept already or cannot be kept, and for models that it is not
    for. What fails in the other process is compiled, and told, when the model is loaded. Where the
    block fails, that process ends at once. Call it from the main thread.

    Args:
        settings: name the model, and what is to run it.
        tell: is given a sentence for the user where there is something to wait for.
    """
    if not _is_due(settings):
        yield
        return
    tell("compiling code for this processor, once; it may take a minute")
    process = _start(settings.model) if processors() > 1 else None
    try:
        yield
        if process is not None:
            process.join()
    finally:
        if process is not None:
            process.kill()


def _is_due(settings: StreamSettings) -> bool:
    name = settings.model
    if settings.repo is not None or name not in names() or not info(name).streaming:
        return False
    # numba takes a third of a second to import, which only these models need
    from ringbuffer.compiled import is_to_come
    from streamer.models.backends.native_network import give_hop

    native = settings.backend in ("auto", "native") and settings.device in ("auto", "cpu")
    return native and is_to_come(give_hop)


def _start(name: str) -> multiprocessing.process.BaseProcess | None:
    """Start the other process, which never sees a Ctrl-C: this one ends it. None: it cannot be."""
    process = _SPAWN.Process(target=_compile, args=(name,), daemon=True)
    try:
        with deaf():
            process.start()
    except OSError:  # of memory or processes there are no more
        return None
    return process


def _compile(name: str) -> None:
    end_with_parent()
    with suppress(Exception):  # the other will meet it, too, and tell it
        for member in load(name, device="cpu", backend="native").members:
            if member is not None and isinstance(member.separator, Streaming):
                member.separator.begin()
