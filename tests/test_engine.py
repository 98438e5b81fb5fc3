"""The file run: reports, loudness, measures."""

from __future__ import annotations

import math

import numpy as np
import pytest
import soundfile
from support.doubles import RecordingSeparator, noise

import streamer
from streamer.audio import Stems
from streamer.engine import check_outputs, separate_track
from streamer.errors import SettingsError
from streamer.files.loudness import SILENCE_LUFS, LoudnessMeter
from streamer.measure import TrackMeasure
from streamer.processor import load_bag
from streamer.settings import Settings


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def loudness_of(samples, samplerate=44100) -> float:
    meter = LoudnessMeter(samplerate, samples.shape[1])
    for start in range(0, len(samples), 7777):
        meter.feed(samples[start : start + 7777])
    return meter.integrated()


def test_loudness_is_that_of_a_calibrated_tone():
    """EBU Tech 3341, case 1: a stereo sine of 1 kHz at -23 dBFS reads -23 LUFS."""
    seconds = np.arange(48000 * 5) / 48000
    tone = 10 ** (-23 / 20) * np.sin(2 * np.pi * 1000 * seconds)
    assert loudness_of(np.stack([tone, tone], 1).astype("f4"), 48000) == pytest.approx(-23, abs=0.1)
    assert loudness_of(np.zeros((48000, 2), "f4")) == SILENCE_LUFS
    assert loudness_of(np.zeros((0, 1), "f4")) == SILENCE_LUFS


def test_loudness_brings_the_mix_to_the_mark_by_one_gain():
    mix = noise(44100 * 4)
    soundfile.write("song.wav", mix, 44100, subtype="FLOAT")
    options = {"model": "passthrough", "clip_mode": "none"}
    plain = np.concatenate([s.data for s in streamer.stream("song.wav", **options)], axis=1)
    loud = list(streamer.stream("song.wav", loudness=-30, **options))
    stems = np.concatenate([s.data for s in loud], axis=1)
    assert loudness_of(stems[0]) == pytest.approx(-30, abs=0.1)
    gain = 10 ** ((-30 - loudness_of(mix)) / 20)
    np.testing.assert_allclose(stems, plain * gain, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(np.concatenate([s.mix for s in loud]), mix * gain, rtol=1e-4)


def test_levels_are_told_of_the_file_that_is_scaled_by_its_peak():
    soundfile.write("song.wav", 4 * noise(9000), 44100, subtype="FLOAT")
    settings = Settings(model="passthrough", clip_mode="rescale", sample_format="float32")
    report = separate_track("song.wav", settings, load_bag(settings))
    for name, path in report.paths.items():
        stem = soundfile.read(path, dtype="float32")[0]
        assert np.abs(stem).max() < 1
        assert report.stems[name].peak == pytest.approx(np.abs(stem).max(), rel=1e-4)
        assert report.stems[name].rms_db == pytest.approx(20 * np.log10(stem.std()), abs=0.01)


def test_a_stream_takes_no_option_of_files_that_are_written():
    for options in ({"out": "stems"}, {"format": "mp3"}, {"overwrite": True}):
        with pytest.raises(SettingsError, match=f"^{next(iter(options))} is for files"):
            next(streamer.stream("song.wav", model="passthrough", **options))


def test_a_stream_cannot_scale_by_a_peak_that_is_to_come():
    with pytest.raises(SettingsError, match=r"clip_mode=rescale .* a stream cannot wait for"):
        next(streamer.stream("song.wav", model="passthrough", clip_mode="rescale"))


def test_silence_has_no_loudness_to_bring_up():
    soundfile.write("silence.wav", np.zeros((44100, 2)), 44100)
    (report,) = streamer.separate("silence.wav", model="passthrough", loudness=-16)
    assert all(stem.peak < 1e-3 for stem in report.stems.values())


def test_track_normalization_runs_through_the_engine():
    """The passthrough model gives back the mix whatever is done to its level and undone."""
    mix = noise(50_000) + np.float32(0.05)
    soundfile.write("song.wav", mix, 44100, subtype="FLOAT")
    whole = np.concatenate(
        [s.data for s in streamer.stream("song.wav", model="passthrough", normalize="track")],
        axis=1,
    )
    np.testing.assert_allclose(whole[0], mix, atol=1e-6)


def test_a_report_tells_what_was_done():
    mix = noise(44100)
    soundfile.write("song.wav", mix, 44100)
    (report,) = streamer.separate("song.wav", model="passthrough", out="out", format="flac")
    assert (report.frames, report.samplerate, report.seconds) == (44100, 44100, 1.0)
    assert report.speed > 0
    assert not report.skipped
    assert [soundfile.info(path).frames for path in report.paths.values()] == [44100] * 4
    # four stems that each equal the mix add up to four mixes: three mixes too many
    assert report.residual_db == pytest.approx(20 * math.log10(3), abs=0.1)
    (again,) = streamer.separate(
        "song.wav", model="passthrough", out="out", format="flac", resume=True
    )
    assert again.skipped
    with pytest.raises(streamer.OutputExistsError, match="--overwrite"):
        streamer.separate("song.wav", model="passthrough", out="out", format="flac")


def test_measures_are_those_of_the_whole():
    truth, error, rest = noise(1000), noise(1000, seed=1) * 0.1, noise(1000, seed=2)
    measure = TrackMeasure(("a", "b"), ("b", "a"))
    for start in (0, 300):
        span = slice(start, 300 if start == 0 else 1000)
        stem = truth[span] + error[span]
        mix = truth[span] + rest[span]
        measure.feed(
            Stems(start, ("a", "b"), np.stack([stem, rest[span]]), mix), {"a": truth[span]}
        )
    sdr = 10 * np.log10(np.square(truth).sum() / np.square(error).sum())
    assert measure.stems["a"].sdr_db == pytest.approx(sdr, abs=1e-3)
    assert measure.stems["b"].sdr_db is None
    assert measure.stems["a"].peak == pytest.approx(np.abs(truth + error).max())
    rms = 10 * np.log10(np.square(rest).mean())
    assert measure.stems["b"].rms_db == pytest.approx(rms, abs=1e-3)
    residual = 10 * np.log10(np.square(error).sum() / np.square(truth + rest).sum())
    assert measure.residual_db == pytest.approx(residual, abs=1e-3)


def test_two_inputs_for_one_output_are_refused_before_anything_is_written(tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        soundfile.write(tmp_path / folder / "song.wav", noise(100), 44100)
    with pytest.raises(streamer.SettingsError, match="both be written"):
        streamer.separate(["one/song.wav", "two/song.wav"], model="passthrough")
    assert not (tmp_path / "separated").exists()


def test_stems_that_would_share_a_file_are_refused():
    separator = RecordingSeparator(1000)
    separator.names = ("bass", "brass", "voice", "rest")
    settings = Settings(filename="{track}-{stem:.1}.{ext}")
    with pytest.raises(streamer.SettingsError, match="several stems would go to one file"):
        check_outputs(["song.wav"], settings, separator.bag())
    check_outputs(["song.wav"], Settings(filename="{stem:.2}"), separator.bag())
