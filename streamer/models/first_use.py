"""The first use of a streaming model on a machine: two processes compile its code.

A process compiles one function at a time. So a process of its own compiles the network, while this
one compiles what the sound devices call, as it is imported::

    with compiling_beside("rt_mini", tell):
        import streamer.live.session

Later starts find both kept, and nothing is done here.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from streamer.cache import processors
from streamer.models.loading import load
from streamer.models.separator import Streaming
from streamer.models.weights.registry import info, names

_SPAWN: Final = multiprocessing.get_context("spawn")


@contextmanager
def compiling_beside(name: str, tell: Callable[[str], None]) -> Iterator[None]:
    """Have the network's code compiled while the block runs; wait for it at the block's end.

    Nothing is done where the code is kept already, where it cannot be kept, where there is one
    processor, and for a model without a stream. What fails here is compiled, and told, when the
    model is loaded. Where the block fails the other process ends at once.

    Args:
        name: the model.
        tell: is given a sentence for the user where there is something to wait for.
    """
    if not _is_due(name):
        yield
        return
    tell("compiling code for this processor, once; it may take a minute")
    process = _SPAWN.Process(target=_compile, args=(name,), daemon=True)
    process.start()
    try:
        yield
        process.join()
    finally:
        process.kill()


def _is_due(name: str) -> bool:
    if name not in names() or not info(name).streaming or processors() < 2:
        return False
    # numba takes a third of a second to import, which only these models need
    from ringbuffer.compiled import is_to_come
    from streamer.models.backends.native_network import give_hop

    return is_to_come(give_hop)


def _compile(name: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C; the other ends this one
    for member in load(name, backend="native").members:
        if member is not None and isinstance(member.separator, Streaming):
            member.separator.begin()
