"""How the page looks, in a real browser: to eyes, to thumbs, and to who wants it calm."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("uvicorn", reason="the page is an extra: pip install 'stemstream[page]'")
pytest.importorskip("playwright", reason="Playwright is in the extra dev")

from live.support.chromium import DESKTOP, PHONE, TABLET, button, is_on
from live.support.crowd import DRY, LISTENER, Stage

from streamer.live.mixing import taper

pytestmark = pytest.mark.usefixtures("at_rest")

ROOT = Path(__file__).parents[4]
STATIC = ROOT / "streamer" / "live" / "control" / "page" / "static"
CONTRAST = (ROOT / "tests" / "live" / "support" / "contrast.js").read_text()
LARGEST_BYTES = 150_000
TARGET_PX = 44


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_everything_can_be_read_and_seen(stage: Stage, desk: Any, mix: Any, scheme: str) -> None:
    stage.band.mixer.set_mute("drums", True)
    stage.band.mixer.set_solo("bass", True)
    stage.band.recorder.switch(1)
    for page in (desk, mix):
        page.emulate_media(color_scheme=scheme)
    is_on(desk, "mute drums")
    for dry in (True, False):
        stage.band.mixer.set_dry(dry)
        is_on(desk, DRY, dry)
        assert_readable(desk)
    desk.keyboard.press("?")
    assert_readable(desk)
    desk.keyboard.press("Escape")
    button(desk, "learn MIDI").click()  # it tells what to do
    assert_readable(desk)
    button(desk, "learn MIDI").click()
    assert_readable(mix)
    for page in (desk, mix):
        page.emulate_media(color_scheme=None)


def assert_readable(page: Any) -> None:
    found = page.evaluate(CONTRAST)
    assert found["count"] > 20
    assert found["faint"] == []


@pytest.mark.parametrize("size", [PHONE, TABLET, DESKTOP])
def test_nothing_is_wider_than_the_screen_and_thumbs_find_what_they_look_for(
    stage: Stage, size: tuple[int, int]
) -> None:
    for path in ("/", LISTENER):
        page = stage.open(path, size, has_touch=size != DESKTOP)
        tabs = page.get_by_role("navigation").get_by_role("button").all()
        for tab in [*tabs[1:], *tabs[:1], None]:
            if tab is not None and tab.is_visible():
                tab.click()
            assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
            small = page.evaluate(
                """(least) => [...document.querySelectorAll(
                  "button:enabled, a, .slider, input:not([type=range])")]
                  .filter((one) => one.checkVisibility({ visibilityProperty: true }))
                  .map((one) => [one.ariaLabel ?? one.className, one.getBoundingClientRect()])
                  .filter(([, box]) => Math.min(box.width, box.height) < least)
                  .map(([name, box]) => `${name}: ${box.width} x ${box.height}`)""",
                TARGET_PX,
            )
            assert size == DESKTOP or small == []
        page.context.close()


def test_who_wants_less_motion_gets_less(stage: Stage, desk: Any) -> None:
    stage.band.recorder.switch(1)
    is_on(desk, "record")
    moving = "document.getAnimations().length"
    pause = """() => new Promise((done) => {
      let first = 0;
      const stop = window.eachFrame((now) => {
        if (first) { stop(); done(now - first); }
        first = now;
      });
    })"""
    desk.evaluate("async () => Object.assign(window, await import('/static/frames.js'))")
    assert desk.evaluate(moving) == 0
    assert desk.evaluate(pause) >= 200  # milliseconds from picture to picture
    desk.emulate_media(reduced_motion="no-preference")
    assert desk.evaluate(moving) == 1
    desk.emulate_media(reduced_motion="reduce")


def test_the_scale_of_a_fader_is_that_of_all_faders(desk: Any) -> None:
    places = [step / 50 for step in range(51)]
    gains = desk.evaluate(
        "async (places) => places.map((await import('/static/scale.js')).faderDb)", places
    )
    assert gains == pytest.approx([taper.gain_at(place) for place in places])


def test_a_meter_holds_its_peak_then_lets_it_fall_and_its_lamp_stays_lit_until_it_is_pressed(
    desk: Any,
) -> None:
    held = desk.evaluate(
        """async () => {
          const { Ballistics } = await import("/static/meter.js");
          const one = new Ballistics();
          const at = (now) => { one.move(now); return [one.peak, one.held]; };
          one.move(0);
          one.feed(-6, -12, 0);
          at(0);
          one.feed(-60, -60, 50);
          const seen = {};
          for (let now = 10; now <= 4000; now += 10) seen[now] = at(now);
          return [seen[1000], seen[1500], seen[2510], seen[4000]];
        }"""
    )
    fall = 20 / 1.7
    np.testing.assert_allclose(
        held,
        [
            [-6 - 1.0 * fall, -6],
            [-6 - 1.5 * fall, -6],
            [-6 - 2.51 * fall, -6 - 1.01 * fall],
            [-6 - 4.0 * fall, -6 - 2.5 * fall],
        ],
        atol=0.2,
    )
    lamp = desk.evaluate(
        """async () => {
          const { Meter } = await import("/static/meter.js");
          const meter = new Meter("tape");
          const tell = () => meter.lamp.ariaLabel;
          const said = [tell()];
          for (const peak of [0, -30]) { meter.feed([[peak, -12]], 0); said.push(tell()); }
          meter.lamp.click();
          said.push(tell());
          meter.feed([[-30, -40]], 1);
          said.push(tell());
          return said;
        }"""
    )
    lit = "tape: clipped, press to forget"
    assert lamp == ["tape: no clip", lit, lit, "tape: no clip", "tape: no clip"]


def test_a_late_entry_is_seen_where_it_came_and_moves_on(desk: Any) -> None:
    seen = desk.evaluate(
        """async () => {
          const { Wave } = await import("/static/waves.js");
          const wave = new Wave();
          document.body.append(wave.node);
          wave.restyle();
          const filled = (length, value) => Array.from({ length }, (_, at) => value(at));
          const peaks = (count, from, peak) => filled(count, (at) => (at < from ? 0 : peak));
          const lit = (now) => {
            wave.draw(now);
            const { width, height } = wave.node;
            const { data } = wave.node.getContext("2d").getImageData(0, height >> 2, width, 1);
            const found = filled(width, (x) => x).filter((x) => data[4 * x + 3] > 0);
            return [found[0] / width, (found.at(-1) + 1) / width];
          };
          wave.feed(0, 20, peaks(200, 100, 0.5));
          const seen = [lit(200)];
          wave.feed(200, 20, peaks(50, 50));
          seen.push(lit(250));
          wave.forget(); // another run begins at 0 again
          wave.feed(0, 20, peaks(200, 150, 0.5));
          seen.push(lit(200));
          wave.node.remove();
          return seen;
        }"""
    )
    np.testing.assert_allclose(seen, [[0.5, 1], [0.25, 0.75], [0.75, 1]], atol=0.01)


def test_the_page_is_small_and_asks_nobody_else_and_has_no_code_in_its_markup(
    stage: Stage,
) -> None:
    files = [one for one in STATIC.rglob("*") if one.is_file()]
    assert sum(one.stat().st_size for one in files) < LARGEST_BYTES
    page = stage.open()  # what it asks of others is in `wrong`, and so is what its headers forbid
    loaded = page.evaluate(
        "performance.getEntriesByType('resource').map((one) => [one.name, one.encodedBodySize])"
    )
    assert {one.suffix for one in files} >= {".js", ".css", ".svg", ".html"}
    assert len(loaded) >= len([one for one in files if one.suffix in (".js", ".css")])
    assert all(name.startswith(stage.home) for name, _ in loaded)
    assert sum(size for _, size in loaded) < LARGEST_BYTES
    markup = (STATIC / "index.html").read_text()
    assert not re.findall(r"<style|style=|\son\w+=|<script(?![^>]*\ssrc=)", markup)
    refused = page.evaluate(
        """() => {
          const script = document.createElement("script");
          script.textContent = "window.ran = true";
          document.body.append(script);
          return window.ran !== true;
        }"""
    )
    assert refused
    page.context.close()
    stage.chromium.wrong.clear()  # the browser reports the code that it refused


def test_an_older_place_of_a_fader_is_not_sent_after_a_newer_one(desk: Any) -> None:
    sent = desk.evaluate(
        """async () => {
          const { Values } = await import('/static/values.js');
          const sent = [], fader = new Values((_, value) => sent.push(value), () => {});
          fader.allow(['a']);
          fader.set('a', 1);
          fader.set('a', 2); // waits for its turn
          for (const begun = performance.now(); performance.now() < begun + 50; );
          fader.set('a', 3); // and is overtaken: the page was busy
          await new Promise((done) => setTimeout(done, 100));
          return sent;
        }"""
    )
    assert sent == [1, 3]
