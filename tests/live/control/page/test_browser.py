"""The page in a real browser: what is done there is heard, and what it shows is true.

The run behind it is on virtual time: the sound goes on when a test says so. Where one desk acts,
another one is asked: what that shows has been through the server.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("uvicorn", reason="the page is an extra: pip install 'stemstream[page]'")
pytest.importorskip("playwright", reason="Playwright is in the extra dev")

from live.support.chromium import DESKTOP, PHONE, TABLET, Chromium, chromium
from live.support.page import page as band_page
from live.support.staging import Run, card, running, tone
from playwright.sync_api import expect
from support.doubles import RATE

from streamer.audio import Samples
from streamer.live.control.page.server import PageServer, PageSettings
from streamer.live.mixing import taper
from streamer.testing.virtual_device import VirtualDevice

STATIC = Path(__file__).parents[4] / "streamer" / "live" / "control" / "page" / "static"
LARGEST_BYTES = 150_000
BLOCK_FRAMES = 128
SILENT_DB = -60
DRY = "dry: the mix as it came in"
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

    def open(self, path: str = "/", size: tuple[int, int] = DESKTOP, **more: object) -> Any:
        return self.chromium.open(f"http://127.0.0.1:{self.server.address[1]}{path}", size, **more)

    def levels(self) -> Samples:
        """The level of each output channel in dB, from one block after now on."""
        # the block that is being filled, its converter, the ramp of a gain
        self.run.advance((2 * BLOCK_FRAMES + 64) / RATE + 0.005)
        start = self.device.heard_frames
        self.run.advance(0.1)
        return 10 * np.log10((self.device.heard(start, RATE // 20) ** 2).mean(0) + 1e-12)

    def are_heard(self, channels: int = 6) -> list[bool]:
        """Whether there is a sound on each of the first channels."""
        return (self.levels()[:channels] > SILENT_DB).tolist()


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    scene = tmp_path_factory.mktemp("scenes") / "verse.toml"
    scene.write_text(SCENE)
    device = card(tone(60))
    with chromium() as one, running([device], scene=scene, blocksize=BLOCK_FRAMES) as run:
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


def level(page: Any, name: str) -> Any:
    return page.get_by_role("slider", name=f"{name} level")


def says(slider: Any, text: str) -> None:
    expect(slider).to_have_attribute("aria-valuetext", text)


def button(page: Any, name: str) -> Any:
    return page.get_by_role("button", name=name, exact=True)


def is_on(page: Any, name: str, on: bool = True) -> None:
    expect(button(page, name)).to_have_attribute("aria-pressed", str(on).lower())


def test_a_fader_is_heard_by_its_decibels_within_a_block(
    stage: Stage, desk: Any, other: Any
) -> None:
    before = stage.levels()
    level(desk, "drums").press("PageDown")
    says(level(other, "drums"), "minus 6 decibels")
    change = stage.levels() - before
    np.testing.assert_allclose(change[:4], [-6, -6, 0, 0], atol=0.05)
    level(desk, "master").press("ArrowDown")
    says(level(other, "master"), "minus 1 decibel")
    change = stage.levels() - before
    np.testing.assert_allclose(change[:4], [-7, -7, -1, -1], atol=0.05)


def test_mute_solo_pan_and_dry_are_heard(stage: Stage, desk: Any, other: Any) -> None:
    button(desk, "mute drums").click()
    is_on(other, "mute drums")
    assert stage.are_heard(4) == [False, False, True, True]
    button(desk, "solo drums").click()
    is_on(other, "solo drums")
    assert stage.are_heard(4) == [False] * 4
    button(desk, DRY).click()
    is_on(other, DRY)
    assert stage.are_heard(4) == [True] * 4
    button(desk, DRY).click()
    button(desk, "mute drums").click()
    is_on(other, "mute drums", False)
    pan = "drums pan"
    desk.get_by_role("slider", name=pan).press("End")
    says(other.get_by_role("slider", name=pan), "100 percent right")
    assert stage.are_heard(4) == [False, True, False, False]


def test_a_listener_changes_what_that_listener_hears_and_nothing_else(
    stage: Stage, mix: Any
) -> None:
    before = stage.levels()
    same = stage.open("/mix/drummer", PHONE)
    button(mix, "I am drums").tap()
    is_on(same, "I am drums")
    for db in (1, 2, 3):
        button(mix, "more me").tap()
        expect(same.locator("output")).to_have_text(f"+{db}.0dB")
    assert stage.levels()[4] > before[4] + 0.5
    level(mix, "everything").press("PageDown")
    says(level(same, "everything"), "minus 6 decibels")
    for stem in ("drums", "bass", "other", "vocals"):
        button(mix, f"mute {stem}").tap()
        is_on(same, f"mute {stem}")
    after = stage.levels()
    assert (after[4:6] < SILENT_DB).all()
    np.testing.assert_allclose(after[:4], before[:4], atol=0.05)
    same.context.close()


def test_a_fader_that_is_held_does_not_move_when_another_moves_it(desk: Any, other: Any) -> None:
    held = level(desk, "bass")
    box = held.bounding_box()
    desk.mouse.move(box["x"] + box["width"] / 2, box["y"] + 10)
    desk.mouse.down()
    level(other, "bass").press("PageDown")
    button(other, "mute vocals").click()
    is_on(desk, "mute vocals")  # so it knows of the fader, too
    says(held, "0 decibels")
    desk.mouse.up()
    says(held, "minus 6 decibels")


def test_a_drag_begins_where_the_fader_is_and_two_taps_bring_it_to_0_db(
    desk: Any, other: Any
) -> None:
    fader = level(desk, "drums")
    box = fader.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] - 20
    desk.mouse.move(x, y)
    desk.mouse.down()
    desk.mouse.move(x, y - 7)  # the first pixels may be a tremble: they move nothing
    desk.mouse.move(x, y - 57)
    desk.mouse.up()
    travel = desk.locator(".fader .travel").first.bounding_box()["height"]
    gain = round(taper.gain_at(taper.place_of(0) + 50 / travel), 1)
    says(level(other, "drums"), f"plus {gain:g} decibels")
    fader.locator("..").dblclick()
    says(level(other, "drums"), "0 decibels")


def test_a_finger_that_scrolls_leaves_a_fader_alone_and_a_slow_one_moves_it_finely(
    mix: Any,
) -> None:
    touch = mix.context.new_cdp_session(mix)

    def drag(stem: str, along: float, across: float, ms: float) -> None:
        box = level(mix, stem).bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        now = time.time()
        for number, share in enumerate(np.linspace(0, 1, 11)):
            touch.send(
                "Input.dispatchTouchEvent",
                {
                    "type": "touchMove" if number else "touchStart",
                    "touchPoints": [{"x": x + share * along, "y": y + share * across}],
                    "timestamp": now + share * ms / 1000,
                },
            )
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    def gain(stem: str) -> float:
        told = level(mix, stem).get_attribute("aria-valuetext").replace("minus ", "-")
        return float(told.split()[0])

    drag("drums", 10, -80, ms=100)
    assert gain("drums") == 0
    drag("drums", -60, 0, ms=60)
    drag("bass", -60, 0, ms=6000)
    assert gain("drums") < 3 * gain("bass") < 0


@pytest.mark.parametrize("size", [PHONE, TABLET, DESKTOP])
def test_nothing_is_wider_than_the_screen_and_thumbs_find_what_they_look_for(
    desk: Any, mix: Any, size: tuple[int, int]
) -> None:
    for page, usual in ((desk, DESKTOP), (mix, PHONE)):
        page.set_viewport_size(dict(zip(("width", "height"), size, strict=True)))
        tabs = page.get_by_role("navigation").get_by_role("button").all()
        for tab in [*tabs[1:], *tabs[:1], None]:
            if tab is not None:
                tab.click()
            assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
            heights = [
                one.bounding_box()["height"]
                for one in page.locator("button:not(.clip):visible").all()
            ]
            assert size != PHONE or min(heights) >= 44
        page.set_viewport_size(dict(zip(("width", "height"), usual, strict=True)))


def test_keys_do_what_they_do_in_the_terminal(desk: Any, other: Any) -> None:
    level(desk, "drums").focus()
    for key in ("ArrowRight", "ArrowUp", "Shift+ArrowUp"):
        desk.keyboard.press(key)
    says(level(other, "bass"), "plus 1.1 decibels")
    names = ("mute bass", "solo bass", "mute drums", "solo drums", DRY)
    for key, name in zip(("m", "s", "1", "Shift+1", "d"), names, strict=True):
        desk.keyboard.press(key)
        is_on(other, name)
    desk.keyboard.press("-")
    says(level(other, "master"), "minus 1 decibel")
    desk.keyboard.press("?")
    expect(desk.get_by_role("dialog")).to_be_visible()
    desk.keyboard.press("Escape")


def test_scenes_record_and_song_act(stage: Stage, tmp_path: Path) -> None:
    with band_page(tmp_path) as served:
        page = stage.chromium.open(f"http://{served.host}:{served.port}/")
        band = served.band
        page.get_by_label("name of the new scene").fill("verse")
        button(page, "Save as").click()
        button(page, "rename verse").click()
        page.get_by_label("new name of verse").fill("chorus")
        page.keyboard.press("Enter")
        level(page, "bass").press("PageDown")
        button(page, "recall chorus").click()
        says(level(page, "bass"), "0 decibels")
        assert list(band.scenes.names) == ["chorus"]
        button(page, "record").click()
        is_on(page, "record")
        button(page, "QR code for drummer").click()
        code = page.get_by_role("img", name="QR code of the page for drummer")
        expect(code).to_have_js_property("complete", True)
        assert code.evaluate("image => image.naturalWidth") > 0
        page.context.close()
        assert band.recorder.on


def test_every_control_has_a_name_for_a_screen_reader(desk: Any, mix: Any) -> None:
    for page in (desk, mix):
        tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
        roles = ("button", "slider", "link", "textbox", "checkbox")
        controls = [node for node in tree if node.get("role", {}).get("value") in roles]
        assert len(controls) > 10
        assert [node for node in controls if not node.get("name", {}).get("value")] == []


def test_the_page_comes_back_by_itself_and_says_so_meanwhile(stage: Stage, other: Any) -> None:
    session, port = stage.run.session, stage.server.address[1]
    stage.server.close()
    expect(other.get_by_role("status").filter(has_text="Connection lost")).to_have_count(1)
    expect(other.locator(".notice")).to_be_visible()
    session.mixer.set_gain("drums", -12)
    stage.server = PageServer(session, session.status, PageSettings(port=port))
    stage.server.start()
    says(level(other, "drums"), "minus 12 decibels")
    expect(other.locator(".notice")).to_be_hidden()
    stage.chromium.wrong.clear()  # a browser reports each try that failed


def test_a_page_that_is_not_let_in_any_more_says_what_to_do(stage: Stage, tmp_path: Path) -> None:
    with band_page(tmp_path, token="the-first-token") as served:
        place = f"http://{served.host}:{served.port}"
        page = stage.chromium.open(f"{place}/?token=the-first-token")
        settings = PageSettings(port=served.port, token="the-second-token")
        served.server.close()
        with PageServer(served.band, served.band.status, settings):
            expect(page.get_by_text("Scan its QR code again").first).to_be_visible()
            page.context.close()
    stage.chromium.wrong.clear()  # a browser reports each try that was refused


def test_the_scale_of_a_fader_is_that_of_all_faders(desk: Any) -> None:
    places = [step / 50 for step in range(51)]
    gains = desk.evaluate(
        "async (places) => places.map((await import('/static/scale.js')).faderDb)", places
    )
    assert gains == pytest.approx([taper.gain_at(place) for place in places])


def test_the_page_is_small_and_asks_nobody_else_and_has_no_code_in_its_markup() -> None:
    files = {one.name: one.read_text() for one in STATIC.iterdir()}
    assert sum(map(len, files.values())) < LARGEST_BYTES
    assert not re.findall(r"<style|style=|\son\w+=|<script(?![^>]*\ssrc=)", files["index.html"])
    foreign = re.compile(r"https?://(?!www\.w3\.org/2000/svg)")
    assert [name for name, text in files.items() if foreign.search(text)] == []
