"""Whatever the Python interface is given: one sentence of a StemstreamError, at once."""

from __future__ import annotations

import gc
import os
import threading
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from support.doubles import RATE, bag_of, noise, tiny

import streamer
from streamer.audio import Samples
from streamer.errors import SettingsError, StemstreamError
from streamer.live.session import open_session
from streamer.models.separator import Bag
from streamer.processor import Live, Processor
from streamer.settings import Settings

NUMBERS: tuple[Any, ...] = (
    *(-1, 1.5, float("nan"), float("inf"), -float("inf"), 10**5000, "many", None, True, [1]),
    *({}, object(), b"1", 1j, np.zeros(2)),
)
"""Which none of the wholes below may be."""
LIVE = Settings(model="passthrough", hop=0.25, lookahead=0.1)


def sentence(call: Callable[[], object]) -> str:
    with pytest.raises(StemstreamError) as refused:
        call()
    said = str(refused.value)
    assert said
    assert len(said) < 400
    assert "\n" not in said
    return said


@pytest.mark.parametrize("value", NUMBERS, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("name", ["jobs", "batch"])
def test_jobs_and_batch_of_a_processor(name: str, value: object, tiny_bag: Bag) -> None:
    assert name in sentence(lambda: Processor(bag=tiny_bag, **{name: value}))


def test_a_batch_of_none(tiny_bag: Bag) -> None:
    assert "batch=0 must be a whole number between 1" in sentence(
        lambda: Processor(bag=tiny_bag, batch=0)
    )


@pytest.mark.parametrize("name", ["compute_seconds", "history_seconds"])
@pytest.mark.parametrize(
    "value",
    [-1, float("nan"), float("inf"), 1e9, "soon", None, True, [1], 10**5000, 1j],
    ids=lambda value: str(type(value)),
)
def test_seconds_of_live(name: str, value: object) -> None:
    assert name in sentence(lambda: Live(**{name: value}))


@pytest.mark.parametrize(
    "given",
    [
        {"fallback": "evil"},
        {"fallback": None},
        {"fallback": ["dry"]},
        {"worker": 5},
        {"on_job": "x"},
    ],
)
def test_what_else_live_is_told(given: dict[str, Any]) -> None:
    assert next(iter(given)) in sentence(lambda: Live(**given))


@pytest.mark.parametrize(
    "given",
    [
        {"settings": "fast"},
        {"settings": {"overlap": 0.5}},
        {"settings": 5},
        {"settings": Settings},
        {"settings": Settings(), "overlap": 0.5},
        {"bag": "htdemucs"},
        {"live": True},
        {"live": Live},
        {"live": Live()},
        {"overlap": []},
        {"overlap": object()},
        {"model": 5},
        {"model": "passthrough", "shifts": 10**20},
        {"no_such": 1},
        {"stems": 5},
        {"model": "passthrough", "out": 5},
        {"model": "passthrough", "hop": "x"},
    ],
    ids=lambda given: " ".join(given),
)
def test_settings_of_a_wrong_type(given: dict[str, Any]) -> None:
    sentence(lambda: Processor(**given))


@pytest.mark.parametrize("name", ["samplerate", "blocksize", "channels"])
@pytest.mark.parametrize("value", [*NUMBERS, 0, 10**9], ids=lambda value: type(value).__name__)
def test_prepare(name: str, value: object, tiny_bag: Bag) -> None:
    shape: dict[str, Any] = {"samplerate": RATE, "blocksize": 512, "channels": 2}
    assert name in sentence(lambda: Processor(bag=tiny_bag).prepare(**(shape | {name: value})))


@pytest.mark.parametrize("samplerate", [1, 999, 768_001])
def test_rates_that_no_audio_has(samplerate: int, tiny_bag: Bag) -> None:
    assert "samplerate" in sentence(lambda: Processor(bag=tiny_bag).prepare(samplerate, 512, 2))


def test_numpy_s_own_whole_numbers_are_whole_numbers(tiny_bag: Bag) -> None:
    with Processor(bag=tiny_bag, jobs=np.int64(0), batch=np.int32(1)) as processor:
        processor.prepare(np.int64(RATE), np.int64(512), np.uint8(2))
        assert processor.process(noise(512)).frames == 512


@pytest.mark.parametrize(
    ("block", "said"),
    [
        (noise(100, 6), "the block is (100, 6)"),
        (noise(100)[:, 0], "the block is (100,)"),
        (np.zeros((2, 50, 2), "f4"), "the block is (2, 50, 2)"),
        (np.float32(1), "the block is ()"),
        (np.zeros((100, 2), "i2"), "holds int16, and samples must be floats"),
        (np.zeros((100, 2), "?"), "holds bool"),
        (np.zeros((100, 2), "c8"), "holds complex64"),
        ([[1, "x"]], "must be floats"),
        ([[1.0], [1.0, 2.0]], "must be a numpy array"),
        (None, "must be floats"),
        ("a block", "must be floats"),
    ],
    ids=lambda value: str(value)[:20],
)
@pytest.mark.parametrize("call", ["feed", "process"])
def test_blocks(call: str, block: object, said: str, tiny_bag: Bag) -> None:
    with Processor(bag=tiny_bag) as processor:
        processor.prepare(RATE, 512, 2)
        assert said in sentence(lambda: getattr(processor, call)(block))
        # nothing of it is left in the stream
        mix = noise(512)
        out = [*processor.feed(mix), *processor.flush()]
    np.testing.assert_array_equal(np.concatenate([one.mix for one in out]), mix)


@pytest.mark.parametrize("normalize", ["rms", "none"])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("residual", [False, True])
def test_samples_of_3e38_warn_nobody(
    dtype: str, normalize: str, residual: bool, tiny_bag: Bag
) -> None:
    mix: Samples = noise(9000, 6).astype(dtype)
    mix[1000:1100] = 3e38 if dtype == "f4" else 1e300
    mix[2000:2100, 0] = -3e38
    settings = Settings(normalize=normalize, residual=residual)
    with Processor(settings, bag=tiny_bag) as processor, warnings.catch_warnings():
        warnings.simplefilter("error")
        processor.prepare(RATE, 9000, 6)
        out = [*processor.feed(mix), *processor.flush()]
    assert all(np.isfinite(one.data).all() and np.isfinite(one.mix).all() for one in out)
    assert processor.repaired_samples == 700


def test_process_from_two_threads_is_one_sentence() -> None:
    said: list[str] = []
    processor: Processor

    def meet(_window: object) -> None:
        other = threading.Thread(
            target=lambda: said.append(sentence(lambda: processor.feed(noise(100))))
        )
        other.start()
        other.join()

    live = Live(on_job=meet)
    with Processor(LIVE, live=live) as processor:
        processor.prepare(44100, 44100, 2)
        processor.feed(noise(44100))
        processor.flush()
        assert said
        assert all("another thread is using this processor" in one for one in said)


def test_what_is_not_for_every_processor(tiny_bag: Bag) -> None:
    with Processor(bag=tiny_bag) as processor:
        processor.prepare(RATE, 512, 2)
        assert "not live" in sentence(processor.warm_up)
        assert "not live" in sentence(lambda: processor.switch(processor.plan))
        assert "plan=5" in sentence(lambda: processor.switch(5))
    with Processor(LIVE, live=Live()) as live:
        live.prepare(44100, 512, 2)
        assert "of live windows and the stems" in sentence(lambda: live.switch(processor.plan))


@pytest.mark.parametrize("path", [None, 5, [], b"a.wav", object(), "", "a\0b", "nowhere.wav"])
def test_paths(path: Any) -> None:
    sentence(lambda: list(streamer.stream(path, model="passthrough")))
    if path != []:
        sentence(lambda: streamer.separate(path, model="passthrough"))
        sentence(lambda: streamer.separate([path], model="passthrough"))


@pytest.mark.parametrize("name", [None, 5, b"htdemucs", ["htdemucs"], "", "no such", "a\0b"])
def test_models(name: Any) -> None:
    sentence(lambda: streamer.load(name))


@pytest.mark.parametrize("settings", [None, 5, Settings(), "live", {}])
def test_live_sessions(settings: Any) -> None:
    sentence(lambda: open_session(settings, None))


def model_threads() -> int:
    return sum(thread.name == "stemstream-model" for thread in threading.enumerate())


def test_live_processors_that_are_dropped_keep_no_thread() -> None:
    before = model_threads()
    held = []
    for _ in range(20):
        processor = Processor(LIVE, live=Live())
        processor.prepare(44100, 512, 2)
        processor.process(noise(512))
        held.append(processor)
    assert model_threads() == before + 20
    threads = [one for one in threading.enumerate() if one.name == "stemstream-model"]
    del held, processor
    gc.collect()
    for thread in threads[-20:]:
        thread.join(10)
    assert model_threads() == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system with fork")
@pytest.mark.parametrize("doing", ["load", "feed"])
def test_a_process_that_was_forked_after_a_run_says_so(doing: str) -> None:
    streamer.load("htdemucs_mini", backend="torch")
    processor = Processor(bag=bag_of([tiny()], [[1] * 4]))
    processor.prepare(RATE, 512, 2)
    receiver, sender = os.pipe()
    child = os.fork()
    if not child:  # nothing of the tests may happen twice, whatever becomes of this
        try:
            if doing == "load":
                streamer.load("htdemucs_mini", backend="torch")
            else:
                processor.feed(noise(512))
            os.write(sender, b"no error")
        except BaseException as error:
            os.write(sender, f"{type(error).__name__}: {error}".encode())
        finally:
            os._exit(0)
    os.close(sender)
    with os.fdopen(receiver, "rb") as told:
        said = told.read().decode()
    os.waitpid(child, 0)
    assert said.startswith("ModelError: this process was forked after a model was loaded")


@pytest.mark.parametrize(
    "call",
    [
        lambda: streamer.Processor(overlap=5),
        lambda: streamer.stream("song.wav", overlap=5),
        lambda: streamer.separate("song.wav", overlap=5),
    ],
    ids=["Processor", "stream", "separate"],
)
def test_a_wrong_option_is_called_as_it_was_written_in_python(call):
    with pytest.raises(SettingsError, match=r"^overlap=5 must be between 0 and 0\.99; try 0\.25$"):
        list(call())
