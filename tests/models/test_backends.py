"""Which backends may run a model, and how the fastest is found and remembered."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

from ringbuffer.kept import read_sealed, write_sealed
from streamer.cache import JsonStore
from streamer.errors import ModelError, SettingsError
from streamer.models import load
from streamer.models.backends.openvino_library import has_openvino
from streamer.models.calibration import MAX_AGE_SECONDS
from streamer.models.choice import (
    BACKENDS,
    BUSY,
    ENOUGH_SECONDS,
    MOST_ROUNDS,
    NOT_WORTH_IT,
    Backend,
    Choices,
    backend_named,
    busyness,
    eligible,
)
from streamer.models.separator import WHOLE, WindowKind

pytestmark = pytest.mark.skipif(not has_openvino(), reason="needs openvino")

TORCH, TORCH16, VINO, VINO16, NATIVE = BACKENDS
APART = {"nfft": 1024, "depth": 3}
FILE = WindowKind()
SUBJECT = {"network": "abc", "threads": 2}


class Timed:
    """A separator of one-second windows that takes so many seconds of a made-up clock."""

    names, samplerate, channels, window_frames = ("a",), 100, 2, 100

    def __init__(self, clock, seconds):
        self.clock, self.seconds, self.asked = clock, list(seconds), []

    def input_frames(self, window_frames):
        return window_frames

    def __call__(self, windows, kept=WHOLE):
        self.asked.append(kept)
        self.clock.now += self.seconds.pop(0) if len(self.seconds) > 1 else self.seconds[0]
        return np.zeros((1, 1, 100, 2), np.float32)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def choose(choices, separators, windows=FILE):
    return choices.measure(SUBJECT, list(separators), separators.__getitem__, windows)


def test_the_fastest_is_taken_and_remembered(clock, tmp_path):
    store = JsonStore(tmp_path, 1)
    choices = Choices(store, clock)
    separators = {TORCH: Timed(clock, [9, 0.1]), VINO: Timed(clock, [90, 0.2, 0.09])}
    assert choices.known(SUBJECT, list(separators)) is None
    assert choose(choices, separators) == VINO
    assert [len(one.asked) for one in separators.values()] == [1 + MOST_ROUNDS] * 2
    again = Choices(store, clock)
    assert again.known(SUBJECT, list(separators)) == VINO
    assert again.known({**SUBJECT, "threads": 1}, list(separators)) is None
    assert again.known(SUBJECT, [TORCH, TORCH16, VINO]) is None


class Machine:
    """What a `Choices` asks of the machine: seconds, the date, the load, versions."""

    def __init__(self, store):
        self.store, self.clock, self.date, self.load, self.version = store, Clock(), 1e9, 0.0, "1"

    def choices(self, **options):
        return Choices(
            self.store,
            self.clock,
            now=lambda: self.date,
            load=lambda: self.load,
            versions=lambda _package: self.version,
            **options,
        )

    def known(self):
        return self.choices().known(SUBJECT, [TORCH, VINO])

    def choose(self, torch_seconds, vino_seconds, **options):
        separators = {
            TORCH: Timed(self.clock, [torch_seconds]),
            VINO: Timed(self.clock, [vino_seconds]),
        }
        return choose(self.choices(**options), separators)


@pytest.fixture
def here(tmp_path):
    return Machine(JsonStore(tmp_path, 1))


def test_an_answer_older_than_a_week_is_measured_again(here):
    assert here.choose(1, 2) == TORCH
    here.date += MAX_AGE_SECONDS - 1
    assert here.known() == TORCH
    here.date += 1
    assert here.known() is None
    here.date -= 2 * MAX_AGE_SECONDS  # the clock of the machine was put back
    assert here.known() is None
    assert here.choose(2, 1) == VINO
    assert here.known() == VINO


def test_the_answer_of_a_busy_machine_is_measured_again_when_it_is_quiet(here):
    here.load = BUSY + 0.1
    assert here.choose(1, 2) == TORCH
    assert here.known() == TORCH  # no better one can be had now
    here.load = BUSY
    assert here.known() is None
    assert here.choose(2, 1) == VINO
    here.load = 9.0
    assert here.known() == VINO


def test_the_answer_of_another_version_of_a_library_is_measured_again(here):
    here.choose(1, 2, fixing=True)
    here.version = "2"
    assert here.known() is None


def test_a_fixed_answer_is_measured_at_once_and_never_gets_too_old(here):
    here.choose(1, 2)
    here.load = 9.0
    assert here.choices(fixing=True).known(SUBJECT, [TORCH, VINO]) is None
    assert here.choose(2, 1, fixing=True) == VINO
    here.date, here.load = 9e9, 0.0
    assert here.known() == VINO


@pytest.mark.parametrize("field", ["fastest", "window_seconds", "measured_at", "load", "fixed"])
def test_what_is_no_answer_is_measured_again(here, tmp_path, field):
    here.choose(1, 2)
    (file,) = tmp_path.iterdir()
    stored = json.loads(read_sealed(file))
    stored["value"][field] = None
    write_sealed(file, json.dumps(stored).encode())
    assert here.known() is (TORCH if field == "fixed" else None)


def test_slow_ones_are_asked_less_and_where_the_first_is_quick_no_other_is(clock, tmp_path):
    choices = Choices(JsonStore(tmp_path, 1), clock)
    slow = {TORCH: Timed(clock, [ENOUGH_SECONDS / 4]), VINO: Timed(clock, [ENOUGH_SECONDS / 3])}
    assert choose(choices, slow) == TORCH
    assert [len(one.asked) for one in slow.values()] == [3, 3]
    disturbed = {TORCH: Timed(clock, [9]), VINO: Timed(clock, [9, 12, 7])}
    assert choose(choices, disturbed) == VINO
    assert [len(one.asked) for one in disturbed.values()] == [3, 3]
    quick = {TORCH: Timed(clock, [NOT_WORTH_IT / 2]), VINO: Timed(clock, [0])}
    assert choose(choices, quick) == TORCH
    assert not quick[VINO].asked


def test_of_live_windows_the_newest_half_is_timed(clock, tmp_path):
    separators = {TORCH: Timed(clock, [1])}
    choose(Choices(JsonStore(tmp_path, 1), clock), separators, WindowKind(1.0, exact=True))
    assert set(map(str, separators[TORCH].asked)) == {str(slice(50, None))}


def test_live_native_is_taken_where_it_can_run_whatever_the_others_take(clock, tmp_path):
    """They may be quicker over a window of many hops; a live run brings them one by one."""
    choices, live = Choices(JsonStore(tmp_path, 1), clock), WindowKind(1.0, exact=True)
    separators = {TORCH: Timed(clock, [0.1]), NATIVE: Timed(clock, [0.2])}
    assert choose(choices, separators, live) == NATIVE
    assert choices.known(SUBJECT, list(separators)) == NATIVE
    assert not separators[TORCH].asked

    def make(one):
        if one == NATIVE:
            raise ModelError("it is another network")
        return separators[one]

    other = {**SUBJECT, "network": "def"}
    assert choices.measure(other, [TORCH, NATIVE], make, live) == TORCH


def test_one_that_fails_is_passed_over(clock, tmp_path):
    def make(one):
        if one in broken:
            raise ModelError(f"{one.name} cannot")
        return Timed(clock, [1])

    choices, broken = Choices(JsonStore(tmp_path, 1), clock), {VINO}
    assert choices.measure(SUBJECT, [VINO, TORCH], make, WindowKind()) == TORCH
    assert choices.measure(SUBJECT, [TORCH, VINO], make, WindowKind()) == TORCH
    broken.add(TORCH)
    with pytest.raises(ModelError, match="torch float32 cannot"):
        choices.measure(SUBJECT, [VINO, TORCH], make, WindowKind())


def test_what_may_run():
    assert eligible(None, "float32", "cpu") == (TORCH, VINO, NATIVE)
    assert eligible(None, "bfloat16", "cpu") == BACKENDS
    assert eligible("torch", "bfloat16", "cpu") == (TORCH, TORCH16)
    assert eligible("openvino", "float32", "cpu") == (VINO,)
    assert eligible("native", "bfloat16", "cpu") == (NATIVE,)
    assert eligible(None, "float16", "cuda") == (Backend("torch", "float16"),)
    assert eligible("torch", "float32", "mps") == (TORCH,)
    with pytest.raises(SettingsError, match="precision=float16 needs a GPU"):
        eligible(None, "float16", "cpu")
    with pytest.raises(SettingsError, match="backend=openvino runs on the CPU alone, not on cuda"):
        eligible("openvino", "float32", "cuda")
    with pytest.raises(SettingsError, match="backend=native runs on the CPU alone, not on mps"):
        eligible("native", "float32", "mps")
    assert backend_named("openvino bfloat16") == VINO16
    with pytest.raises(SettingsError, match="no backend is named 'x'; there are torch float32"):
        backend_named("x")


def test_without_the_package_there_is_no_openvino(monkeypatch):
    monkeypatch.setattr("streamer.models.choice.has_openvino", lambda: False)
    assert eligible(None, "float32", "cpu") == (TORCH, NATIVE)
    with pytest.raises(ModelError, match="openvino, which is not here; `pip install"):
        eligible("openvino", "float32", "cpu")


def test_a_model_runs_on_what_is_asked_for(make, export, noise):
    path = export(make("htdemucs", **APART), "aaaa0000")
    stems = {}
    for library in ("torch", "openvino"):
        bag = load(str(path), backend=library, device="cpu")
        assert bag.backend == f"{library} float32"
        stems[library] = bag.members[0].separator(noise(1, 15600))
    np.testing.assert_allclose(stems["torch"], stems["openvino"], atol=1e-6)


def test_networks_that_openvino_does_not_take_run_on_torch(make, export):
    path = export(make("hdemucs"), "aaaa0000")
    assert load(str(path), device="cpu").backend == "torch float32"
    for library in ("openvino", "native"):
        with pytest.raises(
            ModelError, match=rf"={library} runs .* alone, which .*aaaa0000.* is not"
        ):
            load(str(path), backend=library, device="cpu")


def test_choices_are_asked_once(make, export, clock, tmp_path):
    path = export(make("htdemucs", **APART), "aaaa0000")
    store = JsonStore(tmp_path / "choices", 1)
    first = load(str(path), device="cpu", choices=Choices(store))
    (kept,) = (tmp_path / "choices").iterdir()
    written = kept.read_bytes()
    assert load(str(path), device="cpu", choices=Choices(store, clock)).backend == first.backend
    assert kept.read_bytes() == written


def test_a_machine_that_does_not_tell_its_load_counts_as_idle(monkeypatch):
    def none_told():
        raise OSError

    monkeypatch.setattr(os, "getloadavg", none_told, raising=False)
    assert busyness() == 0.0
    monkeypatch.delattr(os, "getloadavg")
    assert busyness() == 0.0
