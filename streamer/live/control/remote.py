"""OSC over UDP: one thread that takes commands and sends news to subscribers.

::

    with Remote(session, session.status, port=9000) as remote: ...

`commands` says what the addresses mean. `subscriptions` says what subscribers get, every
`PUSH_SECONDS`. Nothing here waits for a client: a flood is read at a limited rate, and a subscriber
that does not read misses messages.
"""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections.abc import Callable
from typing import Final

from streamer.live.control.controls import Controls
from streamer.live.control.subscriptions import OscSubscriptions, RemoteCounters, Sender
from streamer.live.listen import LOOPBACK, bound
from streamer.live.service import Service
from streamer.live.status import Status

PUSH_SECONDS: Final = 0.1
_LARGEST_BYTES: Final = 8192  # of a datagram; the rest is cut off
_BURST: Final = 64  # datagrams read before the others have their turn
_PAUSE_SECONDS: Final = 0.005


class Remote(Service):
    """An OSC server on a thread of its own.

    Args:
        controls: the controls that messages change; called from the thread.
        status: returns the status of the run; called from the thread.
        port: UDP port; 0 takes a free one.
        host: address to listen on; by default only this machine can reach it.
        tell: called with a sentence the first time something is wrong.

    Raises:
        SettingsError: it cannot listen there.
    """

    def __init__(
        self,
        controls: Controls,
        status: Callable[[], Status],
        *,
        port: int,
        host: str = LOOPBACK,
        tell: Callable[[str], None] = lambda _sentence: None,
    ) -> None:
        self._subscriptions = OscSubscriptions(controls, status, tell)
        self._socket = bound("osc", host, port, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._stop, self._stopped = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="stemstream-osc", daemon=True)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that it listens on."""
        host, port = self._socket.getsockname()[:2]
        return str(host), int(port)

    @property
    def running(self) -> bool:
        """Whether it listens."""
        return self._thread.is_alive()

    @property
    def counters(self) -> RemoteCounters:
        """What has arrived since the start."""
        return self._subscriptions.counters

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def close(self) -> None:
        """Stop listening; a thread that has not begun never will."""
        self._stop.close()
        # a /quit may lead here on the thread itself
        if self._thread.ident is None:
            self._socket.close()
            self._stopped.close()
        elif self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        push_at = time.monotonic()
        with self._socket, self._stopped, selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_READ)
            selector.register(self._stopped, selectors.EVENT_READ)
            while True:
                ready = selector.select(max(push_at - time.monotonic(), 0))
                if any(key.fileobj is self._stopped for key, _ in ready):
                    return
                if ready:
                    self._receive()
                now = time.monotonic()
                if now >= push_at:
                    push_at = now + PUSH_SECONDS
                    self._push(now)

    def _receive(self) -> None:
        for _ in range(_BURST):
            try:
                datagram, sender = self._socket.recvfrom(_LARGEST_BYTES)
            except OSError:
                break
            for answer in self._subscriptions.receive(datagram, sender, time.monotonic()):
                self._send(answer, sender)
        time.sleep(_PAUSE_SECONDS)

    def _push(self, now_seconds: float) -> None:
        for datagram, subscriber in self._subscriptions.push(now_seconds):
            if not self._send(datagram, subscriber):
                self._subscriptions.missed(datagram, subscriber)

    def _send(self, datagram: bytes, target: Sender) -> bool:
        """Return whether the system took it: what gets lost on its way nobody knows."""
        try:
            self._socket.sendto(datagram, target)
        except OSError:  # the network is away, or its buffer full
            return False
        return True
