"""Numbers for Prometheus, over HTTP, while something runs.

::

    with MetricsServer(collector, port=9464) as server:     # http://127.0.0.1:9464/metrics
        ...

Nothing is gathered between two scrapes. The server has its own thread, and one for each scrape;
what runs waits for none of them.
"""

from __future__ import annotations

import io
import socket
import time
from socketserver import TCPServer, ThreadingMixIn
from threading import Semaphore, Thread
from typing import Any, Final, Self, TextIO
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.registry import Collector

from streamer.live.listen import LOOPBACK, Address, find_address, refusal, shown

STALLED_SECONDS: Final = 10.0
POLL_SECONDS: Final = 0.1
MOST_CONNECTIONS: Final = 16


class MetricsServer:
    """Serves the metrics until it is closed; ``port`` 0 takes a free one.

    Raises:
        SettingsError: the port is taken, or the host is not an address of this machine.
    """

    def __init__(self, collector: Collector, *, port: int, host: str = LOOPBACK) -> None:
        registry = CollectorRegistry()
        registry.register(collector)
        family, address = find_address("metrics", host, port, socket.SOCK_STREAM)
        try:
            self._server = _Server(family, address)
        except OSError as error:
            raise refusal("metrics", host, port, error) from None
        self._server.set_app(make_wsgi_app(registry))
        self.port: int = self._server.server_port
        self.url = f"http://{shown(host, self.port)}/metrics"
        self._thread = Thread(target=self._server.serve_forever, args=(POLL_SECONDS,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class _Server(ThreadingMixIn, WSGIServer):
    """A thread for each scrape; nothing is printed if a client breaks off."""

    daemon_threads = True

    def __init__(self, family: socket.AddressFamily, address: Address) -> None:
        self.address_family = family
        self._room = Semaphore(MOST_CONNECTIONS)
        super().__init__(address, _Handler)

    def get_request(self) -> Any:
        """Take a connection; wait a little if no file descriptor is left.

        Without the wait the same connection would be offered again at once.
        """
        try:
            return super().get_request()
        except OSError:
            time.sleep(POLL_SECONDS)
            raise

    def verify_request(self, request: object, client_address: object) -> bool:  # noqa: ARG002
        """Return whether there is room: connections must not eat the descriptors of the run."""
        return self._room.acquire(blocking=False)

    def process_request(self, request: Any, client_address: object) -> None:
        """Answer in a thread of its own."""
        try:
            super().process_request(request, client_address)
        except BaseException:  # no thread could be started
            self._room.release()
            raise

    def process_request_thread(self, request: Any, client_address: object) -> None:
        """Answer, and make room."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def server_bind(self) -> None:
        """Take the address; the base would look its name up, which may take the network's time."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing."""


class _Handler(WSGIRequestHandler):
    timeout = STALLED_SECONDS

    def get_stderr(self) -> TextIO:
        """Return where errors are shown: nowhere, the scraper gets status 500."""
        return io.StringIO()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base's name)
        """Say nothing."""
