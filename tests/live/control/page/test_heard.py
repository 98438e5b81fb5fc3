"""The page in a real browser: what is done there is heard, and what it shows is true.

The run behind it plays a song on virtual time: the sound goes on when a test says so. Where one
desk acts, another one is asked: what that shows has been through the server.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

pytest.importorskip("uvicorn", reason="the page is an extra: pip install 'stemstream[page]'")
pytest.importorskip("playwright", reason="Playwright is in the extra dev")

from live.support.chromium import (
    DESKTOP,
    PHONE,
    Chromium,
    button,
    chromium,
    is_on,
    is_told,
    level,
    says,
)
from live.support.midi import NANO, Ports
from live.support.staging import Run, card, running, tone
from playwright.sync_api import expect
from support.doubles import RATE

from streamer.audio import Samples
from streamer.live.control.midi.link import find_controller, open_link
from streamer.live.control.page.roles import VIEWER
from streamer.live.control.page.server import PageServer, PageSettings
from streamer.live.session import LEAD_SECONDS
from streamer.live.status import Reason, Status
from streamer.testing.virtual_device import VirtualDevice

BLOCK_FRAMES = 128
RAMP_FRAMES = RATE * 5 // 1000
OFF = -np.inf
SILENT_DB = -120.0
SOFT_AFTER_SECONDS, SONG_SECONDS = 40, 60
DRY = "dry: the mix as it came in"
ONLY_SHOWS = "This page only shows the mix"
ALL = 1 + 1 / 2 + 1 / 4 + 1 / 8
"""What a listener hears of a song: drums, bass, other, vocals."""
SCENE = """
[routes]
front = ["drums=1,2", "bass=3,4"]

[listeners.drummer]
output = "5,6"
"""


class Stage:
    """A run, its page, and the browser that looks at it."""

    def __init__(self, run: Run, device: VirtualDevice, server: PageServer, one: Chromium) -> None:
        self.run, self.device, self.server, self.chromium = run, device, server, one
        self.rest = self.levels()

    def open(self, path: str = "/", size: tuple[int, int] = DESKTOP, **more: object) -> Any:
        return self.chromium.open(f"http://127.0.0.1:{self.server.address[1]}{path}", size, **more)

    def levels(self) -> Samples:
        """The level of the first six channels in dB, from one block after now on."""
        start = self.device.heard_frames + BLOCK_FRAMES + RAMP_FRAMES
        self.run.advance(0.1)
        power = (self.device.heard(start, RATE // 20)[:, :6] ** 2).mean(0)
        return 10 * np.log10(power + 10 ** (SILENT_DB / 10))

    def hears(self, *change: float) -> None:
        """Each channel has changed by so much, in dB, since all controls were at rest."""
        expected = np.maximum(self.rest + change, SILENT_DB)
        np.testing.assert_allclose(self.levels(), expected, atol=0.05)

    def drummer_hears(self, share: float) -> None:
        """The drummer has this share of the usual level, and nobody else hears of it."""
        change = db(share)
        self.hears(0, 0, 0, 0, change, change)

    def wait(self) -> None:
        """Let time go on until a pause, or a new place in the song, is heard."""
        self.run.advance(self.run.session.delay_seconds + LEAD_SECONDS + 0.1)


def db(factor: float) -> float:
    return 20 * float(np.log10(factor)) if factor else OFF


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("band")


@pytest.fixture(scope="module")
def stage(folder: Path) -> Iterator[Stage]:
    scene, song = folder / "verse.toml", folder / "song.wav"
    scene.write_text(SCENE)
    sound = tone(SONG_SECONDS)
    sound[SOFT_AFTER_SECONDS * RATE :] /= 2
    soundfile.write(song, sound, RATE, subtype="FLOAT")
    device = card(sound)
    told = {"input": str(song), "scene": scene, "takes": folder / "takes"}
    with chromium() as one, running([device], blocksize=BLOCK_FRAMES, **told) as run:
        run.advance(1.0)
        server = PageServer(run.session, run.session.status, PageSettings(port=0))
        server.start()
        found = Stage(run, device, server, one)
        yield found
        found.server.close()


@pytest.fixture(scope="module")
def desk(stage: Stage) -> Any:
    """The desk that is acted on."""
    return stage.open()


@pytest.fixture(scope="module")
def other(stage: Stage) -> Any:
    """The desk that is asked what it shows."""
    return stage.open()


@pytest.fixture(scope="module")
def mix(stage: Stage) -> Any:
    """The drummer's page, on a phone."""
    return stage.open("/mix/drummer", PHONE, has_touch=True)


@pytest.fixture(autouse=True)
def begin_and_end(stage: Stage) -> Iterator[None]:
    """Every control is at rest before a test, and no page has complained after it."""
    stage.run.session.scenes.recall("verse")
    stage.run.session.mixer.set_dry(False)
    yield
    assert stage.chromium.wrong == []


def test_every_control_of_the_desk_is_heard_within_a_block(
    stage: Stage, desk: Any, other: Any
) -> None:
    def press(name: str, key: str, shown: str) -> None:
        desk.get_by_role("slider", name=name).press(key)
        says(other.get_by_role("slider", name=name), shown)

    def click(name: str, on: bool = True) -> None:
        button(desk, name).click()
        is_on(other, name, on)

    press("drums level", "PageDown", "minus 6 decibels")
    stage.hears(-6, -6, 0, 0, 0, 0)
    press("master level", "ArrowDown", "minus 1 decibel")
    stage.hears(-7, -7, -1, -1, -1, -1)
    press("drums level", "Home", "off")
    stage.hears(OFF, OFF, -1, -1, -1, -1)
    press("drums level", "0", "0 decibels")
    press("master level", "0", "0 decibels")
    press("drums pan", "End", "100 percent right")
    stage.hears(OFF, 0, 0, 0, 0, 0)
    press("drums pan", "PageDown", "50 percent right")
    stage.hears(db(0.5), 0, 0, 0, 0, 0)
    press("drums pan", "0", "centre")
    click("solo bass")
    stage.hears(OFF, OFF, 0, 0, 0, 0)
    click("mute bass")
    stage.hears(OFF, OFF, OFF, OFF, 0, 0)
    click(DRY)
    stage.hears(0, 0, db(2), db(2), db(1 / ALL), db(1 / ALL))
    click(DRY, False)
    click("mute bass", False)
    click("solo bass", False)
    stage.hears(0, 0, 0, 0, 0, 0)


def test_every_control_of_a_listener_is_heard_by_that_listener_alone(
    stage: Stage, mix: Any
) -> None:
    same = stage.open("/mix/drummer", PHONE)
    level(mix, "bass").press("PageDown")
    says(level(same, "bass"), "minus 6 decibels")
    stage.drummer_hears((ALL - (1 - 10**-0.3) / 2) / ALL)
    level(mix, "bass").press("0")
    says(level(same, "bass"), "0 decibels")
    button(mix, "I am drums").tap()
    is_on(same, "I am drums")
    for number in (1, 2, 3):
        button(mix, "more me").tap()
        expect(same.locator("output")).to_have_text(f"+{number}.0dB")
    stage.drummer_hears((ALL - 1 + 10**0.15) / ALL)
    level(mix, "everything").press("PageDown")
    says(level(same, "everything"), "minus 6 decibels")
    stage.drummer_hears(10**-0.3 * (ALL - 1 + 10**0.15) / ALL)
    for stem in ("drums", "bass", "other", "vocals"):
        button(mix, f"mute {stem}").tap()
        is_on(same, f"mute {stem}")
    stage.drummer_hears(0)
    same.context.close()


def said(desk: Any, other: Any) -> None:
    """Wait until all that a page has said so far has arrived: its messages come in order."""
    for on in (True, False):
        button(desk, "mute vocals").click()
        is_on(other, "mute vocals", on)


def test_a_song_is_paused_and_goes_on_where_a_page_says(
    stage: Stage, desk: Any, other: Any
) -> None:
    place = desk.get_by_role("slider", name="place in the song")
    shown = other.get_by_role("slider", name="place in the song")
    button(desk, "play").click()
    is_on(other, "play", False)
    stage.wait()
    stage.hears(OFF, OFF, OFF, OFF, OFF, OFF)
    travel = desk.locator(".seek .travel").bounding_box()
    y = travel["y"] + travel["height"] / 2
    desk.mouse.click(travel["x"] + 45.5 / SONG_SECONDS * travel["width"], y)
    expect(desk.locator(".place")).to_have_text("0:45")  # at once
    says(place, "0 minutes 45 seconds of 1 minute 0 seconds")
    said(desk, other)
    stage.wait()
    says(shown, "0 minutes 45 seconds of 1 minute 0 seconds")
    button(desk, "play").click()
    is_on(other, "play")
    stage.wait()
    stage.hears(*[db(0.5)] * 6)
    place.press("Home")
    said(desk, other)
    stage.wait()
    stage.hears(0, 0, 0, 0, 0, 0)
    says(shown, "0 minutes 0 seconds of 1 minute 0 seconds")


def test_the_end_of_the_seek_bar_is_not_the_end_of_the_run(
    stage: Stage, desk: Any, other: Any
) -> None:
    place = desk.get_by_role("slider", name="place in the song")
    place.press("End")
    says(place, "0 minutes 59 seconds of 1 minute 0 seconds")
    said(desk, other)
    stage.wait()
    assert stage.run.session.status().reason is Reason.NONE
    place.press("Home")
    said(desk, other)
    stage.wait()


def test_a_new_place_is_shown_until_it_is_heard_where_the_delay_is_long(
    stage: Stage, folder: Path
) -> None:
    song = str(folder / "song.wav")
    with running([card(tone(SONG_SECONDS))], blocksize=BLOCK_FRAMES, input=song) as run:
        run.advance(1.0)

        def status() -> Status:
            return replace(run.session.status(), delay_seconds=3.0)

        server = PageServer(run.session, status, PageSettings(port=0))
        server.start()
        page = stage.chromium.open(f"http://127.0.0.1:{server.address[1]}/", DESKTOP)
        place = page.get_by_role("slider", name="place in the song")
        place.press("PageUp")
        for _ in range(8):  # the old place is heard meanwhile
            page.wait_for_timeout(300)
            run.advance(0.02)
            says(place, "0 minutes 30 seconds of 1 minute 0 seconds")
        page.context.close()
        server.close()


def test_a_take_is_begun_and_ended_and_its_length_is_shown(
    stage: Stage, desk: Any, other: Any, folder: Path
) -> None:
    button(desk, "record").click()
    is_on(other, "record")
    stage.run.advance(1.5)
    expect(other.locator(".take-time")).to_have_text("0:01")
    expect(other.get_by_text("left on the disk")).to_be_visible()
    button(desk, "record").click()
    is_on(other, "record", False)
    stage.run.advance(0.5)
    expect(other.locator(".take-time")).to_be_empty()
    assert soundfile.info(folder / "takes" / "take-001" / "drums.wav").duration > 1


def test_scenes_are_saved_renamed_and_recalled_by_name_and_no_name_is_a_path(
    desk: Any, other: Any, folder: Path
) -> None:
    level(desk, "bass").press("PageDown")
    name = desk.get_by_label("name of the new scene")
    name.fill("refrain")
    button(desk, "Save as").click()
    button(desk, "rename refrain").click()
    desk.get_by_label("new name of refrain").fill("chorus")
    desk.keyboard.press("Enter")
    expect(button(desk, "recall chorus")).to_be_focused()  # it went along
    button(other, "recall verse").click()
    says(level(desk, "bass"), "0 decibels")
    button(other, "recall chorus").click()
    says(level(desk, "bass"), "minus 6 decibels")
    expect(button(desk, "recall chorus")).to_have_attribute("aria-current", "true")
    name.fill("../outside")
    name.press("Enter")
    is_told(desk, "../outside")
    assert {one.name for one in folder.glob("*.toml")} == {"verse.toml", "chorus.toml"}


def test_a_viewer_sees_all_and_changes_nothing_and_is_told_so(stage: Stage, desk: Any) -> None:
    session = stage.run.session
    settings = PageSettings(port=0, token="a-token-of-the-desk")
    with PageServer(session, session.status, settings) as server:
        viewer = stage.chromium.open(server.links.url(VIEWER))
        expect(viewer.get_by_text("view only")).to_be_visible()
        before = session.mixer.state
        tries = [
            lambda: level(viewer, "drums").press("PageDown"),
            lambda: level(viewer, "drums").locator("..").click(),
            lambda: viewer.get_by_role("slider", name="place in the song").press("PageUp"),
            lambda: viewer.keyboard.press("d"),
            *(
                lambda name=name: button(viewer, name).click(force=True)
                for name in ("mute drums", "solo drums", DRY, "record", "play", "recall verse")
            ),
        ]
        for attempt in tries:
            attempt()
            is_told(viewer, ONLY_SHOWS)
            viewer.get_by_text(ONLY_SHOWS).click()  # away with it
        for none in ("Save as", "rename verse", "learn MIDI", "QR code for The whole desk"):
            expect(button(viewer, none)).to_have_count(0)
        answer = viewer.evaluate(
            """() => new Promise((done) => {
              const socket = new WebSocket(`ws://${location.host}/control`);
              socket.onopen = () => socket.send('{"set": "/dry", "value": 1}');
              socket.onmessage = ({data}) => {
                const message = JSON.parse(data);
                if (message.type === "error") done(message.sentence);
              };
            })"""
        )
        assert answer.startswith("a viewer's page has no /dry")
        assert (session.mixer.state, session.recorder.on) == (before, False)
        level(desk, "bass").press("PageDown")
        says(level(viewer, "bass"), "minus 6 decibels")
        says(level(viewer, "drums"), "0 decibels")
        viewer.context.close()


def test_a_midi_control_is_learned_from_the_page(
    stage: Stage, desk: Any, other: Any, tmp_path: Path
) -> None:
    session, ports, file = stage.run.session, Ports(NANO), tmp_path / "map.toml"
    button(desk, "learn MIDI").click()
    button(desk, "mute vocals").click()
    is_told(desk, "there is no MIDI controller")
    found = find_controller("nano", file, ports)
    link = open_link(session, session.status, found, tell=lambda _: None)
    session.learn_with(link.learn)
    (controller,) = ports.opened

    def move(*messages: tuple[int, int, int]) -> None:
        button(desk, "mute bass").click()  # when that is through, what went before it is, too
        expect(button(other, "mute bass")).to_have_attribute(
            "aria-pressed", button(desk, "mute bass").get_attribute("aria-pressed")
        )
        controller.waiting = [bytes(one) for one in messages]
        link.step(0.0)

    button(desk, "learn MIDI").click()
    level(desk, "vocals").locator("..").click()
    is_on(desk, "learn MIDI", False)
    move((0xB0, 2, 40), (0xB0, 2, 44), (0xB0, 2, 127), (0xB0, 2, 0))
    says(level(other, "vocals"), "off")
    button(desk, "mute vocals").focus()
    desk.keyboard.press("l")
    move((0x90, 3, 127), (0x80, 3, 0), (0x90, 3, 127))
    is_on(other, "mute vocals")
    learned = file.read_text()
    link.close()
    assert "/stem/vocals/gain" in learned
    assert "/stem/vocals/mute" in learned
