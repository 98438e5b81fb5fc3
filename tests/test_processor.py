"""The core behind its plugin-style face: constant delay, any blocks, any rate, any channels."""

from __future__ import annotations

import weakref

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from support.doubles import RATE, SOURCES, RecordingSeparator, bag_of, noise, tiny

import streamer
from streamer import ModelError, Processor, Settings, SettingsError
from streamer.audio import Samples
from streamer.models import load
from streamer.models.separator import WHOLE, Bag


def blocks_of(mix: Samples, sizes: list[int]):
    """The mix in blocks of the sizes, over and over."""
    start = index = 0
    while start < len(mix):
        yield mix[start : start + sizes[index % len(sizes)]]
        start += sizes[index % len(sizes)]
        index += 1


def fed(processor: Processor, mix: Samples, sizes: list[int]) -> Samples:
    """The stems and, last, the mix as `feed` and `flush` give them."""
    parts = [stems for block in blocks_of(mix, sizes) for stems in processor.feed(block)]
    parts += processor.flush()
    position = 0
    for stems in parts:
        assert stems.start_frame == position
        position += stems.frames
    assert position == len(mix)
    return np.concatenate([np.concatenate([p.data, p.mix[None]]) for p in parts], axis=1)


def processed(processor: Processor, mix: Samples, sizes: list[int]) -> Samples:
    """The same as `process` gives them, with its delay cut off."""
    parts = []
    for block in blocks_of(mix, sizes):
        parts.append(processor.process(block))
        assert parts[-1].frames == len(block)
    parts += processor.flush()
    whole = np.concatenate([np.concatenate([p.data, p.mix[None]]) for p in parts], axis=1)
    assert parts[0].start_frame == -processor.latency_frames
    delay = whole[:, : processor.latency_frames]
    assert not delay.any(), "the delay is silence"
    return whole[:, processor.latency_frames :]


def test_a_processor_is_prepared_before_it_is_reset() -> None:
    with pytest.raises(SettingsError, match="not prepared"):
        Processor(bag=bag_of([tiny()], [[1] * 4])).reset()


@pytest.mark.parametrize("normalize", ["none", "rms"])
@pytest.mark.parametrize(("samplerate", "channels"), [(RATE, 2), (11025, 1), (7350, 6)])
@given(sizes=st.lists(st.integers(0, 3000), min_size=1, max_size=6).filter(sum))
@settings(max_examples=3, deadline=None)
def test_any_blocks_give_the_same_to_the_bit(normalize, samplerate, channels, sizes) -> None:
    bag = bag_of([tiny(), tiny("hdemucs", segment=0.3)], [[1, 0, 1, 1], [1, 1, 0.5, 1]])
    wish = Settings(normalize=normalize, shifts=2)
    mix = noise(samplerate, channels)
    processor = Processor(wish, bag=bag)
    processor.prepare(samplerate, 3000, channels)
    whole = fed(processor, mix, [len(mix)])
    processor.reset()
    np.testing.assert_array_equal(fed(processor, mix, sizes), whole)
    processor.reset()
    np.testing.assert_array_equal(processed(processor, mix, sizes), whole)
    with Processor(wish, bag=bag, jobs=2) as background:
        background.prepare(samplerate, 3000, channels)
        np.testing.assert_array_equal(fed(background, mix, sizes), whole)


@pytest.mark.parametrize("samplerate", [8000, 44100, 48000, 192000])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_the_identity_comes_back_at_any_rate(samplerate: int, channels: int) -> None:
    """A model whose stems are its input gives back the mix, as far as both rates carry it."""
    seconds = np.arange(samplerate * 2) / samplerate
    tone = 0.3 * np.sin(2 * np.pi * 997 * seconds).astype("f4")
    mix = np.repeat(tone[:, None], channels, axis=1)
    processor = Processor(Settings(model="passthrough", shifts=0))
    processor.prepare(samplerate, 65536, channels)
    out = fed(processor, mix, [65536])
    assert out.shape == (5, len(mix), 1 if channels == 1 else 2)
    margin = samplerate // 20  # the filters ring where the tone begins and ends
    error = (out[0] - out[-1])[margin:-margin]
    assert np.abs(error).max() < 3e-4


def test_stream_processor_and_files_agree(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    mix = noise(30_000)
    soundfile.write("song.wav", mix, 44100, subtype="FLOAT")
    options = {"model": "htdemucs_mini", "seed": 4}
    streamed = list(streamer.stream("song.wav", **options))
    assert streamed[0]["vocals"].shape[1] == 2
    whole = np.concatenate([stems.data for stems in streamed], axis=1)
    processor = Processor(**options)
    processor.prepare(44100, 4096, 2)
    np.testing.assert_array_equal(processed(processor, mix, [4096, 1, 77])[:4], whole)
    (report,) = streamer.separate("song.wav", out="out", sample_format="float32", **options)
    assert report.frames == len(mix)
    for index, name in enumerate(SOURCES):
        path = tmp_path / "out" / "htdemucs_mini" / "song" / f"{name}.wav"
        assert report.paths[name].resolve() == path
        np.testing.assert_array_equal(soundfile.read(path, dtype="float32")[0], whole[index])


def test_through_gives_what_feed_and_flush_give_and_holds_no_window() -> None:
    given = []

    class Weighed(RecordingSeparator):
        def __call__(self, windows: Samples, kept: slice = WHOLE) -> Samples:
            stems = super().__call__(windows, kept)
            given.append(weakref.ref(stems))
            return stems

    mix, window_frames = noise(150_000), 60_000
    with Processor(bag=Weighed(window_frames).bag()) as processor:
        processor.prepare(RATE, len(mix), 2)
        parts = []
        for stems in processor.through(blocks_of(mix, [100_000, 3])):
            assert not any(ref() is not None for ref in given), "all is blended by now"
            assert stems.frames < window_frames / 2
            parts.append(stems.data)
        with pytest.raises(SettingsError, match=r"call reset\(\) to begin another"):
            processor.feed(mix)
        processor.reset()
        expected = fed(processor, mix, [100_000, 3])
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), expected[:-1])


def test_the_caller_may_reuse_its_block(tiny_bag: Bag) -> None:
    mix = noise(9000)
    processor = Processor(Settings(), bag=tiny_bag)
    processor.prepare(RATE, 500, 2)
    buffer, out = np.zeros((500, 2), "f4"), []
    for start in range(0, 9000, 500):
        buffer[:] = mix[start : start + 500]
        out.append(processor.process(buffer))
        buffer[:] = 9
    out += processor.flush()
    whole = np.concatenate([stems.mix for stems in out])
    np.testing.assert_array_equal(whole[processor.latency_frames :], mix)


def test_dynamics_come_back(tiny_bag: Bag) -> None:
    """What goes in with a swell comes out with it: the gain is taken back frame by frame."""
    mix = noise(16_000)
    mix[8000:] *= 0.05
    bag = load("passthrough", window=0.4)
    processor = Processor(Settings(normalize="rms", shifts=1), bag=bag)
    processor.prepare(44100, 65536, 2)
    np.testing.assert_allclose(fed(processor, mix, [1000])[0], mix, atol=2e-7)


def test_numbers_that_are_none_become_silence_and_are_counted(tiny_bag: Bag) -> None:
    mix = noise(5000)
    mix[100, 0], mix[2000, 1] = np.nan, np.inf
    processor = Processor(Settings(), bag=tiny_bag)
    processor.prepare(RATE, 5000, 2)
    assert np.isfinite(fed(processor, mix, [700])).all()
    assert processor.repaired_samples == 2


def test_a_stream_that_was_flushed_has_ended(tiny_bag: Bag) -> None:
    block = noise(500)
    with Processor(bag=tiny_bag) as processor:
        processor.prepare(RATE, 500, 2)
        first = [*processor.feed(block), *processor.flush()]
        for more in (processor.process, processor.feed, lambda _block: processor.flush()):
            with pytest.raises(SettingsError, match=r"call reset\(\) to begin another"):
                more(block)
        processor.reset()
        again = [*processor.feed(block), *processor.flush()]
    assert sum(stems.frames for stems in again) == 500
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.data, other.data)


@pytest.mark.parametrize("error", [ModelError, KeyboardInterrupt])
def test_a_stream_that_lost_a_part_goes_on_only_anew(error) -> None:
    class Failing(RecordingSeparator):
        fails = True

        def __call__(self, windows: Samples, kept: slice = WHOLE) -> Samples:
            if self.fails:
                raise error("once")
            return super().__call__(windows, kept)

    model, block = Failing(600), noise(700)
    with Processor(bag=model.bag()) as processor:
        processor.prepare(RATE, len(block), 2)
        with pytest.raises(error):
            processor.feed(block)
        model.fails = False
        for more in (processor.process, processor.feed, lambda _block: processor.flush()):
            with pytest.raises(
                SettingsError, match=r"lost a part.*; call reset\(\) to begin another"
            ):
                more(block)
        processor.reset()
        with pytest.raises(SettingsError, match="the block"):
            processor.feed(noise(5, 3))  # nothing was done
        assert fed(processor, block, [700]).shape[1] == len(block)


def test_a_through_that_is_left_early_ends_its_own_stream_alone() -> None:
    block = noise(100_000)
    with Processor(bag=RecordingSeparator(600).bag()) as processor:
        processor.prepare(RATE, len(block), 2)
        left = processor.through([block])
        next(left)
        with pytest.raises(SettingsError, match=r"another thread.*or a through\(\) that goes on"):
            processor.feed(block)
        left.close()
        with pytest.raises(SettingsError, match="lost a part"):
            processor.feed(block)
        processor.reset()
        left = processor.through([block])
        next(left)
        processor.reset()
        left.close()  # of the stream before: this one has lost nothing
        assert fed(processor, block, [len(block)]).shape[1] == len(block)


def test_a_stream_is_taken_by_blocks_or_fed_but_not_both(tiny_bag: Bag) -> None:
    processor = Processor(bag=tiny_bag)
    processor.prepare(44100, 500, 2)
    processor.process(noise(500))
    for feed in (processor.feed, lambda block: list(processor.through([block]))):
        with pytest.raises(SettingsError, match=r"began with process\(\); call reset\(\)"):
            feed(noise(3000))
    processor.process(noise(500))
    processor.reset()
    processor.feed(noise(500))
    with pytest.raises(SettingsError, match=r"began with feed\(\); call reset\(\)"):
        processor.process(noise(500))


def test_two_stems_residual_and_conserve_add_up(tiny_bag: Bag) -> None:
    mix = noise(9000)

    def stems(**options) -> tuple[tuple[str, ...], Samples]:
        processor = Processor(Settings(clip_mode="none", **options), bag=tiny_bag)
        processor.prepare(RATE, 9000, 2)
        return processor.names, fed(processor, mix, [9000])[:-1]

    names, four = stems()
    assert names == tuple(SOURCES)
    names, two = stems(two_stems="vocals")
    assert names == ("vocals", "no_vocals")
    np.testing.assert_allclose(two[1], four[:3].sum(0), atol=1e-6)
    names, two = stems(two_stems="drums", other_method="minus")
    assert names == ("drums", "minus_drums")
    np.testing.assert_allclose(two.sum(0), mix, atol=1e-6)
    assert stems(two_stems="drums", other_method="none")[0] == ("drums",)
    names, five = stems(residual=True)
    assert names == (*SOURCES, "residual")
    np.testing.assert_allclose(five.sum(0), mix, atol=1e-6)
    names, kept = stems(conserve=True, stems=("other", "bass"))
    assert names == ("other", "bass")
    np.testing.assert_allclose(kept[0] + four[[0, 1, 3]].sum(0), mix, atol=1e-6)
    names, some = stems(stems=("vocals", "drums"))
    np.testing.assert_array_equal(some, four[[3, 0]])


def test_what_cannot_be_asked_is_refused(tiny_bag: Bag) -> None:
    with pytest.raises(SettingsError, match="no stem 'piano'"):
        Processor(Settings(stems=("piano",)), bag=tiny_bag)
    processor = Processor(Settings(normalize="track"), bag=tiny_bag)
    with pytest.raises(SettingsError, match="whole track"):
        processor.prepare(RATE, 512, 2)
    processor = Processor(Settings(), bag=tiny_bag)
    with pytest.raises(SettingsError, match="prepare"):
        processor.process(noise(10))
    with Processor(Settings(), bag=tiny_bag, jobs=1) as background:
        background.prepare(RATE, 512, 2)
        with pytest.raises(SettingsError, match="jobs=0"):
            background.process(noise(10))
    processor.prepare(RATE, 512, 2)
    with pytest.raises(SettingsError, match=r"\(513, 2\)"):
        processor.process(noise(513))
    with pytest.raises(SettingsError, match=r"\(5, 1\)"):
        processor.process(noise(5, 1))


@pytest.mark.parametrize("way", ["residual", "conserve", "minus", "add"])
@pytest.mark.parametrize("normalize", ["rms", "none"])
@pytest.mark.parametrize(("samplerate", "channels"), [(RATE, 2), (11025, 1), (RATE, 1), (7350, 6)])
@pytest.mark.parametrize("shifts", [0, 2])
def test_sixty_four_sums_are_exact(
    way: str, normalize: str, samplerate: int, channels: int, shifts: int, tiny_bag: Bag
) -> None:
    options = {"residual": {"residual": True}, "conserve": {"conserve": True}}.get(
        way, {"two_stems": "vocals", "other_method": way}
    )
    wish = Settings(clip_mode="none", normalize=normalize, shifts=shifts, **options)
    processor = Processor(wish, bag=tiny_bag)
    processor.prepare(samplerate, 4000, channels)
    *stems, mix = fed(processor, noise(6000, channels), [4000, 77])
    if way == "add":  # the others added up are the model's, so what is lost of the mix stays lost
        four = Processor(wish.model_copy(update={"two_stems": None}), bag=tiny_bag)
        four.prepare(samplerate, 4000, channels)
        mix = sum(fed(four, noise(6000, channels), [4000, 77])[:-1])
    np.testing.assert_allclose(sum(stems), mix, atol=1e-6)
