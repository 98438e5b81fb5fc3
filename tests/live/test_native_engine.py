"""A live run with the native engine, on virtual time: its delay, its sound, what it tells."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pytest
import soundfile
from live.support.causal import small_causal
from live.support.rates import converted
from live.support.staging import (
    BEGIN_SECONDS,
    STEP_SECONDS,
    Run,
    begun,
    card,
    microphone,
    noise_source,
    prepared,
    running,
    speakers,
)

from streamer import Processor, Settings
from streamer.audio import Samples
from streamer.live.native_engine import NativeEngine
from streamer.live.planning import prepare as preparing
from streamer.live.planning.plan import DevicePath
from streamer.live.planning.prepare import make_plan
from streamer.live.planning.solver import STREAM_HOPS
from streamer.live.realtime.callbacks import FADE_FRAMES
from streamer.live.settings import LiveSettings
from streamer.live.status import State
from streamer.live.telemetry.latency import Stage
from streamer.live.telemetry.report import plain
from streamer.live.window_engine import WindowEngine
from streamer.models import load
from streamer.models.calibration import Calibration, WindowTiming
from streamer.models.networks.filters import CausalFilters
from streamer.models.separator import Bag
from streamer.testing.virtual import VirtualBackend
from streamer.testing.virtual_device import VirtualDevice

ALONE = """
import sys
import cli.live_run
from streamer import LiveSettings, open_session
from streamer.testing.virtual import VirtualBackend
from streamer.testing.virtual_device import VirtualDevice

card = VirtualDevice("card", samplerate=44100, input_channels=2, output_channels=2)
backend = VirtualBackend([card])
settings = LiveSettings(input="card", output="card", model="rt_mini")
with open_session(settings, backend) as session:
    session.start()
    backend.advance(0.5)
unused = {"torch", "openvino", "scipy.linalg", "prometheus_client"}
print(sorted(unused & set(sys.modules)))
"""
RATE = 44100
STEMS = ("drums", "bass", "other", "vocals")
ROUTES = [f"{stem}={2 * index + 1},{2 * index + 2}" for index, stem in enumerate(STEMS)]
WISH = {"hop": None, "lookahead": None, "route": ROUTES, "window_seconds": 0.001}


@pytest.fixture(scope="module")
def bag(tmp_path_factory) -> Bag:
    return small_causal(tmp_path_factory.mktemp("causal"))


@pytest.fixture(scope="module")
def short_hops(tmp_path_factory) -> Bag:
    """A model with hops of 64 frames."""
    return small_causal(tmp_path_factory.mktemp("filters"), CausalFilters)


@contextmanager
def native(devices: Sequence[VirtualDevice], bag: Bag, **wish: object) -> Iterator[Run]:
    with running(devices, lambda _: bag, **{**WISH, **wish}) as run:
        assert isinstance(run.session.engine, NativeEngine)
        yield run


def sound(seconds: int = 4, rate: int = RATE) -> Samples:
    return noise_source(seconds=seconds, rate=rate)


def file_stems(bag: Bag, signal: Samples, rate: int = RATE) -> Samples:
    """What the same model gives for a file, ``(frames, stems * 2)``, through the same filters."""
    heard = converted(signal, rate, RATE)
    with Processor(Settings(normalize="none"), bag=bag) as processor:
        processor.prepare(RATE, 4096, 2)
        parts = processor.feed(heard) + processor.flush()
    whole = np.concatenate([part.data for part in parts], axis=1)
    return converted(whole.transpose(1, 0, 2).reshape(len(heard), 8), RATE, rate)


def taken(signal: Samples, rate: int = RATE) -> Samples:
    """What the card records from the begin of the run on."""
    return signal[begun(rate) - 132 :]


def faded_in(stems: Samples) -> Samples:
    """What begins in the middle of something is not to click."""
    ramp = np.minimum(1, np.arange(1, len(stems) + 1) / FADE_FRAMES)
    return stems * ramp[:, np.newaxis].astype("f4")


@pytest.mark.parametrize(
    ("rate", "blocksize"),
    [
        *((RATE, blocksize) for blocksize in (64, 100, 512, 700)),
        *((48000, blocksize) for blocksize in (64, 256, 1024)),
        *((96000, blocksize) for blocksize in (64, 512)),
    ],
)
def test_what_is_heard_is_what_a_file_run_gives_by_the_announced_delay_later(
    bag, rate, blocksize, tmp_path
):
    seconds = 2 if rate == RATE else 1  # of more frames, at twice the work
    signal = sound(seconds + 1, rate)
    device = card(signal, rate=rate, converter_seconds=132 / rate)
    with native([device], bag, blocksize=blocksize, record=tmp_path) as run:
        run.advance(seconds)
        delay = run.announced_frames
        status = run.session.status()
    out = device.heard(0, device.heard_frames)
    first = begun(rate) - 132
    assert not out[: first + delay].any()
    heard = out[first + delay :]
    expected = file_stems(bag, taken(signal, rate), rate)
    np.testing.assert_allclose(heard, faded_in(expected[: len(heard)]), atol=1e-5)
    assert len(heard) > (seconds - 0.5) * rate
    assert (status.deadline_misses, status.dry_frames) == (0, 0)
    recorded = [soundfile.read(tmp_path / "take-001" / f"{n}.wav")[0] for n in STEMS]
    together = np.concatenate(recorded, axis=1)
    assert len(together) > (seconds - 0.5) * rate
    np.testing.assert_allclose(together, expected[: len(together)], atol=1e-5)


@pytest.mark.parametrize(
    ("rate", "blocksize"), [(RATE, 64), (RATE, 256), (RATE, 512), (48000, 64), (48000, 256)]
)
def test_the_delay_is_at_most_32_ms_without_devices(bag, rate, blocksize):
    with native([card(sound(1, rate), rate=rate)], bag, blocksize=blocksize) as run:
        assert run.session.plan.delay.frames / rate <= 0.032


@pytest.mark.parametrize("blocksize", [512, 1024])
@pytest.mark.parametrize("away_seconds", [0.6037, 1.2519])
def test_after_a_device_was_away_no_stem_is_missing(bag, blocksize, away_seconds):
    device = card(sound(7), rate=RATE)
    with native([device], bag, blocksize=blocksize) as run:
        run.backend.at(BEGIN_SECONDS + 1, device.unplug)
        run.backend.at(BEGIN_SECONDS + 1 + away_seconds, device.replug)
        run.advance(4)
        back = run.session.status()
        run.advance(2)
        later = run.session.status()
    assert back.state is State.RUNNING
    assert later.deadline_misses == back.deadline_misses
    assert later.dry_frames == back.dry_frames


def test_a_hop_is_full_when_there_is_what_the_filters_look_ahead(bag):
    with native([card(sound(2, 48000), rate=48000)], bag, blocksize=64) as run:
        run.advance(1)
        seen = run.session.latency().stages[Stage.CUT]
    assert 0 <= seen.min <= seen.max <= STEP_SECONDS + 1e-9


@pytest.mark.parametrize("rate", [RATE, 48000])
def test_two_devices_with_clocks_of_their_own_miss_nothing(bag, rate):
    signal = sound(10, rate)
    devices = [
        microphone(signal, rate=rate, ppm=80, jitter_seconds=0.0005),
        speakers(rate=rate, ppm=-60, jitter_seconds=0.0005),
    ]
    with native(devices, bag, route=["drums=1,2"], latency=0.06) as run:
        run.advance(8)
        status = run.session.status()
    assert status.deadline_misses == 0
    assert status.dry_frames == 0


@pytest.mark.parametrize(
    ("model", "missed"), [("bag", range(3, 7)), ("short_hops", range(15, 40))], ids=["512", "64"]
)
def test_a_hiccup_of_50_ms_costs_what_it_lasts_and_nothing_is_forgotten(model, missed, request):
    bag = request.getfixturevalue(model)
    signal = sound()
    device = card(signal, rate=RATE, converter_seconds=132 / RATE)
    with native([device], bag, blocksize=512) as run:
        run.advance(1)
        run.backend.advance(0.05)  # nobody makes hops
        run.advance(1.5)
        delay, status = run.announced_frames, run.session.status()
        assert not [sentence for sentence in run.told if "->" in sentence]
    assert status.deadline_misses in missed
    assert 0 < status.dry_frames < 0.1 * RATE
    heard = device.heard(0, device.heard_frames)[begun(RATE) - 132 + delay :]
    expected = file_stems(bag, taken(signal))[: len(heard)]
    later = slice(round(1.2 * RATE), None)
    np.testing.assert_allclose(heard[later], expected[later], atol=1e-5)


def test_devices_that_bring_hops_too_late_are_no_reason_to_give_the_model_up(bag):
    device = card(sound(8), rate=RATE, burst_blocks=4)
    with native([device], bag) as run:
        run.advance(7)
        status = run.session.status()
        assert not [sentence for sentence in run.told if "->" in sentence]
    assert status.deadline_misses > 100
    assert status.rung == 0


def test_status_and_report_tell_the_engine(bag):
    with native([card(sound(), rate=RATE)], bag) as run:
        run.advance(1)
        assert run.session.status().engine == "native"
        report = plain(run.session.report())
        assert report["engine"] == "native"
        assert ("engine", "native") in [row[:2] for row in run.session.plan.rows()]


@pytest.mark.parametrize(
    "habit", [{}, {"fill_blocks": 6, "burst_blocks": 6}, {"fill_blocks": 12}], ids=str
)
def test_no_hop_of_a_file_is_late_however_the_output_takes_its_blocks(bag, habit, tmp_path):
    signal, song = sound(2), tmp_path / "song.wav"
    soundfile.write(song, signal, RATE, subtype="FLOAT")
    output = speakers(rate=RATE, output_channels=8, **habit)
    with native([output], bag, input=str(song), record=tmp_path) as run:
        run.advance(3)
        delay, log = run.announced_frames, run.session.latency()
        status = run.session.status()
    assert (status.deadline_misses, status.dry_frames) == (0, 0)
    assert log.delay.summary().count == log.windows > 150
    for measured in (log.delay.summary().min, log.delay.summary().max):
        assert measured == pytest.approx(delay / RATE, rel=1e-3)
    silent = run.session.plan.delay.frames + 32  # its first blocks come before they are played
    out = output.heard(begun(RATE), silent + len(signal))
    assert not out[:silent].any()
    np.testing.assert_allclose(out[silent:], file_stems(bag, signal), atol=1e-5)
    recorded, _ = soundfile.read(tmp_path / "take-001" / "drums.wav")
    np.testing.assert_allclose(recorded, file_stems(bag, signal)[:, :2], atol=1e-5)


def test_a_second_output_is_in_time_with_the_first_that_leads_the_file(bag, tmp_path):
    signal, song = sound(6), tmp_path / "song.wav"
    soundfile.write(song, signal, RATE, subtype="FLOAT")
    outputs = [
        speakers("one", rate=RATE, burst_blocks=3, ppm=80),
        speakers("two", rate=RATE, ppm=-60, jitter_seconds=0.001),
    ]
    routes = ["one:drums=1,2", "two:drums=1,2"]
    with native(outputs, bag, input=str(song), output=("one", "two"), route=routes) as run:
        run.advance(5)
        assert run.session.streams.ports["two"].counters().splices == 0
        assert run.session.status().dry_frames == 0
    first, second = (one.heard(round(one.frame_at(4)), 20000)[:, 0] for one in outputs)
    lag = int(np.argmax(np.correlate(first, second[2000:-2000], "valid"))) - 2000
    assert abs(lag) < 512, "a block, as announced"


@pytest.mark.parametrize(("fill_blocks", "burst_blocks"), [(12, 1), (6, 2), (3, 3), (12, 6)])
def test_a_sound_servers_bursts_set_the_delay_before_anything_is_heard(
    bag, fill_blocks, burst_blocks
):
    habit = {"rate": RATE, "hostapi": "ALSA", "burst_blocks": burst_blocks, "ppm": 50}
    devices = [microphone(sound(6), **habit), speakers(fill_blocks=fill_blocks, **habit)]
    with native(devices, bag, route=["drums=1,2"], blocksize=512) as run:
        planned = run.session.delay_seconds
        run.advance(0.6)
        assert run.session.status().state is State.STARTING
        assert not devices[1].heard(0, devices[1].heard_frames).any()
        run.advance(4)
        status, report = run.session.status(), plain(run.session.report())
        delay = run.session.delay_seconds
    assert status.state is State.RUNNING
    assert (status.deadline_misses, status.dry_frames, status.dropped_frames) == (0, 0, 0)
    assert (delay > planned) == (burst_blocks > 1) == bool(run.told)
    assert all(f"the delay is {delay * 1000:.0f} ms" in line for line in run.told)
    assert sum(report["planned_parts"].values()) == pytest.approx(delay, abs=1e-4)
    assert report["announced_delay_frames"] == run.session.streams.ports["speakers"].delay_frames


@pytest.mark.parametrize("burst_blocks", [1, 2, 4])
@pytest.mark.parametrize(
    ("name", "hostapi"),
    [("system", "JACK Audio Connection Kit"), ("card (hw:0,0)", "ALSA"), ("card", "Core Audio")],
)
def test_long_periods_that_portaudio_cuts_set_the_delay_too(bag, name, hostapi, burst_blocks):
    """They are all alike: nothing is spared for longer ones."""
    device = card(sound(5), name=name, rate=RATE, hostapi=hostapi, burst_blocks=burst_blocks)
    with native([device], bag, blocksize=512) as run:
        planned = run.session.delay_seconds
        run.advance(4)
        status, delay = run.session.status(), run.session.delay_seconds
    assert (status.deadline_misses, status.dry_frames, status.dropped_frames) == (0, 0, 0)
    assert 0 <= delay - planned <= ((burst_blocks - 1) * 512 + 1) / RATE


def test_an_output_beside_the_first_is_planned_for_as_one_with_a_clock_of_its_own(bag):
    signal = sound(5)
    devices = [card(signal, rate=RATE), speakers("phones", rate=RATE, ppm=100)]
    backend = VirtualBackend(devices)
    wish = {"hop": None, "lookahead": None, "blocksize": 512, "window_seconds": 0.001}
    alone, beside = (
        prepared(backend, lambda _: bag, input="card", output=outputs, **wish).plan
        for outputs in (("card",), ("card", "phones"))
    )
    assert (alone.request.path.streams, beside.request.path.streams) == ("one", "two")
    assert beside.delay.frames > alone.delay.frames


def test_one_device_that_brings_many_blocks_at_once_gets_the_delay_that_this_takes(bag):
    signal = sound()
    device = card(signal, rate=RATE, hostapi="ALSA", burst_blocks=6)
    with native([device], bag, blocksize=512) as run:
        run.advance(3)
        delay, status = run.announced_frames, run.session.status()
    assert (status.deadline_misses, status.dry_frames, status.dropped_frames) == (0, 0, 0)
    assert len(run.told) == 1
    out = device.heard(2 * RATE, RATE // 2)
    expected = file_stems(bag, signal[begun(RATE) - 32 :])
    first = 2 * RATE - begun(RATE) + 32 - delay
    np.testing.assert_allclose(out, expected[first : first + len(out)], atol=1e-5)


def test_a_run_in_a_process_of_its_own_imports_nothing_that_it_does_not_use():
    load("rt_mini", backend="native")  # its facts are kept now
    command = [sys.executable, "-c", ALONE]
    for _ in range(2):  # what is compiled, for which Numba imports more, is kept now
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("rate", [RATE, 48000, 96000])
@pytest.mark.parametrize("blocksize", [100, 256, 512])
def test_short_hops_are_in_time_with_all_blocks(short_hops, rate, blocksize):
    device = card(sound(2, rate), rate=rate)
    with native([device], short_hops, blocksize=blocksize) as run:
        run.advance(1)
        status = run.session.status()
    assert (status.deadline_misses, status.dry_frames) == (0, 0)


@pytest.mark.parametrize(
    ("model", "rate", "hostapi", "wish", "block_frames"),
    [
        ("bag", RATE, "ALSA", {"buffer": "low"}, 512),
        ("bag", 48000, "ALSA", {"buffer": "low"}, 256),
        ("short_hops", RATE, "ALSA", {"buffer": "low"}, 64),
        ("short_hops", RATE, "ALSA", {"buffer": "low", "blocksize": 512}, 512),
        ("short_hops", RATE, "ALSA", {}, 512),
        ("short_hops", RATE, "JACK Audio Connection Kit", {"buffer": "low"}, 512),
    ],
)
def test_where_no_block_is_asked_for_a_card_gets_the_one_with_the_least_delay(
    model, rate, hostapi, wish, block_frames, request
):
    device = card(sound(1, rate), name="card (hw:0,0)", rate=rate, hostapi=hostapi)
    with native([device], request.getfixturevalue(model), **wish) as run:
        assert run.session.streams.blocksize == block_frames


def test_only_the_windows_of_the_engine_are_timed(bag, monkeypatch):
    timed: list[float] = []

    def calibrate(_make, lengths, subject, **_more):
        timed.extend(lengths)
        timings = tuple(WindowTiming(round(s * RATE), 0.001, 0.002) for s in lengths)
        return Calibration(subject, RATE, timings, cached=False)

    monkeypatch.setattr(preparing, "calibrate", calibrate)
    wish = LiveSettings(model="rt_mini")
    for native, windows in ((True, 1), (False, len(STREAM_HOPS))):
        timed.clear()
        _, _, plan = make_plan(wish, bag, RATE, DevicePath(), lambda _: bag, native=native)
        assert plan.request.engine == ("native" if native else "python")
        assert len(timed) == windows


def test_low_rates_and_longer_hops_take_the_engine_in_python(bag):
    for rate, wish in ((16000, {}), (RATE, {"hop": 2048 / RATE})):
        backend = VirtualBackend([card(sound(), rate=rate)])
        backend.advance(BEGIN_SECONDS)
        ready = prepared(backend, lambda _: bag, **{**WISH, **wish})
        assert ready.plan.request.engine == "python"
    with running([card(sound(), rate=16000)], lambda _: bag, **WISH) as run:
        assert isinstance(run.session.engine, WindowEngine)
