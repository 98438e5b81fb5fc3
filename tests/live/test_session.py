"""A live run on virtual time: its delay, its sound against that of a file run, its controls."""

from __future__ import annotations

import gc
import itertools
import re
import threading
import time
import weakref
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from live.support.staging import (
    ALONG,
    BEGIN_SECONDS,
    PLAN,
    Scaled,
    along,
    begun,
    card,
    delay_between,
    known_timing,
    microphone,
    noise_source,
    running,
    scaled,
    speakers,
    tone,
)
from support.doubles import RATE, bag_of, noise, tiny

from streamer import Processor, Settings
from streamer.audio import Samples
from streamer.errors import SettingsError, StemstreamError
from streamer.live.mixing.scene_folder import SceneFolder
from streamer.live.planning.prepare import prepare
from streamer.live.realtime.callbacks import FADE_FRAMES
from streamer.live.session import open_session
from streamer.live.settings import LiveSettings
from streamer.live.status import Reason, State
from streamer.live.telemetry.verdict import judge
from streamer.models import load
from streamer.models.separator import Bag, Member
from streamer.testing.virtual import VirtualBackend

RAMP_STEP = 1 / (0.005 * RATE)
"""How much a gain changes from a frame to the next, at most."""


def heard(device, channels: int = 2) -> Samples:
    return device.heard(0, device.heard_frames)[:, :channels]


def faded_in(signal: Samples) -> Samples:
    """What a device records begins in the middle of something, and is not to click."""
    ramp = np.minimum(1, (1 + np.arange(len(signal))) / FADE_FRAMES)
    return signal * ramp[:, np.newaxis].astype("f4")


def passthrough(settings: LiveSettings) -> Bag:
    return load("passthrough", window=settings.window)


def wav(path: Path, signal: Samples, rate: int = RATE) -> str:
    soundfile.write(path, signal, rate, subtype="FLOAT")
    return str(path)


# The delay


def test_the_delay_is_the_announced_one_to_the_frame() -> None:
    signal = noise_source(rate=44100, seconds=4)
    device = card(signal, rate=44100, converter_seconds=132 / 44100)
    with running([device], passthrough, model="passthrough", route=["vocals=1,2"]) as run:
        run.advance(3.5)
        delay = run.announced_frames
        log = run.session.latency()
    out = heard(device)
    first = begun(44100) - 132  # the first frame that is recorded was in the converter already
    assert not out[: first + delay].any()
    expected = faded_in(signal[first : len(out) - delay])
    np.testing.assert_allclose(out[first + delay :], expected, atol=1e-6)
    assert delay == run.session.plan.delay.frames + 512 + 2 * 132
    assert log.windows > 25
    for measured in (log.delay.summary().min, log.delay.summary().max):
        assert measured == pytest.approx(delay / 44100, rel=1e-3)


def test_a_hiccup_of_a_model_that_goes_along_the_stream_is_over_when_it_is_over() -> None:
    """Short hops come late in a row; that is no overload, and its memory has no hole."""
    signal = noise_source(seconds=6)
    device = card(signal)
    slow = {30: 0.25}
    with running([device], along, compute=lambda n: slow.get(n, 0.002), **ALONG) as run:
        run.advance(5)
        delay = run.announced_frames
        status = run.session.status()
    assert not [sentence for sentence in run.told if "->" in sentence]
    assert status.deadline_misses > 3
    out = heard(device)[-RATE:]
    first = len(heard(device)) - RATE - delay
    heard_by_it = np.diff(out, axis=0) / 0.01
    np.testing.assert_allclose(heard_by_it, signal[first + 1 : first + RATE], atol=1e-4)


def test_a_model_that_goes_along_the_stream_needs_no_window() -> None:
    signal = noise_source(seconds=4)
    device = card(signal)
    with running([device], along, compute=lambda _: 0.002, **ALONG) as run:
        run.advance(3.5)
        delay = run.announced_frames
        plan = run.session.plan
    assert plan.hop_frames == 256, "the p99 of 24 ms is 80% of 30, in whole hops"
    assert (plan.lookahead_frames, plan.crossfade_frames) == (32, 0)
    out = heard(device)
    first = begun() - 32
    assert not out[: first + delay].any()
    # the model gives sums of what it heard, so what it was not given would be missing ever after
    heard_by_it = np.diff(out[first + delay :], axis=0)[FADE_FRAMES:] / 0.01
    expected = signal[first + 1 : len(out) - delay][FADE_FRAMES:]
    np.testing.assert_allclose(heard_by_it, expected, atol=1e-4)


def test_a_file_is_delayed_as_announced(tmp_path: Path) -> None:
    signal = noise(2 * RATE)
    output = speakers()
    path = wav(tmp_path / "in.wav", signal)
    with running([output], input=path, route=["drums=1,2"]) as run:
        run.advance(4)
        delay = run.announced_frames
        assert run.session.status().reason is Reason.SOURCE_ENDED
        log = run.session.latency()
    out = heard(output)[begun() :]
    np.testing.assert_allclose(out[delay : delay + len(signal)], signal, atol=1e-6)
    assert not out[:delay].any()
    assert not out[delay + len(signal) :].any()
    assert log.delay.summary().max < (delay + 512) / RATE


def test_a_file_is_taken_in_ahead_so_that_no_window_is_late_where_the_engine_is_held_up(
    tmp_path: Path,
) -> None:
    path = wav(tmp_path / "in.wav", noise(4 * RATE))
    with running([speakers()], input=path, blocksize=64) as run:
        run.advance(1)
        run.backend.advance(0.15)  # nobody comes
        run.advance(1.5)
        status = run.session.status()
    assert (status.deadline_misses, status.dry_frames) == (0, 0)


@pytest.mark.parametrize("jitter_seconds", [0.0, 0.001])
def test_two_devices_keep_the_delay_within_half_a_block(jitter_seconds: float) -> None:
    signal = noise_source(seconds=14)
    clocks = {"jitter_seconds": jitter_seconds, "rate": RATE}
    mic, output = microphone(signal, ppm=150, **clocks), speakers(ppm=-150, seed=1, **clocks)
    with running([mic, output], route=["drums=1,2"]) as run:
        run.advance(13)
        status = run.session.status()
        announced = run.session.delay_seconds
        splices = run.session.streams.ports["speakers"].counters().splices
    assert splices == status.xruns == status.dropped_frames == status.deadline_misses == 0
    for second in range(2, 13):
        delay = delay_between(mic, signal, output, second)
        assert abs(delay - announced) < 128 / RATE


# Live equals file


@pytest.mark.parametrize("blocksize", [64, 512, 1000])
def test_live_equals_file_to_the_bit(tmp_path: Path, blocksize: int) -> None:
    signal = noise(3 * 11025)
    device = card(signal, rate=11025, converter_seconds=0.0)
    bag = bag_of([tiny()], [[1] * 4])
    with running(
        [device],
        lambda _: bag,
        normalize="rms",
        record=tmp_path,
        sample_format="float32",
        blocksize=blocksize,
    ) as run:
        chosen = run.session.settings
        run.advance(2.5)
        delay = run.session.plan.delay.frames
        counters = run.session.streams.capture.counters()
    recorded = np.stack(
        [soundfile.read(tmp_path / "take-001" / f"{n}.wav", dtype="float32")[0] for n in bag.names]
    )
    first = begun(11025) + (begun(11025) != BEGIN_SECONDS * 11025)
    whole = file_stems(bag, chosen, signal[first : first + counters.captured_frames], 11025)
    assert recorded.shape[1] > 2 * 11025
    np.testing.assert_array_equal(recorded, whole[:, : recorded.shape[1]])
    out = device.heard(first + blocksize, counters.captured_frames)
    assert not out[:delay].any()
    frames = len(out) - delay
    expected = whole[:, :frames].transpose(1, 0, 2).reshape(frames, 8)
    np.testing.assert_allclose(out[delay:], faded_in(expected), atol=1e-6)


def file_stems(bag: Bag, chosen: LiveSettings, signal: Samples, rate: int) -> Samples:
    """What the same schedule gives for a file."""
    wish = chosen.model_dump(include={"window", "hop", "lookahead", "normalize"})
    with Processor(Settings(**wish), bag=bag) as processor:
        processor.prepare(rate, 4096, 2)
        parts = processor.feed(signal) + processor.flush()
    return np.concatenate([part.data for part in parts], axis=1)


# Routing and mixing


def test_mix_and_mix_without_a_stem_are_aligned_with_the_stems() -> None:
    signal = noise_source(seconds=3)
    device = card(signal)
    routes = ["drums=1,2", "mix=3,4", "mix-bass=5,6", "mix-drums=7,8"]
    with running([device], route=routes) as run:
        run.advance(2)
        delay = run.announced_frames
    out = heard(device, 8)[begun() - 32 + delay :]
    played = faded_in(signal[begun() - 32 :][: len(out)])
    for first, gain in ((0, 1), (2, 1), (4, 0.5), (6, 0)):
        np.testing.assert_allclose(out[:, first : first + 2], gain * played, atol=1e-6)


def test_a_gain_acts_within_a_block_and_without_a_step() -> None:
    smooth = tone(4)
    device = card(smooth)
    with running([device], route=["drums=1,2", "bass=3,4"], blocksize=128) as run:
        changes = [
            lambda: run.session.mixer.set_gain("drums", -6),
            lambda: run.session.mixer.set_mute("drums", on=True),
            lambda: run.session.mixer.set_mute("drums", on=False),
            lambda: run.session.mixer.set_solo("bass", on=True),
            lambda: run.session.mixer.set_master(-12),
            lambda: run.session.mixer.set_dry(on=True),
        ]
        begin = 1.2
        for index, change in enumerate(changes):
            run.backend.at(begin + 0.25 * index, change)
        run.advance(3.2)
        delay = run.announced_frames
    out = heard(device, 4)
    steepest = np.abs(np.diff(smooth[:, 0])).max() + 0.4 * RAMP_STEP
    assert np.abs(np.diff(out, axis=0)).max() <= steepest * 1.01
    at = round(begin * RATE)
    np.testing.assert_allclose(out[at, 0], smooth[at - delay, 0], atol=1e-3)
    acted = at + 2 * 128 + 64 + round(0.005 * RATE)  # the block, its converter, the ramp
    expected = 10 ** (-6 / 20) * smooth[acted - delay : acted - delay + 500, 0]
    np.testing.assert_allclose(out[acted : acted + 500, 0], expected, atol=1e-4)


def test_a_scene_is_loaded_again_while_it_runs(tmp_path: Path) -> None:
    scene = tmp_path / "band.toml"
    scene.write_text("[stems.drums]\ngain_db = 0.0\n")
    device = card(tone(6))
    with running([device], scene=scene, route=["drums=1,2"]) as run:
        run.advance(1)
        scene.write_text("[stems.drums]\ngain_db = -20.0\n# longer than before\n")
        run.advance(2)
        assert run.session.mixer.state.stems["drums"].gain_db == -20
        scene.write_text("[stems.vocal]\ngain_db = -20.0\n")
        run.advance(2)
        assert run.session.mixer.state.stems["drums"].gain_db == -20
    assert len(run.told) == 2
    assert "loaded" in run.told[0]
    assert "vocal" in run.told[1]
    out = heard(device)
    assert np.abs(out[: 2 * RATE // 2 + begun()]).max() > 0.3
    assert np.abs(out[-RATE:]).max() < 0.05


def test_a_disk_that_hangs_while_a_scene_is_followed_holds_up_no_sound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    disk, looks = threading.Event(), []

    def hangs(_folder: SceneFolder) -> str | None:
        looks.append(disk.is_set())
        disk.wait(30)
        return "looked"

    monkeypatch.setattr(SceneFolder, "follow", hangs)
    monkeypatch.setattr("streamer.live.supervision.wait", lambda _looks: None)  # as in real time
    with running([card(tone(6))], route=["drums=1,2"]) as run:
        run.advance(3)
        assert (looks, run.told) == ([False], [])
        disk.set()
        for _ in range(1000):
            if run.told:
                break
            run.advance(0.01)
            time.sleep(0.001)
    assert "looked" in run.told[0]


# A file as the input


def test_a_file_is_recorded_to_its_last_frame_and_no_further(tmp_path: Path) -> None:
    signal = noise(10_001)
    path = wav(tmp_path / "in.wav", signal)
    with running([speakers()], input=path, record=tmp_path, sample_format="float32") as run:
        run.advance(3)
    recorded, _ = soundfile.read(tmp_path / "take-001" / "drums.wav", dtype="float32")
    assert recorded.shape == signal.shape
    np.testing.assert_allclose(recorded, signal, atol=1e-7)


def test_a_loop_has_no_seam(tmp_path: Path) -> None:
    signal = noise(5000)
    output = speakers()
    path = wav(tmp_path / "in.wav", signal)
    with running([output], input=path, loop=True, route=["drums=1,2"]) as run:
        run.advance(3)
        delay = run.announced_frames
        assert run.session.status().state is State.RUNNING
    out = heard(output)[begun() + delay :]
    assert len(out) > 15_000
    np.testing.assert_allclose(out, np.resize(signal, out.shape), atol=1e-6)


def test_a_run_ends_after_its_duration(tmp_path: Path) -> None:
    device = card(noise_source(seconds=4))
    with running([device], duration=1.5, record=tmp_path) as run:
        run.advance(1.5)
        assert run.session.status().state is State.RUNNING
        run.advance(0.6)
        assert run.session.status().state is State.STOPPED
        assert run.session.status().reason is Reason.DURATION_REACHED
    assert soundfile.info(tmp_path / "take-001" / "bass.wav").frames == 12_000


# Opening and closing


def test_a_promise_is_planned_with_what_the_open_devices_say(tmp_path: Path) -> None:
    device = card(noise_source(seconds=1))  # when open it says that its input delays a block more
    settings = LiveSettings(
        model="tiny", normalize="none", latency=0.6, record=tmp_path, blocksize=1000
    )
    with known_timing():
        wish = prepare(settings, VirtualBackend([device]), scaled)
        assert wish.plan.delay.device_input_frames == 32 + 1000
        assert wish.plan.delay_seconds <= 0.6
        with open_session(settings, VirtualBackend([device]), scaled) as session:
            assert session.delay_seconds == pytest.approx(wish.plan.delay_seconds)
            assert session.status().delay_seconds == session.delay_seconds
    assert [path.name for path in tmp_path.iterdir()] == ["take-001"]


def test_a_run_keeps_what_a_plan_promises_and_names_what_delays_less() -> None:
    device = card(noise_source(seconds=1))

    def plan(latency: float, **more: object) -> float:
        settings = LiveSettings(**{**PLAN, "latency": latency, "blocksize": 500, **more})
        with known_timing():
            return prepare(settings, VirtualBackend([device]), scaled).plan.delay_seconds

    with pytest.raises(SettingsError, match=r"must be at least .* --buffer low, or") as refused:
        plan(0.1)
    least = float(re.search(r"try ([\d.]+),", str(refused.value))[1])
    with pytest.raises(SettingsError, match=r"try [\d.]+, or a smaller model"):
        plan(0.1, buffer="low")
    settings = LiveSettings(**{**PLAN, "latency": least, "blocksize": 500})
    with known_timing(), open_session(settings, VirtualBackend([device]), scaled) as session:
        assert session.delay_seconds == pytest.approx(plan(least))
        assert session.delay_seconds <= least + 1e-9


def test_a_promise_that_is_longer_than_what_helps_says_why_the_delay_is_shorter() -> None:
    told: list[str] = []
    settings = LiveSettings(**{**PLAN, "latency": 1.2})
    device = card(noise_source(seconds=1))
    with (
        known_timing(),
        open_session(settings, VirtualBackend([device]), scaled, tell=told.append) as session,
    ):
        seconds = session.delay_seconds
    assert seconds < 1
    assert told == [
        f"the delay is {seconds:.3f} s, not the promised 1.2 s: a longer one would gain nothing, "
        "since tiny has a whole hop for each window"
    ]


@pytest.mark.parametrize("wrong", ["busy", "record", "route", "scene"])
def test_what_cannot_be_opened_leaves_nothing_open(tmp_path: Path, wrong: str) -> None:
    device = card(noise_source(seconds=1))
    backend = VirtualBackend([device])
    options: dict[str, object] = {"model": "tiny", "normalize": "none"}
    if wrong == "busy":
        device.busy = True
    elif wrong == "record":
        options["record"] = tmp_path / "file" / "takes"
        (tmp_path / "file").touch()
    elif wrong == "route":
        options["route"] = ["vocals=19"]
    else:
        options["scene"] = tmp_path / "none.toml"
    before = threading.active_count()
    with known_timing(), pytest.raises(StemstreamError):
        open_session(LiveSettings(**options), backend, scaled)
    assert threading.active_count() == before
    assert backend.refresh(), "no stream is open"


@pytest.mark.parametrize("seconds", [0.0, 0.1, 0.3, 0.55, 1.3])
def test_closing_at_any_moment_leaves_whole_recordings(tmp_path: Path, seconds: float) -> None:
    device = card(noise_source(seconds=2))
    with running([device], record=tmp_path) as run:
        run.backend.at(BEGIN_SECONDS + 1.0, device.unplug)
        run.advance(seconds)
        run.session.quit()
        emitted = run.session.engine.processor.emitted_frames
    run.session.close()
    status = run.session.status()
    assert (status.state, status.reason) == (State.STOPPED, Reason.ASKED)
    assert run.told == []
    assert run.backend.refresh(), "no stream is open"
    take = tmp_path / "take-001"
    assert [soundfile.info(take / f"{name}.wav").frames for name in Scaled.names] == [emitted] * 4


def test_once_its_end_is_asked_for_a_run_falls_silent_whatever_is_still_to_be_closed() -> None:
    device = card(noise_source(seconds=5))
    with running([device], route=["vocals=1,2"]) as run:
        run.advance(1)
        run.session.quit()
        run.backend.advance(1)  # the page and the others are closed first: nothing steps any more
        assert run.session.status().dry_share == 0
        assert device.heard(device.heard_frames - 3 * RATE // 2, RATE // 2).any()
        assert not device.heard(device.heard_frames - RATE // 2, RATE // 2).any()


def test_a_session_in_threads_of_its_own() -> None:
    """The one test in real time here: it waits for the engine's thread, not for a clock."""
    device = card(noise_source(seconds=1))
    backend = VirtualBackend([device])
    with known_timing(), open_session(LiveSettings(**PLAN), backend, scaled) as session:
        session.start()
        assert not session.wait(0.0)
        session.quit()
        assert session.wait()
        assert session.status().delay_frames == session.plan.delay.frames
        assert session.report().status.model == "tiny"


@pytest.mark.parametrize(("away", "fades"), [([1], True), ([0, 1], False)])
def test_the_end_is_faded_out_while_any_output_plays(
    monkeypatch: pytest.MonkeyPatch, away: list[int], fades: bool
) -> None:
    backend, slept = VirtualBackend([card(noise_source(seconds=1)), speakers("phones")]), []
    settings = LiveSettings(**PLAN, input="card", output=["card", "phones"])
    with known_timing(), open_session(settings, backend, scaled) as session:
        monkeypatch.setattr(session.streams, "watch", lambda now: None)
        session.start()
        for number in away:
            session.streams.all[number].away = True
        monkeypatch.setattr("streamer.live.session.time", SimpleNamespace(sleep=slept.append))
        session.quit()
    assert bool(slept) == fades


def test_an_error_of_the_engine_is_raised_by_who_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = VirtualBackend([card(noise_source(seconds=1))])
    with known_timing(), open_session(LiveSettings(**PLAN), backend, scaled) as session:
        monkeypatch.setattr(session.streams, "watch", lambda now: 1 / 0)
        session.start()
        with pytest.raises(ZeroDivisionError):
            session.wait()
    report = session.report()
    assert report.status.reason is Reason.FAILED
    assert "ZeroDivisionError" in report.events[-1].text
    assert "An error ended the run." in judge(report).reasons


def test_what_callbacks_work_on_lives_as_long_as_a_stream_that_calls_them() -> None:
    with running([microphone(noise_source()), speakers()]) as run:
        streams = run.session.streams
        requests = [stream.request for stream in streams.all]
        ports = [weakref.ref(port) for port in (streams.capture, *streams.ports.values())]
        run.advance(0.5)
    del run, streams
    gc.collect()
    assert len(requests) == len(ports) == 2
    assert None not in [port() for port in ports]


def test_between_two_long_blocks_meters_stay_where_they_are_and_fall_where_a_device_is_away() -> (
    None
):
    """A block is 128 ms, and a look comes each 50 ms."""
    device = card(noise_source(seconds=8))
    with running([device], blocksize=1024, hop=0.15, route=["drums=1,2"]) as run:
        run.advance(1.5)
        peaks = set[float]()
        for _ in range(40):
            run.advance(0.05)
            status = run.session.status()
            peaks |= {status.outputs["card"][0].peak, status.stems["drums"].peak}
        assert min(peaks) > 0.1
        device.unplug()
        run.advance(1.5)
        assert run.session.status().outputs["card"][0].peak == 0


def test_meters_come_20_times_a_second_though_each_look_is_a_little_late() -> None:
    seen = []
    with running([card(noise_source(seconds=6))], route=["drums=1,2"]) as run:

        def turn() -> None:
            run.session.step()
            seen.append(run.session.status())

        run.backend.advance(4.0, every=(0.007, turn))
    looks = [now for before, now in itertools.pairwise(seen) if now is not before]
    assert len(looks) == pytest.approx(80, abs=2)


def test_a_mono_model_plays_and_is_recorded_on_both_sides(tmp_path: Path) -> None:
    class Mono(Scaled):
        channels = 1

    signal = np.repeat(noise_source(seconds=3)[:, :1], 2, axis=1)
    bag = Bag("tiny", [Member(Mono(), (1.0,) * 4)], Mono.names, RATE, 1)
    device = card(signal)
    with running([device], lambda _: bag, record=tmp_path, route=["bass=1,2"]) as run:
        run.advance(2)
        assert run.session.status().state is State.RUNNING
        out = device.heard(0, device.heard_frames)[-RATE // 4 :, :2]
    assert out.any()
    np.testing.assert_array_equal(out[:, 0], out[:, 1])
    assert soundfile.info(tmp_path / "take-001" / "drums.wav").channels == 2


@pytest.mark.parametrize(("late_seconds", "late"), [(0.12, False), (0.14, True)])
def test_what_the_resampler_still_holds_counts_for_the_deadline(
    late_seconds: float, late: bool
) -> None:
    """At another rate than the model's, stems go on from before the window that brings them."""
    rate, compute = 11025, [0.02]
    device = card(noise_source(seconds=6, rate=rate), rate=rate)
    wish = {"latency": 0.75, "hop": 0.2, "window": 0.5, "adapt": False}
    with running([device], compute=lambda _: compute[0], **wish) as run:
        compute[0] = run.session.plan.budget_seconds + late_seconds
        run.advance(4)
        status = run.session.status()
    assert (status.dry_frames > 0) == (status.deadline_misses > 0) == late
