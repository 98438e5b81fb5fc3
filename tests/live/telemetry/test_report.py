"""Reports: the verdict, JSON, CSV, and the page as a browser would parse it."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import subprocess
import sys
from collections import Counter
from dataclasses import fields, replace
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from streamer.errors import SettingsError, SinkError
from streamer.live.planning.plan import DelayBudget
from streamer.live.status import Reason, State, Status
from streamer.live.telemetry.latency import LatencyLog, Stage, WindowTimes
from streamer.live.telemetry.report import (
    Event,
    LiveReport,
    Outcome,
    check_report_path,
    judge,
    plain,
    write_report,
)
from streamer.live.telemetry.report_page import HEADLINES, page
from streamer.live.telemetry.report_plots import _without_holes, scale

RATE = 48000
DELAY = 0.3


def log(windows=400, *, off=lambda index: 0.0, inference_seconds=0.1, missed=0):
    """A log of windows, four a second, ``off(index)`` seconds off the announced delay."""
    latency = LatencyLog(RATE, DELAY)
    for index in range(windows):
        adc = index / 4
        ends = [0.005, 0.105, 0.106, 0.107, 0.107 + inference_seconds, 0.11 + inference_seconds]
        dac = None if index < missed else adc + DELAY + off(index)
        stamps = [adc, *(adc + end for end in ends), dac]
        latency.feed(WindowTimes(round(adc * RATE), *stamps))
    return latency


def report(latency=None, *, status=None, **changes):
    """A report of a run that kept its promise, but for the changes."""
    values = {
        "state": State.STOPPED,
        "reason": Reason.ASKED,
        "model": "htdemucs_mini",
        "samplerate": RATE,
        "delay_frames": 13440,
        "delay_seconds": DELAY,
        "rtf": 0.4,
    }
    defaults = {
        "started": datetime(2026, 5, 2, 20, 15, tzinfo=UTC),
        "elapsed_seconds": 100.0,
        "tolerance_seconds": 0.01,
        "promised_delay_seconds": 0.35,
        "hop_seconds": 0.25,
        "planned_parts": {"hop": 0.25, "lookahead": 0.03},
        "settings": {"input": "USB", "blocksize": 480},
    }
    latency = log() if latency is None else latency
    return LiveReport(Status(**(values | (status or {}))), latency, **(defaults | changes))


class TestJudge:
    def test_kept(self):
        verdict = judge(report(log(off=lambda index: 0.004 * (-1) ** index)))
        assert verdict.outcome is Outcome.KEPT
        assert verdict.reasons == (
            "Every frame came out after the announced 300.0 ms, within 4.0 ms; 10.0 ms are "
            "allowed.",
        )

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"xruns": 1}, "1 xrun: "),
            ({"xruns": 3}, "3 xruns: .* --blocksize"),
            ({"dropped_frames": 24000}, r"0.50 s of sound were lost \(24,000 frames\)"),
            ({"deadline_misses": 2}, "2 missed windows: late, skipped or failed; .* --latency"),
            ({"device_losses": 1}, "1 device loss"),
            ({"delay_seconds": 0.36}, r"announced delay, 360.0 ms, is over the promised 350.0 ms"),
        ],
    )
    def test_broken(self, changes, words):
        verdict = judge(report(status=changes))
        assert verdict.outcome is Outcome.BROKEN
        assert len(verdict.reasons) == 1
        assert re.search(words, verdict.reasons[0])

    def test_every_break_is_named(self):
        changes = {"xruns": 1, "dropped_frames": 1, "deadline_misses": 1, "device_losses": 1}
        assert len(judge(report(status=changes)).reasons) == 4

    def test_a_delay_that_wanders_is_broken(self):
        verdict = judge(report(log(off=lambda index: 0.02 * (index > 380))))
        assert verdict.outcome is Outcome.BROKEN
        assert "between +0.0 and +20.0 ms off" in verdict.reasons[0]
        assert judge(report(log(off=lambda index: -0.02))).outcome is Outcome.BROKEN

    def test_a_promise_that_nobody_asked_for_is_not_broken_where_nothing_was_lost(self):
        wanders = log(off=lambda index: 0.02 * (index > 380))
        verdict = judge(report(wanders, promised_delay_seconds=None))
        assert verdict.outcome is Outcome.UNSTEADY
        assert "between +0.0 and +20.0 ms off" in verdict.reasons[0]

    @pytest.mark.parametrize(
        "what", ["deadline_misses", "xruns", "dropped_frames", "device_losses"]
    )
    def test_what_was_missed_breaks_no_promise_that_nobody_asked_for(self, what):
        asked = judge(report(status={what: 2}))
        unasked = judge(report(status={what: 2}, promised_delay_seconds=None))
        assert (asked.outcome, unasked.outcome) == (Outcome.BROKEN, Outcome.INTERRUPTED)
        assert asked.reasons == unasked.reasons

    def test_a_run_that_was_dry_for_over_a_hundredth_of_its_time_kept_nothing(self):
        played = 100 * RATE
        kept = judge(report(status={"played_frames": played, "dry_frames": played // 100}))
        assert kept.outcome is Outcome.KEPT
        dry = judge(report(status={"played_frames": played, "dry_frames": played // 50}))
        assert dry.outcome is Outcome.BROKEN
        assert dry.reasons == ("There were no stems for 2.0% of the time.",)

    def test_a_single_stray_is_narrow(self):
        verdict = judge(report(log(off=lambda index: 0.02 * (index == 7))))
        assert verdict.outcome is Outcome.NARROW
        assert "up to 20.0 ms off" in verdict.reasons[0]

    def test_little_reserve_is_narrow(self):
        assert judge(report(log(inference_seconds=0.19))).outcome is Outcome.KEPT
        verdict = judge(report(log(inference_seconds=0.21)))
        assert verdict.outcome is Outcome.NARROW
        assert "84% of the time between two windows" in verdict.reasons[0]

    def test_a_rung_of_the_ladder_is_narrow(self):
        verdict = judge(report(status={"rung": 2, "rung_name": "fewer shifts"}))
        assert verdict.outcome is Outcome.NARROW
        assert "fewer shifts" in verdict.reasons[0]

    def test_a_delay_that_was_not_announced_for_sure_breaks_nothing(self):
        latency = LatencyLog(RATE, DELAY + 0.05)
        latency.trust(sure=False)
        for second in range(30):
            if second == 10:
                unsure = report(latency)
                assert judge(unsure).outcome is Outcome.UNKNOWN
                assert "not known" in page(unsure)
                latency.announce(DELAY)
                latency.trust(sure=True)
            stamps = (second + part * DELAY / 7 for part in range(8))
            latency.feed(WindowTimes(second * RATE, *stamps))
        assert latency.delay.count == 30
        assert judge(report(latency)).outcome is Outcome.KEPT

    def test_a_promise_is_not_broken_by_rounding(self):
        assert judge(report(promised_delay_seconds=DELAY - 1e-9)).outcome is Outcome.KEPT

    def test_no_promise_and_no_hop_is_fine(self):
        assert judge(report(promised_delay_seconds=None, hop_seconds=None)).outcome is Outcome.KEPT

    def test_nothing_measured(self):
        assert judge(report(LatencyLog(RATE, DELAY))).outcome is Outcome.UNKNOWN


class TestJson:
    def test_the_keys_at_the_top(self, tmp_path):
        write_report(tmp_path / "report.json", report())
        data = json.loads((tmp_path / "report.json").read_text())
        assert list(data)[:8] == [
            "announced_delay_seconds",
            "samplerate",
            "model",
            "xruns",
            "dropped_frames",
            "deadline_misses",
            "rtf",
            "stages",
        ]
        assert data["announced_delay_seconds"] == DELAY
        assert data["samplerate"] == RATE
        assert data["model"] == "htdemucs_mini"
        assert data["rtf"] == 0.4
        assert (data["xruns"], data["dropped_frames"], data["deadline_misses"]) == (0, 0, 0)

    def test_stages_delay_and_timeline(self):
        data = plain(report())
        assert list(data["stages"]) == [stage.value for stage in Stage]
        inference = data["stages"]["inference"]
        names = ["min", "mean", "p50", "p95", "p99", "p99_9", "max"]
        assert list(inference) == ["count", *(f"{name}_seconds" for name in names)]
        assert inference["count"] == 400
        assert inference["p99_9_seconds"] == pytest.approx(0.1)
        means = [stage["mean_seconds"] for stage in data["stages"].values()]
        assert math.fsum(means) == pytest.approx(data["delay"]["mean_seconds"])
        assert data["deviation"]["max_seconds"] == pytest.approx(0, abs=1e-9)
        assert [point["seconds"] for point in data["timeline"]] == list(range(100))
        assert data["timeline"][5]["delay_mean_seconds"] == pytest.approx(DELAY)
        assert data["promise"] == "kept"
        assert data["events"] == []

    def test_what_is_no_number_is_null(self, tmp_path):
        odd = report(
            LatencyLog(RATE, DELAY),
            status={"rtf": math.nan},
            settings={"gain": math.inf},
            events=[Event(math.nan, "?")],
        )
        write_report(tmp_path / "report.json", odd)
        text = (tmp_path / "report.json").read_text()
        data = json.loads(text, parse_constant=lambda name: pytest.fail(name))
        assert data["rtf"] is data["settings"]["gain"] is data["events"][0]["seconds"] is None
        assert data["stages"]["inference"]["p50_seconds"] is None
        assert data["promise"] == "nothing measured"


def test_csv_holds_the_same_but_for_the_timeline(tmp_path):
    one = report(events=[Event(3.5, 'gap, "1 s"'), Event(4.5, "x")], promised_delay_seconds=None)
    write_report(tmp_path / "report.CSV", one)
    rows = list(csv.reader(io.StringIO((tmp_path / "report.CSV").read_text())))
    assert rows[0] == ["name", "value"]
    values = dict(rows[1:])
    assert len(values) == len(rows) - 1
    assert rows[1] == ["announced_delay_seconds", "0.3"]
    assert values["xruns"] == "0"
    assert float(values["stages.inference.p99_seconds"]) == pytest.approx(0.1)
    assert values["promised_delay_seconds"] == ""
    assert values["events.0.text"] == 'gap, "1 s"'
    assert values["events.1.seconds"] == "4.5"
    assert not any(name.startswith("timeline") for name in values)


class Page(HTMLParser):
    """A page's text, its tags, what it refers to, and whether every tag is closed in order."""

    VOID = ("meta", "br", "path", "use")

    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.links, self.open, self.texts = Counter(), [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []
        self.text = " ".join(" ".join(self.texts).split())

    def handle_starttag(self, tag, attributes):
        self.handle_startendtag(tag, attributes)
        if tag not in ("meta",):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags[tag] += 1
        for name, value in attributes:
            if name == "id":
                self.ids.append(value)
            if name in ("src", "href", "xlink:href", "data", "action"):
                self.links.append(value)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """The page of a run that kept its promise."""
    return html(tmp_path_factory.mktemp("kept"), report(events=[Event(3725, "it is back")]))


def html(folder, one):
    write_report(folder / "report.html", one)
    return (folder / "report.html").read_text("utf-8")


NO_PLOTS = LatencyLog(RATE, DELAY)
"""Plots take most of a page's time."""


class TestPage:
    def test_the_verdict_comes_first(self, tmp_path, kept):
        assert "<strong>Promise kept</strong>" in kept
        assert '<div class="verdict kept"' in kept
        assert kept.index('<div class="verdict') < kept.index('<div class="tile')
        assert 'class="tile bad"' not in kept
        broken = html(tmp_path, report(NO_PLOTS, status={"xruns": 1, "device_losses": 2}))
        assert "<strong>Promise broken</strong>" in broken
        assert '<div class="verdict broken"' in broken
        assert broken.count('class="tile bad"') == 2
        assert set(HEADLINES) == set(Outcome)

    @pytest.mark.parametrize("status", [{}, {"deadline_misses": 2}, {"rung": 1}])
    def test_the_headline_names_no_promise_where_none_was_asked(self, tmp_path, status):
        quiet = report(NO_PLOTS if "rung" not in status else None, status=status)
        assert "Promise" in html(tmp_path, quiet) or judge(quiet).outcome is Outcome.UNKNOWN
        assert "Promise" not in html(tmp_path, replace(quiet, promised_delay_seconds=None))

    def test_one_file_that_asks_for_nothing(self, kept):
        page = Page(kept)
        assert page.tags["svg"] == 4
        assert page.tags["script"] == page.tags["link"] == page.tags["img"] == 0
        assert all(link.startswith("#") for link in page.links)
        assert "@import" not in kept
        assert set(re.findall(r"url\(([^)]*)", kept)) <= {f"#{name}" for name in page.ids}
        assert {link[1:] for link in page.links} <= set(page.ids)
        assert max(Counter(page.ids).values()) == 1
        addresses = set(re.findall(r"https?://[^\s\"'<]+", kept))
        assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}

    @pytest.mark.parametrize(
        "words",
        [
            "announced delay 300.0 ms promised: at most 350.0 ms",
            "measured delay 300.0 ms 99% within +0.0 to +0.0 ms",
            "of 400 windows",
            "real-time factor 0.40 p99: 40% of a hop",
            "inference 100.00 100.00 100.00 100.00 100.00 100.00 100.00 in the model",
            "lookahead: sound after it 30.0 ms",
            "1:02:05 it is back",
            "blocksize 480",
            "measured, mean",
            "time in the model, ms a window",
        ],
    )
    def test_what_it_tells(self, kept, words):
        assert words in Page(kept).text

    def test_the_same_report_gives_the_same_page(self, tmp_path, kept):
        assert html(tmp_path, report(events=[Event(3725, "it is back")])) == kept

    def test_names_from_outside_are_only_text(self, tmp_path):
        evil = "<script>alert(1)</script>&\ud800"
        one = report(
            NO_PLOTS,
            status={"model": evil},
            settings={evil: evil},
            planned_parts={evil: 0.1},
            events=[Event(1, evil)],
        )
        page = Page(html(tmp_path, one))
        assert page.tags["script"] == 0
        assert page.text.count("<script>alert(1)</script>") == 6

    def test_names_of_fields_are_words_with_units(self, tmp_path):
        parts = {field.name.removesuffix("_frames"): 0.01 for field in fields(DelayBudget)}
        settings = {"model": "htdemucs_mini", "window_seconds": 7.8}
        text = Page(html(tmp_path, report(NO_PLOTS, planned_parts=parts, settings=settings))).text
        assert "_" not in text.replace("htdemucs_mini", "")
        assert "input device 10.0 ms output device 10.0 ms" in text
        assert "window 7.8 s" in text
        own = report(NO_PLOTS, settings={"window_seconds": 0.0})
        assert "window as long as the model wants it" in Page(html(tmp_path, own)).text

    def test_a_table_fits_a_phone(self, kept):
        """Text that may break anywhere is a letter wide beside numbers unless it has a width."""
        (text,) = re.findall(r"td\.text {([^}]*)}", kept)
        assert "min-width" in text
        # no column asks for more than the screen has
        assert all("min(" in columns for columns in re.findall(r"auto-fi\w+, ([^;]*);", kept))
        tables = kept.count("<table>")
        assert tables == kept.count('<div class="wide"><table>') > 0
        assert kept.count('<figure class="wide">') == 2

    def test_nothing_measured(self, tmp_path):
        page = Page(html(tmp_path, report(NO_PLOTS, settings={}, planned_parts={})))
        assert "Nothing was measured" in page.text
        assert page.tags["svg"] == 0

    @pytest.mark.parametrize(
        "latency", [log(1), log(40, off=lambda index: 7.0 * (index == 3), missed=2)]
    )
    def test_odd_runs_have_a_page_too(self, tmp_path, latency):
        assert Page(html(tmp_path, report(latency))).tags["svg"] == 4

    def test_a_spike_does_not_flatten_the_delay_plot_and_is_told(self, tmp_path):
        delays = [1642.0, *[300.0, 301.0, 299.5] * 20]
        bottom, top = scale(delays, 10)
        assert 270 < bottom < 299.5
        assert 301 < top < 330
        assert scale([290, 310] * 20, 10) == (280, 320)
        spiky = Page(html(tmp_path, report(log(off=lambda index: 1.342 * (index == 0)))))
        assert "above the scale" in spiky.text
        assert "1642 ms" in spiky.text

    def test_no_curve_over_a_hole(self):
        latency = log(8)
        for second in (100, 101):
            stamps = (second + part / 10 for part in range(7))
            latency.feed(WindowTimes(second * RATE, *stamps, second + DELAY))
        points = _without_holes(latency.timeline.points(), latency.timeline.point_frames)
        assert [point and point.start_frame // RATE for point in points] == [0, 1, None, 100, 101]

    def test_no_more_events_than_can_be_read(self, tmp_path):
        events = [Event(second, f"event {second}") for second in range(1000)]
        page = Page(html(tmp_path, report(NO_PLOTS, events=events)))
        assert "800 earlier ones are not shown" in page.text
        assert "event 999" in page.text
        assert page.tags["tr"] < 300


class TestFile:
    @pytest.mark.parametrize("name", ["report", "report.txt", "report.html.bak", ".json"])
    def test_an_ending_that_is_not_known(self, tmp_path, name):
        for refuse in (check_report_path, lambda path: write_report(path, report())):
            with pytest.raises(SettingsError, match=r"must end in \.json, \.csv or \.html"):
                refuse(tmp_path / name)
        assert list(tmp_path.iterdir()) == []

    def test_known_endings_in_any_case(self, tmp_path):
        for name in ("a.json", "a.CSV", "a.Html"):
            check_report_path(tmp_path / name)

    def test_an_older_report_is_replaced_and_nothing_else_is_left(self, tmp_path):
        for model in ("first", "second"):
            write_report(tmp_path / "new folder" / "r.json", report(status={"model": model}))
        assert [path.name for path in (tmp_path / "new folder").iterdir()] == ["r.json"]
        assert json.loads((tmp_path / "new folder" / "r.json").read_text())["model"] == "second"

    def test_where_it_cannot_be_written(self, tmp_path):
        (tmp_path / "file").touch()
        (tmp_path / "folder.json").mkdir()
        for path in (tmp_path / "file" / "r.json", tmp_path / "folder.json"):
            with pytest.raises(SinkError, match="cannot be written"):
                write_report(path, report())


def test_only_a_page_loads_matplotlib():
    code = (
        "import sys, streamer.live.telemetry.report, streamer.live.telemetry.latency\n"
        "import streamer.live.roundtrip.loopback\n"
        "assert not {'matplotlib', 'torch', 'sounddevice', 'prometheus_client'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unwritable_report_is_found_before_the_show(tmp_path):
    (tmp_path / "r.html").mkdir()
    (tmp_path / "file").touch()
    for path in (
        tmp_path / "r.html",
        tmp_path / "file" / "r.html",
        tmp_path / ("x" * 255 + ".csv"),
    ):
        with pytest.raises(SinkError, match="cannot be written"):
            check_report_path(path)
    check_report_path(tmp_path / "new.html")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["file", "r.html"]
