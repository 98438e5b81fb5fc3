"""What the processes that this program starts have in common."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from streamer.children import deaf


@pytest.fixture(autouse=True)
def ctrl_c() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("by_another_thread", [False, True])
def test_what_comes_while_a_process_starts_is_heard_at_the_end(by_another_thread):
    done, over = [], threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()

    def start() -> None:
        with deaf():
            if by_another_thread:
                signal.pthread_kill(thread.ident, signal.SIGINT)
            else:
                os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.2)  # the other thread takes it meanwhile
            done.append(1)

    try:
        with pytest.raises(KeyboardInterrupt):
            start()
    finally:
        over.set()
        thread.join()
    assert done == [1]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_whoever_ignores_a_signal_goes_on_to_do_so():
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as under nohup
    with deaf():
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
