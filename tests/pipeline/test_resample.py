import subprocess
import sys

import numpy as np
import pytest
import soxr
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.errors import SettingsError
from streamer.models.torchaudio_resample import KAISER_BEST, TorchaudioEngine, load_torchaudio
from streamer.pipeline.resample import SOXR_QUALITY, make_resampler, resampled_frames

RATES = [
    (44100, 48000),
    (48000, 44100),
    (11025, 44100),
    (44100, 22050),
    (96000, 44100),
    (8000, 44100),
    (44100, 8000),
    (192000, 8000),
    (8000, 192000),
]
ODD_RATES = [(44100, 47999), (47999, 44100), (12345, 54321), (191999, 8000)]
CASES = [("soxr", *rates) for rates in RATES + ODD_RATES] + [("torchaudio", *r) for r in RATES]
each_case = pytest.mark.parametrize(("engine", "from_rate", "to_rate"), CASES)


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """Many threads only wait for each other on stretches as short as these."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def noise(frames, channels=2, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (frames, channels)).astype(np.float32)


def one_shot(engine, x, from_rate, to_rate):
    if engine == "soxr":
        return soxr.resample(x, from_rate, to_rate, SOXR_QUALITY)
    resample = load_torchaudio().functional.resample
    # in float64: for float32 it rounds its filter's phases too, which costs it 30 dB
    signal = torch.from_numpy(x.T.astype(np.float64))
    return resample(signal, from_rate, to_rate, **KAISER_BEST).numpy().T


@each_case
@pytest.mark.parametrize("frames", [1, 5000])
def test_a_stream_equals_one_shot(engine, from_rate, to_rate, frames):
    x = noise(frames)
    resampler = make_resampler(from_rate, to_rate, 2, engine)
    out = np.concatenate([resampler.feed(x[:333]), resampler.feed(x[333:]), resampler.flush()])
    expected = one_shot(engine, x, from_rate, to_rate)
    assert out.dtype == np.float32
    assert out.shape == (resampled_frames(frames, from_rate, to_rate), 2)
    # libsoxr rounds the length to the nearest, so it may stop a frame earlier
    assert 0 <= len(out) - len(expected) <= (engine == "soxr")
    np.testing.assert_allclose(out[: len(expected)], expected, rtol=0, atol=1.5e-6)


@pytest.mark.parametrize("rates", [(44100, 48000), (48000, 44100), (8000, 44100), (44100, 47999)])
def test_soxr_in_a_stream_is_its_one_shot_to_the_bit(rates):
    x = noise(20000)
    resampler = make_resampler(*rates, 2, "soxr")
    out = np.concatenate([resampler.feed(x), resampler.flush()])
    expected = one_shot("soxr", x, *rates)
    np.testing.assert_array_equal(out[: len(expected)], expected)


@each_case
@settings(max_examples=12, deadline=None)
@given(sizes=st.lists(st.sampled_from([0, 1, 2, 255, 256, 257, 511, 1500, 4096]), max_size=12))
def test_how_the_input_is_cut_does_not_show(engine, from_rate, to_rate, sizes):
    x = noise(sum(sizes))
    ragged, single = (make_resampler(from_rate, to_rate, 2, engine) for _ in range(2))
    blocks = np.split(x, np.cumsum(sizes)[:-1]) if sizes else []
    ready = [ragged.feed(block.copy()) for block in blocks]
    at_once = single.feed(x)
    # what is ready depends on how many frames went in, not on how
    np.testing.assert_array_equal(np.concatenate([at_once[:0], *ready]), at_once)
    np.testing.assert_array_equal(ragged.flush(), single.flush())


@each_case
def test_output_is_never_later_than_announced(engine, from_rate, to_rate):
    resampler = make_resampler(from_rate, to_rate, 1, engine)
    sizes = np.random.default_rng(3).integers(0, 900, 300)
    fed = ready = most = 0
    for size in sizes:
        ready += len(resampler.feed(np.zeros((size, 1), np.float32)))
        fed += size
        most = max(most, fed * to_rate // from_rate - ready)
    assert most <= resampler.delay_frames
    # nor is the announcement idle: it is what a live run pays
    quantum = 256 if engine == "soxr" else 1024
    assert resampler.delay_frames <= most + 2 * resampled_frames(quantum, from_rate, to_rate)


@pytest.mark.parametrize("engine", ["soxr", "torchaudio"])
def test_the_worst_delay_frame_by_frame(engine):
    resampler = make_resampler(44100, 48000, 1, engine)
    ready = 0
    for fed in range(1, 9000):
        ready += len(resampler.feed(np.zeros((1, 1), np.float32)))
        assert ready >= fed * 48000 // 44100 - resampler.delay_frames


@each_case
def test_after_reset_and_after_flush_it_is_as_new(engine, from_rate, to_rate):
    x = noise(3000)
    resampler = make_resampler(from_rate, to_rate, 2, engine)
    first = np.concatenate([resampler.feed(x), resampler.flush()])
    after_flush = np.concatenate([resampler.feed(x), resampler.flush()])
    resampler.feed(noise(1777, seed=1))
    resampler.reset()
    after_reset = np.concatenate([resampler.feed(x), resampler.flush()])
    np.testing.assert_array_equal(after_flush, first)
    np.testing.assert_array_equal(after_reset, first)


@each_case
def test_nothing_in_nothing_out(engine, from_rate, to_rate):
    resampler = make_resampler(from_rate, to_rate, 3, engine)
    assert resampler.flush().shape == (0, 3)
    assert resampler.feed(noise(0, 3)).shape == (0, 3)
    assert resampler.flush().shape == (0, 3)


@pytest.mark.parametrize("engine", ["soxr", "torchaudio"])
def test_many_channels_are_each_resampled_alone(engine):
    x = noise(4000, 12)
    many = make_resampler(48000, 44100, 12, engine)
    out = np.concatenate([many.feed(x), many.flush()])
    for channel in (0, 5, 11):
        single = make_resampler(48000, 44100, 1, engine)
        alone = np.concatenate([single.feed(x[:, channel : channel + 1]), single.flush()])
        np.testing.assert_allclose(out[:, channel], alone[:, 0], rtol=0, atol=1e-6)


@pytest.mark.parametrize("engine", ["soxr", "torchaudio"])
@pytest.mark.parametrize("frequency", [100, 1000, 15000])
def test_a_tone_stays_that_tone_in_place_and_level(engine, frequency):
    x = 0.5 * np.sin(2 * np.pi * frequency * np.arange(20000) / 44100)
    resampler = make_resampler(44100, 48000, 1, engine)
    x = x.astype(np.float32)[:, np.newaxis]
    out = np.concatenate([resampler.feed(x), resampler.flush()])[:, 0]
    expected = 0.5 * np.sin(2 * np.pi * frequency * np.arange(len(out)) / 48000)
    np.testing.assert_allclose(out[2000:-2000], expected[2000:-2000], rtol=0, atol=1e-4)


@pytest.mark.parametrize("engine", ["soxr", "torchaudio"])
def test_equal_rates_copy_nothing(engine):
    x = noise(100)
    resampler = make_resampler(44100, 44100, 2, engine)
    assert resampler.delay_frames == 0
    assert resampler.feed(x) is x
    assert resampler.flush().shape == (0, 2)


def test_a_block_may_be_reused_by_the_caller():
    x = noise(100)
    resampler = make_resampler(44100, 48000, 2, "soxr")
    kept, block = x.copy(), x
    resampler.feed(block)
    block[:] = 7
    expected = one_shot("soxr", kept, 44100, 48000)
    np.testing.assert_array_equal(resampler.flush()[: len(expected)], expected)


@given(st.integers(0, 10**9), st.integers(8000, 192000), st.integers(8000, 192000))
def test_there_and_back_is_never_shorter(frames, source, model):
    there = resampled_frames(frames, source, model)
    assert resampled_frames(there, model, source) >= frames
    assert there * source >= frames * model > (there - 1) * source or frames == there == 0


def test_torchaudio_refuses_a_ratio_that_would_fill_the_memory():
    with pytest.raises(SettingsError, match=r"44100 to 47999 Hz.*--resampler soxr"):
        make_resampler(44100, 47999, 2, "torchaudio")


def test_the_announced_delay_of_torchaudio_is_exact():
    engine = TorchaudioEngine(44100, 48000, 1)
    delay_frames = engine.worst_delay_frames
    resampler = make_resampler(44100, 48000, 1, "torchaudio")
    most = ready = 0
    for fed in range(1, 6000):
        ready += len(resampler.feed(np.zeros((1, 1), np.float32)))
        most = max(most, fed * 48000 // 44100 - ready)
    assert delay_frames - 1 <= most <= delay_frames


def test_torch_is_imported_only_for_its_engine():
    code = (
        "import sys, numpy as np; from streamer.pipeline.resample import make_resampler;"
        "make_resampler(44100, 48000, 2, 'soxr').feed(np.zeros((999, 2), 'f4'));"
        "sys.exit('torch' in sys.modules or 'torchaudio' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
