"""The page's server over a `Desk`, and the browsers that come to it, without a browser."""

from __future__ import annotations

import http.client
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from live.support.desk import DRUMMER, STEMS, Desk
from websockets.sync.client import ClientConnection, connect

from streamer.live.control.page.roles import Role
from streamer.live.control.page.server import PageServer, PageSettings
from streamer.live.mixing.routes import Place
from streamer.live.mixing.state import Listener
from streamer.live.status import DeviceStatus, Meter, State, Status, Waves

SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "control.schema.json").read_text())
TO_PAGE = Draft202012Validator({**SCHEMA, "$ref": "#/$defs/ToPage"})
FROM_PAGE = Draft202012Validator({**SCHEMA, "$ref": "#/$defs/FromPage"})
LISTENERS = {"drummer": DRUMMER, "singer": Listener(Place((5, 6)), me="vocals")}
TIMEOUT_SECONDS = 20.0


class Band(Desk):
    """A run whose meters move with each look."""

    def __init__(
        self,
        folder: Path,
        stems: Sequence[str] = STEMS,
        listeners: Mapping[str, Listener] = LISTENERS,
    ) -> None:
        super().__init__(folder, stems=stems, listeners=dict(listeners), song=True)
        self.told: list[str] = []
        self.devices = (DeviceStatus("PA", "ALSA", input_channels=2, output_channels=8),)
        self.clips = [0] * 8
        self._looks = itertools.count()

    def status(self) -> Status:
        look = next(self._looks)
        peak = look % 100 / 100
        return Status(
            state=State.RUNNING,
            samplerate=48000,
            devices=self.devices,
            stems={stem: Meter(peak, peak / 2) for stem in self.mixer.stems},
            outputs={"PA": [Meter(0.5, 0.1)] * 8},
            clips={"PA": self.clips},
            waves=Waves(look, dict.fromkeys(self.mixer.stems, (peak, peak))),
        )


class Browser:
    """One client of the WebSocket, whose messages are held to the schema."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.state = self.until("state")

    def until(self, kind: str, wanted: Callable[[Any], bool] = lambda _: True) -> Any:
        """Return the next message of a kind that is wanted."""
        while True:
            message = json.loads(self.socket.recv(TIMEOUT_SECONDS))
            TO_PAGE.validate(message)
            if message["type"] == kind and wanted(message):
                return message

    def send(self, **message: object) -> None:
        FROM_PAGE.validate(message)
        self.socket.send(json.dumps(message))

    def set(self, address: str, value: object) -> None:
        self.send(set=address, value=value)

    def value(self, address: str) -> Any:
        """Wait for news of a value; return it, and who set it."""
        news = self.until("values", lambda one: address in one["values"])
        return news["values"][address], news["by"].get(address)

    def refused(self, text: str | bytes) -> str:
        """Send anything; return the sentence of the refusal."""
        self.socket.send(text)
        return str(self.until("error")["sentence"])


class Page:
    """A server that runs, and what comes to it."""

    def __init__(self, band: Band, server: PageServer) -> None:
        self.band, self.server = band, server
        self.port = server.address[1]
        self.host = "127.0.0.1"

    def get(
        self, path: str, headers: Mapping[str, str] = {}, method: str = "GET"
    ) -> tuple[int, Mapping[str, str], str]:
        """Ask for a path as it is; return status, headers and text."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=TIMEOUT_SECONDS)
        try:
            connection.request(method, path, headers=dict(headers))
            answer = connection.getresponse()
            return answer.status, dict(answer.headers), answer.read().decode()
        finally:
            connection.close()

    def cookie(self, role: Role) -> dict[str, str]:
        """Open a page's address as a browser does; return what it keeps, as a header."""
        status, headers, _ = self.get(self.server.links.url(role).partition(f":{self.port}")[2])
        assert status == 200
        return {"Cookie": headers["set-cookie"].partition(";")[0]}

    def socket(self, path: str = "/control", **options: Any) -> ClientConnection:
        options = {"origin": f"http://{self.host}:{self.port}", **options}
        return connect(f"ws://{self.host}:{self.port}{path}", **options)

    @contextmanager
    def browser(self, path: str = "/control", **options: Any) -> Iterator[Browser]:
        with self.socket(path, **options) as socket:
            yield Browser(socket)


@contextmanager
def page(folder: Path, **settings: Any) -> Iterator[Page]:
    """Serve the page of a band."""
    band = Band(folder)
    with PageServer(
        band, band.status, replace(PageSettings(port=0), **settings), band.told.append
    ) as server:
        yield Page(band, server)
    assert not band.told, band.told
