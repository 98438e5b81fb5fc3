"""A page with as much on it as there may be, over a run that is a double, in Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from live.support.chromium import DESKTOP, Chromium, chromium
from live.support.page import Band
from playwright.sync_api import Page

from streamer.live.control.page.server import PageServer, PageSettings
from streamer.live.mixing.routes import Place
from streamer.live.mixing.state import Listener
from streamer.live.status import Status

SIX = ("drums", "bass", "other", "vocals", "guitar", "the second piano of the left hand")
EIGHT = {
    f"{who}-with-a-long-name": Listener(Place((channel,)))
    for channel, who in enumerate("abcdefgh", start=1)
}
LISTENER = "/mix/a-with-a-long-name"
DRY = "dry: the mix as it came in"
REST = "a scene whose name is as long as a name may be, or nearly so"


class Crowd(Band):
    """Six stems, eight listeners, long names, a song, and a take that is recorded."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, SIX, EIGHT)
        self.scenes.save(REST)

    def rest(self) -> None:
        """Bring every control to where it was in the beginning."""
        self.scenes.recall(REST)
        self.mixer.set_dry(False)
        self.recorder.switch(0)

    def status(self) -> Status:
        return replace(
            super().status(),
            song_seconds=3725.0,
            song_length_seconds=7300.0,
            recording="recording to take-001",
            recording_on=True,
            recording_seconds=75.0,
            recording_left_seconds=4000.0,
            deadline_misses=3,
        )


class Stage:
    """The crowd, its page, and the browser that looks at it."""

    def __init__(self, band: Crowd, home: str, one: Chromium) -> None:
        self.band, self.home, self.chromium = band, home, one

    def open(self, path: str = "/", size: tuple[int, int] = DESKTOP, **more: object) -> Page:
        return self.chromium.open(self.home + path, size, **more)


@contextmanager
def crowded(folder: Path) -> Iterator[Stage]:
    """Serve the page of a crowd, and start the browser."""
    band = Crowd(folder)
    with (
        chromium() as one,
        PageServer(band, band.status, PageSettings(port=0), band.told.append) as server,
    ):
        yield Stage(band, f"http://127.0.0.1:{server.address[1]}", one)
    assert not band.told, band.told
