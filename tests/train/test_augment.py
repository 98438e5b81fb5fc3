"""Examples: what varies them, and that nothing but their number decides what they are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.signal import butter, sosfilt
from support.doubles import RATE, SOURCES

from streamer.files import open_source
from streamer.train.augment import AUGMENTATIONS, Warp
from streamer.train.corpora import gather
from streamer.train.examples import RECIPE, Course, Examples, load, recipe_of
from streamer.train.preview import write_preview
from streamer.train.settings import TrainSettings
from streamer.train.studio import MIX_VARIATIONS, STEM_VARIATIONS

FRAMES = RATE


@pytest.fixture
def settings(songs, tmp_path):
    return TrainSettings(data=songs, out=tmp_path / "out")


@pytest.fixture
def corpora(settings):
    return gather(settings, SOURCES, RATE)


@pytest.fixture
def examples(corpora):
    def make(recipe, seed=0, frames=FRAMES):
        return Examples(corpora.training, corpora.chances, recipe, frames, seed)

    return make


def tone(hertz, seconds=1.0):
    wave = 0.3 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)
    return np.stack([wave, 0.5 * wave], axis=1).astype(np.float32)


def loudest_hertz(stem):
    spectrum = np.abs(np.fft.rfft(stem[:, 0] * np.hanning(len(stem))))
    return spectrum.argmax() * RATE / len(stem)


@pytest.mark.parametrize("semitones", [-2.0, 2.0])
def test_pitch(semitones):
    shifted = Warp(semitones=semitones)(tone(400), RATE, RATE)
    assert shifted.shape == (RATE, 2)
    assert loudest_hertz(shifted) == pytest.approx(400 * 2 ** (semitones / 12), rel=0.01)


@pytest.mark.parametrize("tempo", [0.8, 1.2])
def test_tempo(tempo):
    warp = Warp(tempo=tempo)
    source = tone(400, 3)[: warp.source_frames(2 * RATE)].copy()
    source[: round(0.5 * RATE)] = 0
    warped = warp(source, RATE, 2 * RATE)
    assert warped.shape == (2 * RATE, 2)
    assert loudest_hertz(warped) == pytest.approx(400, rel=0.01)
    began = np.argmax(np.abs(warped[:, 0]) > 0.1) / RATE
    assert began == pytest.approx(0.5 / tempo, abs=0.05)


def test_no_warp_is_exact():
    assert np.array_equal(Warp()(tone(400), RATE, RATE), tone(400))


@pytest.mark.parametrize("name", STEM_VARIATIONS)
def test_each_alters_a_stem_and_keeps_its_shape(name):
    stem = tone(400)
    before = stem.copy()
    varied = STEM_VARIATIONS[name](stem, np.random.default_rng(1), RATE)
    assert varied.shape == stem.shape
    assert varied.dtype == np.float32
    assert np.isfinite(varied).all()
    assert np.abs(varied - stem).max() > 1e-3
    assert np.array_equal(stem, before)


def test_reverb_goes_on_after_the_sound_and_not_before_it():
    stem = np.zeros((RATE, 2), np.float32)
    stem[100] = 1
    wet = AUGMENTATIONS["reverb"](stem, np.random.default_rng(0), RATE)
    assert np.abs(wet[:100]).max() < 1e-6  # rounding of the convolution
    assert np.abs(wet[400:]).max() > 1e-3


def test_formants_move_and_the_pitch_stays():
    pulses = np.zeros((RATE, 2), np.float32)
    pulses[:: RATE // 100] = 1  # a voice of 100 Hz
    low = sosfilt(butter(2, [700, 900], "bandpass", fs=RATE, output="sos"), pulses, axis=0)
    voice = low.astype(np.float32)

    def middle_hertz(stem):
        power = np.square(np.abs(np.fft.rfft(stem[:, 0])))
        return (power * np.fft.rfftfreq(len(stem), 1 / RATE)).sum() / power.sum()

    for seed in range(8):
        factor = 1 + np.random.default_rng(seed).uniform(-0.15, 0.15)
        other = STEM_VARIATIONS["formants"](voice, np.random.default_rng(seed), RATE)
        assert middle_hertz(other) / middle_hertz(voice) == pytest.approx(factor, abs=0.05)
        lines = np.abs(np.fft.rfft(other[:, 0]))[: 12 * 100]
        assert np.square(lines[::100]).sum() > 0.8 * np.square(lines).sum()


def test_a_compressor_brings_loud_and_soft_nearer():
    stem = tone(400)
    stem[: RATE // 2] *= 0.1
    varied = STEM_VARIATIONS["compressor"](stem, np.random.default_rng(0), RATE)

    def apart_db(one):
        loud, soft = (
            np.square(one[-RATE // 4 :]).mean(),
            np.square(one[RATE // 8 : RATE // 3]).mean(),
        )
        return 10 * np.log10(loud / soft)

    assert apart_db(varied) < apart_db(stem) - 2


@pytest.mark.parametrize("rate", [RATE, 20_000, 96_000], ids=["taken", "between", "too high"])
def test_what_went_through_a_codec_lies_where_it_lay(rate):
    noise = np.random.default_rng(0).normal(0, 0.2, (rate, 2))
    sos = butter(4, 0.1 * RATE, fs=rate, output="sos")
    stem = sosfilt(sos, noise, axis=0).astype(np.float32)
    coded = STEM_VARIATIONS["codec"](stem, np.random.default_rng(1), rate)
    error = np.square(coded - stem)[rate // 8 : -rate // 8].mean()
    assert error < 0.2 * np.square(stem).mean()


def test_a_limited_mix_has_lower_peaks_and_the_same_stems():
    stems = np.random.default_rng(0).normal(0, 0.1, (4, RATE, 2)).astype(np.float32)
    limited = MIX_VARIATIONS["limiter"](stems, np.random.default_rng(1), RATE)
    before, after = np.abs(stems.sum(axis=0)).max(), np.abs(limited.sum(axis=0)).max()
    assert -9.1 < 20 * np.log10(after / before) < -2.9
    gain = limited[:, :, 0] / stems[:, :, 0]
    np.testing.assert_allclose(gain, np.broadcast_to(gain[:1], gain.shape), rtol=1e-4)


def test_a_late_start_is_silence_and_then_the_mix():
    stems = np.random.default_rng(0).normal(0, 0.1, (4, RATE, 2)).astype(np.float32)
    late = MIX_VARIATIONS["late_start"](stems, np.random.default_rng(1), RATE)
    begin = int(np.flatnonzero(late.any(axis=(0, 2)))[0])
    assert 0.01 * RATE < begin < 0.52 * RATE
    np.testing.assert_array_equal(late[:, begin + RATE // 50 :], stems[:, begin + RATE // 50 :])


@pytest.mark.parametrize("name", [*RECIPE, "none"])
def test_the_mixture_is_the_sum_of_the_stems(name, corpora, settings, tmp_path):
    folders = write_preview(tmp_path / "preview", corpora, settings, FRAMES)
    (folder,) = [one for one in folders if one.name == name.replace("_", "-")]
    for number in ("0", "1", "2"):
        sounds = {}
        for path in (folder / number).iterdir():
            with open_source(path) as source:
                sounds[path.stem] = np.concatenate(list(source.blocks()))
        mixture = sounds.pop("mixture")
        assert sorted(sounds) == sorted(SOURCES)
        np.testing.assert_allclose(sum(sounds.values()), mixture, atol=1e-6)


def test_each_variation_alters_the_examples(examples):
    plain = examples({})[0]
    for name in RECIPE:
        assert not torch.equal(examples({name: 1.0})[0], plain), name


def test_stems_stay_together_unless_remixed(corpora, examples):
    def tracks_of(example):
        found = []
        for stem, sound in enumerate(example):
            for number, track in enumerate(corpora.training):
                whole = track.whole()[stem, :, 0]
                hits = np.flatnonzero(whole == float(sound[0, 0]))
                if any(np.array_equal(whole[at : at + FRAMES], sound[0]) for at in hits):
                    found.append(number)
        return found

    kept = [tracks_of(examples({})[n]) for n in range(8)]
    assert all(len(found) == 4 and len(set(found)) == 1 for found in kept)
    assert len({found[0] for found in kept}) > 1
    mixed = [tracks_of(examples({"remix": 1.0})[n]) for n in range(8)]
    assert all(len(found) == 4 for found in mixed)
    assert any(len(set(found)) > 1 for found in mixed)


def test_the_same_number_is_the_same_example(examples, settings):
    recipe = recipe_of(settings)
    one, two = examples(recipe)[5], examples(recipe)[5]
    assert torch.equal(one, two)
    assert one.shape == (4, 2, FRAMES)
    assert not torch.equal(one, examples(recipe)[6])
    assert not torch.equal(one, examples(recipe, seed=1)[5])


def test_workers_make_no_difference(examples, settings):
    made = examples(recipe_of(settings))
    course = Course(2, 5, 2, 0, 1)
    here = list(load(made, course, 0))
    for workers in (1, 2):
        apart = list(load(made, course, workers))
        assert len(apart) == len(here) == 3
        assert all(torch.equal(a, b) for a, b in zip(apart, here, strict=True))


def test_several_processes_share_the_examples_of_a_step():
    alone = list(Course(0, 4, 6, 0, 1))
    shared = [list(Course(0, 4, 3, rank, 2)) for rank in (0, 1)]
    assert [a + b for a, b in zip(*shared, strict=True)] == alone
    assert list(Course(3, 4, 6, 0, 1)) == alone[3:]


def test_what_is_silent_is_not_drawn_by_itself(song, tmp_path):
    song("some/a")
    song("some/b", stems={"vocals": None}, seed=1)
    song("some/c", stems={"vocals": None}, seed=2)
    folder = tmp_path / "some"
    settings = TrainSettings(data=folder, validation=folder, out=tmp_path / "out")
    corpora = gather(settings, SOURCES, RATE)
    remixed = Examples(corpora.training, corpora.chances, {"remix": 1.0}, FRAMES, 0)
    assert all(remixed[number][3].abs().max() > 0.01 for number in range(10))


def test_a_song_that_is_too_short_is_heard_whole_in_silence(song, tmp_path):
    song("short/a", seconds=0.5)
    folder = tmp_path / "short"
    settings = TrainSettings(data=folder, validation=folder, out=tmp_path / "out")
    corpora = gather(settings, SOURCES, RATE)
    whole = np.square(corpora.training[0].whole()).sum()
    made = Examples(corpora.training, corpora.chances, {}, FRAMES, 0)
    assert len({made[number][1].abs().argmax().item() for number in range(5)}) > 1
    for number in range(5):
        assert float(made[number].square().sum()) == pytest.approx(whole, rel=1e-4)


def test_a_network_that_hears_at_one_level_learns_at_that_level(song, tmp_path):
    draw = np.random.default_rng(0)
    for number, gain in enumerate((0.05, 0.5)):
        noise = {name: draw.standard_normal((4 * RATE, 2)).astype("f4") for name in SOURCES}
        song(f"some/{number}", stems={name: gain * stem for name, stem in noise.items()})
    folder = tmp_path / "some"
    settings = TrainSettings(data=folder, validation=folder, out=tmp_path / "out")
    corpora = gather(settings, SOURCES, RATE)
    plain = Examples(corpora.training, corpora.chances, {}, FRAMES, 0)
    levelled = Examples(corpora.training, corpora.chances, {}, FRAMES, 0, level_rms=0.15)
    for number in range(8):
        one, other = plain[number], levelled[number]
        rms = other.sum(0).square().mean().sqrt()
        assert float(rms) == pytest.approx(0.15, rel=0.4)
        # each stem has the gain of the mixture
        torch.testing.assert_close(other * one.sum(0), one * other.sum(0), rtol=1e-3, atol=1e-5)


def test_folders_are_heard_as_their_shares_say(song, tmp_path):
    for name in ("a/1", "a/2", "a/3", "b/1"):
        song(name)
    folders = (tmp_path / "a", tmp_path / "b")
    settings = TrainSettings(data=folders, mixing="0.2,0.6", held_out=0.3, out=tmp_path / "out")
    corpora = gather(settings, SOURCES, RATE)
    assert corpora.chances == pytest.approx((0.125, 0.125, 0.75))
    assert len(corpora.validation) == 1
