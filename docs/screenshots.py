"""Photograph the band's page: ``make screenshots`` (needs Chromium, and the demo's song).

``page-desk.png``, ``page-desk-light.png`` and ``page-phone.png`` show a run of `rt_mini` that plays
the song on a virtual sound device. That device waits for a slow machine.
"""

from __future__ import annotations

import io
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

from streamer import LiveSettings, open_session
from streamer.files import demo_song
from streamer.live.control.page.server import PageServer, PageSettings
from streamer.testing.virtual import VirtualBackend
from streamer.testing.virtual_device import VirtualDevice

FOLDER = Path(__file__).parent
DESK, PHONE = (1280, 800), (360, 740)
COLOURS = 96
SONG_SECONDS = 14.0
PACE = 0.5  # of real time
TICK_SECONDS = 0.005
SCENE = """
master_db = -6.0

[routes]
front = ["drums=1,2", "bass=1,2", "other=1,2", "vocals=1,2"]

[stems.drums]
gain_db = -3.0

[stems.other]
gain_db = -4.5
pan = -0.3

[stems.vocals]
gain_db = 2.0

[listeners.drummer]
output = "3,4"
me = "drums"
more_db = 3.0
stems.other = { gain_db = -9.0 }
stems.vocals = { gain_db = -3.0 }

[listeners.singer]
output = "5,6"
me = "vocals"
more_db = 4.0
"""


def photograph(folder: Path) -> None:
    """Play the song for a while, and write the pictures to a folder."""
    card = VirtualDevice("USB Audio", output_channels=6, samplerate=44100)
    backend = VirtualBackend([card])
    with tempfile.TemporaryDirectory() as scenes:
        for name in ("verse", "chorus", "quiet one"):
            (Path(scenes) / f"{name}.toml").write_text(SCENE)
        settings = LiveSettings(
            model="rt_mini", input=str(demo_song()), loop=True, scene=Path(scenes) / "verse.toml"
        )
        with (
            open_session(settings, backend) as session,
            PageServer(session, session.status, PageSettings(port=0)) as server,
            sync_playwright() as playwright,
        ):
            session.start()
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"),
                args=["--no-sandbox"] if os.geteuid() == 0 else [],
            )
            home = f"http://127.0.0.1:{server.address[1]}"
            looks: tuple[tuple[str, str, tuple[int, int], Any], ...] = (
                ("page-desk", "/", DESK, {"color_scheme": "dark"}),
                ("page-desk-light", "/", DESK, {"color_scheme": "light"}),
                ("page-phone", "/mix/drummer", PHONE, {"device_scale_factor": 2}),
            )
            pages = {}
            for name, path, (width, height), more in looks:
                view = {"viewport": {"width": width, "height": height}, "color_scheme": "dark"}
                pages[name] = browser.new_context(**{**view, **more}).new_page()
                pages[name].goto(home + path)
            with _playing(backend):
                while backend.clock() < SONG_SECONDS:
                    time.sleep(TICK_SECONDS)
                for name, page in pages.items():
                    _write(page.screenshot(), folder / f"{name}.png")
            browser.close()


@contextmanager
def _playing(backend: VirtualBackend) -> Iterator[None]:
    """Let the song go on, also while the camera works."""
    began, ended = time.monotonic(), threading.Event()

    def play() -> None:
        while not ended.wait(TICK_SECONDS):
            wanted = (time.monotonic() - began) * PACE
            backend.advance(max(0.0, wanted - backend.clock()))

    thread = threading.Thread(target=play)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _write(png: bytes, path: Path) -> None:
    image = Image.open(io.BytesIO(png)).convert("RGB")
    image.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    photograph(FOLDER)
