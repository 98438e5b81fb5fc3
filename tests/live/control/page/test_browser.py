"""The page in a real browser: fingers and keys, screen readers, and its way back.

There is no sound here: the band's run is a double.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("uvicorn", reason="the page is an extra: pip install 'stemstream[page]'")
pytest.importorskip("playwright", reason="Playwright is in the extra dev")

from live.support.chromium import button, is_on, level, says
from live.support.crowd import DRY, EIGHT, REST, SIX, Crowd, Stage
from live.support.page import Band
from live.support.page import page as band_page
from playwright.sync_api import expect

from streamer.live.control.page.clients import Clients
from streamer.live.control.page.server import PageServer, PageSettings
from streamer.live.mixing import taper
from streamer.live.mixing.routes import Place
from streamer.live.mixing.state import Listener, Scene

pytestmark = pytest.mark.usefixtures("at_rest")

LOST = "Connection lost. What you see is old."


@pytest.fixture(scope="module")
def other(stage: Stage) -> Any:
    """The desk that is asked what it shows."""
    return stage.open()


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
    for sign, code, master in (("-", "Digit6", "minus 2"), ("+", "Digit1", "minus 1")):
        # minus and plus of a French and of a Czech keyboard
        words = {"key": sign, "code": code, "bubbles": True, "cancelable": True}
        desk.evaluate(
            "words => document.body.dispatchEvent(new KeyboardEvent('keydown', words))", words
        )
        says(level(other, "master"), f"{master} decibel{'' if master.endswith('1') else 's'}")
    is_on(other, "mute drums")
    desk.keyboard.press("?")
    expect(desk.get_by_role("dialog")).to_be_visible()
    desk.keyboard.press("Escape")


def test_keys_of_a_fader_reach_the_strip_that_was_used_last(desk: Any, other: Any) -> None:
    says(level(desk, "bass"), "0 decibels")  # what another test has moved is back
    button(desk, "mute bass").click()
    told = {"PageDown": "minus 6 decibels", "0": "0 decibels", "PageUp": "plus 6 decibels"}
    for key, said in (told | {"Home": "off"}).items():
        desk.keyboard.press(key)
        says(level(other, "bass"), said)
    # far below a decibel is little, but six are six
    low = {"0": "0", "PageDown": "minus 6", "ArrowDown": "minus 7"}
    for key, said in low.items():
        desk.keyboard.press(key)
        says(level(other, "bass"), f"{said} decibels")
    for decibels in (13, 19, 25, 31, 37):
        desk.keyboard.press("PageDown")
        says(level(other, "bass"), f"minus {decibels} decibels")
    for key, decibels in (("ArrowUp", 34), ("PageUp", 28), ("Home", None)):
        desk.keyboard.press(key)
        says(level(other, "bass"), f"minus {decibels} decibels" if decibels else "off")


def test_a_listeners_name_may_be_typed_with_any_sign(stage: Stage, tmp_path: Path) -> None:
    band = Band(tmp_path, SIX, {"R&B +50%": Listener(Place((1,)))})
    with PageServer(band, band.status, PageSettings(port=0)) as server:
        page = stage.chromium.open(f"http://127.0.0.1:{server.address[1]}/mix/R&B +50%25")
        says(level(page, "drums"), "0 decibels")
        page.context.close()
    stage.chromium.wrong.clear()


# screen readers -------------------------------------------------------------------------------


def controls(page: Any) -> dict[tuple[str, str], dict[str, Any]]:
    """What a screen reader reaches, in its order: by role and name, what it tells of each."""
    tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    nodes = {one["nodeId"]: one for one in tree}
    found = {}

    def walk(node: dict[str, Any]) -> None:
        role, name = (node.get(one, {}).get("value") for one in ("role", "name"))
        if role in ("button", "slider", "link", "textbox", "checkbox"):
            told = {one["name"]: one["value"].get("value") for one in node.get("properties", ())}
            assert (role, name) not in found
            found[role, name] = told
        for child in node.get("childIds", ()):
            walk(nodes[child])

    walk(tree[0])
    return found


def strip(stem: str) -> list[tuple[str, str]]:
    return [
        ("slider", f"{stem} pan"),
        ("button", f"solo {stem}"),
        ("button", f"mute {stem}"),
        ("slider", f"{stem} level"),
        ("button", f"{stem}: no clip"),
    ]


def test_a_screen_reader_and_the_tab_key_find_each_control_in_the_order_of_the_page(
    stage: Stage, desk: Any
) -> None:
    expected = [
        ("button", "keys and gestures"),
        ("button", DRY),
        *(one for stem in SIX for one in strip(stem)),
        ("slider", "master level"),
        ("button", "master: no clip"),
        ("button", f"recall {REST}"),
        ("button", f"rename {REST}"),
        ("textbox", "name of the new scene"),
        ("button", "Save as"),
        *(
            one
            for name in ("The whole desk", *EIGHT)
            for one in (("link", name), ("button", f"QR code for {name}"))
        ),
        ("button", "PA: no clip"),
        ("button", "learn MIDI"),
        ("button", "play"),
        ("slider", "place in the song"),
        ("button", "record"),
    ]
    assert list(controls(desk)) == expected
    desk.locator("h1").click()  # from here on the tab key goes
    for role, name in expected:
        if name.endswith(": no clip"):
            continue  # nothing to press
        desk.keyboard.press("Tab")
        focused = desk.get_by_role(role, name=name, exact=True)
        expect(focused).to_be_focused()
        ring = focused.locator("xpath=..").locator(".cap") if role == "slider" else focused
        assert ring.evaluate("node => getComputedStyle(node).outlineStyle") == "solid", name


def test_a_screen_reader_is_told_of_values_switches_and_the_parts_of_a_page(
    stage: Stage, desk: Any, mix: Any
) -> None:
    level(desk, "drums").press("ArrowUp")
    button(desk, "mute drums").click()
    stage.band.mixer.set_pan("bass", -0.3)
    says(desk.get_by_role("slider", name="bass pan"), "30 percent left")
    told = controls(desk)
    says(level(desk, "drums"), "plus 1 decibel")
    fader = told["slider", "drums level"]
    assert (fader["orientation"], fader["valuemin"], fader["valuemax"]) == ("vertical", -90, 12)
    assert told["button", "mute drums"]["pressed"] == "true"
    assert told["button", "solo drums"]["pressed"] == "false"
    assert told["button", "drums: no clip"]["disabled"]
    assert all(name for _, name in controls(mix))
    for page in (desk, mix):
        for landmark in ("banner", "main"):
            expect(page.get_by_role(landmark)).to_have_count(1)
        for stem in SIX:
            expect(page.get_by_role("group", name=stem, exact=True)).to_have_count(1)
            expect(page.get_by_role("heading", name=stem, exact=True)).to_have_count(1)
    for region in ("Faders", "Scenes", "Pages for others", "Devices", "Recording and song"):
        expect(desk.get_by_role("region", name=region)).to_have_count(1)


# the way back ----------------------------------------------------------------------------------


def hears(page: Any) -> Callable[[], list[str]]:
    """Keep what a screen reader is told of the connection from now on."""
    page.evaluate(
        """() => {
          const status = document.querySelector(".unseen[role=status]");
          window.told = [];
          const tell = () => told.push(status.textContent);
          new MutationObserver(tell).observe(status, { childList: true });
        }"""
    )
    return lambda: page.evaluate("told")


def test_a_page_that_slept_says_so_and_comes_back_with_what_holds(
    stage: Stage, tmp_path: Path
) -> None:
    with band_page(tmp_path) as served:
        page = stage.chromium.open(f"http://{served.host}:{served.port}/")
        page.clock.install()
        page.reload()
        says(level(page, "drums"), "0 decibels")
        told = hears(page)
        page.context.set_offline(True)
        page.clock.fast_forward(600_000)  # the lid was closed for ten minutes
        expect(page.locator(".notice")).to_contain_text(LOST)
        served.band.mixer.set_gain("drums", -12)
        says(level(page, "drums"), "0 decibels")
        page.context.set_offline(False)
        says(level(page, "drums"), "minus 12 decibels")
        expect(page.locator(".notice")).to_be_hidden()
        assert told() == [f"{LOST} It is tried again until it works.", "Connected."]
        page.context.close()
    stage.chromium.wrong.clear()  # a browser reports each try that failed


def test_a_page_comes_back_to_a_program_that_was_started_again_with_another_model(
    stage: Stage, tmp_path: Path
) -> None:
    with band_page(tmp_path / "first") as served:
        page = stage.chromium.open(f"http://{served.host}:{served.port}/")
        told = hears(page)
        box = level(page, "bass").bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 10)
        page.mouse.down()  # and the fader is never let go: it is another one then
        served.server.close()
        expect(page.locator(".notice")).to_contain_text(LOST)
        expect(page.locator("body")).to_have_attribute("data-connection", "lost")
        again = Crowd(tmp_path / "again")
        again.mixer.set_gain("guitar", -12)
        again.mixer.set_gain("bass", -20)
        with PageServer(again, again.status, PageSettings(port=served.port)):
            says(level(page, "guitar"), "minus 12 decibels")
            says(level(page, "bass"), "minus 20 decibels")
            expect(page.locator(".notice")).to_be_hidden()
            assert told() == [f"{LOST} It is tried again until it works.", "Connected."]
            page.wait_for_function(
                """() => [...document.querySelectorAll(".wave")].every((one) => one.getContext("2d")
                  .getImageData(0, 0, one.width, one.height).data.some(Boolean))"""
            )
            page.context.close()
    stage.chromium.wrong.clear()


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


def test_a_page_whose_listener_is_gone_says_so_and_comes_back_with_the_listener(
    stage: Stage, tmp_path: Path
) -> None:
    with band_page(tmp_path) as served:
        mixer = served.band.mixer
        before = mixer.scene()
        page = stage.chromium.open(f"http://{served.host}:{served.port}/mix/singer")
        says(level(page, "drums"), "0 decibels")
        mixer.apply(Scene())
        expect(page.locator(".notice")).to_contain_text("has no mix of that name")
        mixer.apply(before)
        expect(page.locator(".notice")).to_be_hidden()
        page.context.close()
    stage.chromium.wrong.clear()


def test_one_page_too_many_is_told_why_and_comes_when_another_has_left(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with band_page(tmp_path) as served:
        page = stage.chromium.open(f"http://{served.host}:{served.port}/")
        with served.browser(ping_interval=None):
            monkeypatch.setitem(Clients.join.__globals__, "MOST_CLIENTS", 1)
            page.reload()
            expect(page.locator(".notice")).to_contain_text("Too many pages are open")
        says(level(page, "drums"), "0 decibels")
        page.context.close()
    stage.chromium.wrong.clear()


def test_the_name_of_a_scene_is_not_lost_while_there_is_no_connection(
    stage: Stage, tmp_path: Path
) -> None:
    with band_page(tmp_path) as served:
        page = stage.chromium.open(f"http://{served.host}:{served.port}/")
        name = page.get_by_role("textbox", name="name of the new scene")
        name.fill("verse")
        served.server.close()
        expect(page.locator(".notice")).to_contain_text(LOST)
        name.press("Enter")
        expect(name).to_have_value("verse")
        again = PageSettings(port=served.port)
        with PageServer(served.band, served.band.status, again):
            expect(page.locator(".notice")).to_be_hidden()
            name.press("Enter")
            expect(name).to_have_value("")
            expect(button(page, "recall verse")).to_be_visible()
            page.context.close()
    stage.chromium.wrong.clear()


def test_the_masters_clip_lamp_is_that_of_its_own_two_channels(
    stage: Stage, tmp_path: Path
) -> None:
    with band_page(tmp_path) as served:
        page = stage.chromium.open(f"http://{served.host}:{served.port}/")
        served.band.clips = [0, 0, 0, 0, 5, 5, 0, 0]  # in a listener's ears
        expect(button(page, "PA: clipped, press to forget")).to_be_visible()
        expect(button(page, "master: no clip")).to_have_count(1)
        served.band.clips = [0, 1, 0, 0, 5, 5, 0, 0]
        expect(button(page, "master: clipped, press to forget")).to_be_visible()
        page.context.close()


def test_the_desk_leads_to_no_viewers_page_which_would_be_a_desk_there(
    stage: Stage, tmp_path: Path
) -> None:
    with band_page(tmp_path, token="the-desks-token") as served:
        page = stage.chromium.open(f"http://{served.host}:{served.port}/?token=the-desks-token")
        expect(page.get_by_role("link", name="The whole desk")).to_have_count(1)
        expect(page.get_by_role("link", name="To watch only")).to_have_count(0)
        expect(button(page, "QR code for To watch only")).to_have_count(1)
        named = {"viewer": Listener(Place((5,))), "desk": Listener(Place((6,)))}
        served.band.mixer.apply(Scene(listeners=named))
        for name in named:
            expect(page.get_by_role("link", name=name, exact=True)).to_have_count(1)
        expect(page.get_by_role("link", name="The whole desk")).to_have_count(1)
        page.context.close()
