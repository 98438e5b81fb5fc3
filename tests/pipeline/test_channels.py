import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.pipeline.channels import downmix_note, from_model, repair, to_mix, to_model


def noise(*shape):
    return np.random.default_rng(1).uniform(-1, 1, shape).astype(np.float32)


def test_stereo_passes_without_a_copy():
    block = noise(100, 2)
    stems = noise(4, 100, 2)
    assert to_model(block, 2) is block
    assert to_mix(block, 2) is block
    assert from_model(stems, 2) is stems


def test_mono_is_doubled_and_its_stems_come_back_mono_unchanged():
    block = noise(100, 1)
    doubled = to_model(block, 2)
    assert doubled.dtype == np.float32
    np.testing.assert_array_equal(doubled, np.column_stack([block, block]))
    stems = np.stack([doubled, 0.3 * doubled])
    back = from_model(stems, 1)
    assert back.shape == (2, 100, 1)
    np.testing.assert_array_equal(back[0], block)
    assert to_mix(block, 2) is block


def test_mono_stems_are_the_mean_of_both_sides():
    stems = np.float32([[[0.2, 0.6]]])
    assert from_model(stems, 1)[0, 0, 0] == pytest.approx(0.4)


def test_a_model_of_one_channel_gets_the_mean():
    block = np.float32([[0.2, 0.6], [-1, 1]])
    np.testing.assert_allclose(to_model(block, 1), [[0.4], [0]], rtol=1e-6)
    mono = noise(10, 1)
    assert to_model(mono, 1) is mono
    stems = noise(4, 10, 1)
    assert from_model(stems, 1) is stems
    assert from_model(stems, 2) is stems
    assert to_mix(block, 1).shape == (2, 1)


@pytest.mark.parametrize(
    ("channels", "left_gains"),
    [
        (3, "L 1, R 0, C c"),
        (4, "L 1, R 0, BL c, BR 0"),
        (5, "L 1, R 0, C c, BL c, BR 0"),
        (6, "L 1, R 0, C c, LFE 0, BL c, BR 0"),
        (7, "L 1, R 0, C c, LFE 0, BC b, SL c, SR 0"),
        (8, "L 1, R 0, C c, LFE 0, BL c, BR 0, SL c, SR 0"),
    ],
)
def test_itu_gains(channels, left_gains):
    values = {"1": 1, "0": 0, "c": 1 / np.sqrt(2), "b": 0.5}
    expected = np.array([values[pair.split()[1]] for pair in left_gains.split(", ")])
    left = to_model(np.eye(channels, dtype=np.float32), 2)[:, 0]
    np.testing.assert_allclose(left, expected / expected.sum(), atol=1e-7)


@pytest.mark.parametrize("channels", range(3, 9))
def test_left_and_right_mirror_each_other(channels):
    mirror = {3: "102", 4: "1032", 5: "10243", 6: "102354", 7: "1023465", 8: "10235476"}[channels]
    gains = to_model(np.eye(channels, dtype=np.float32), 2)
    np.testing.assert_array_equal(gains[[int(c) for c in mirror]], gains[:, ::-1])


@pytest.mark.parametrize("channels", [*range(3, 13), 64])
@pytest.mark.parametrize("model_channels", [1, 2])
def test_nothing_clips_that_did_not(channels, model_channels):
    worst = to_model(np.ones((1, channels), np.float32), model_channels)
    np.testing.assert_allclose(worst, 1, atol=1e-6)
    assert worst.dtype == np.float32
    assert np.abs(to_model(noise(1000, channels), model_channels)).max() <= 1


def test_more_than_eight_channels_are_averaged_even_and_odd():
    block = np.arange(9, dtype=np.float32)[np.newaxis]
    np.testing.assert_allclose(to_model(block, 2), [[4, 4]], rtol=1e-6)
    block[0, 8] = 18
    np.testing.assert_allclose(to_model(block, 2), [[6, 4]], rtol=1e-6)


@given(channels=st.integers(1, 12), cut=st.integers(0, 301), model=st.sampled_from([1, 2]))
def test_where_a_block_is_cut_does_not_show(channels, cut, model):
    block = noise(301, channels)
    parts = np.concatenate([to_model(block[:cut], model), to_model(block[cut:], model)])
    np.testing.assert_array_equal(parts, to_model(block, model))


def test_the_note():
    assert downmix_note(1) is None
    assert downmix_note(2) is None
    assert downmix_note(3) == "3 channels are downmixed to stereo (ITU-R BS.775)"
    assert downmix_note(6) == (
        "6 channels are downmixed to stereo without the LFE channel (ITU-R BS.775)"
    )
    assert "even and the odd" in str(downmix_note(12))


def test_repair_counts_and_silences_what_is_no_number():
    block = noise(50, 2)
    block[3, 0], block[4, 1], block[5] = np.nan, np.inf, -np.inf
    kept = block.copy()
    whole, count = repair(block)
    assert count == 4
    assert whole.dtype == np.float32
    bad = ~np.isfinite(kept)
    assert not whole[bad].any()
    np.testing.assert_array_equal(whole[~bad], kept[~bad])
    np.testing.assert_array_equal(block, kept)  # the caller's block is his


def test_repair_of_sound_samples_copies_nothing():
    block = noise(50, 2)
    whole, count = repair(block)
    assert whole is block
    assert count == 0
    assert repair(np.zeros((0, 2), np.float32))[1] == 0
