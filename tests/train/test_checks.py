"""What is wrong of songs is found and said before anything is learnt from them."""

from __future__ import annotations

import os
import random

import numpy as np
import pytest
import soundfile
from support.doubles import RATE, SOURCES, noise

from streamer.errors import SettingsError
from streamer.evaluation.songs import find_songs
from streamer.train.checks import findings
from streamer.train.corpora import gather, hold_out
from streamer.train.settings import TrainSettings


@pytest.fixture
def found(tmp_path):
    """What is found of songs in folders; an example is a second long."""

    def find(data="songs", **settings):
        given = {name: tmp_path / value for name, value in settings.items()}
        settings = TrainSettings(data=tmp_path / data, out=tmp_path / "out", **given)
        return findings(gather(settings, SOURCES, RATE), RATE)

    return find


def sentence(sentences, words):
    (one,) = [each for each in sentences if words in each]
    return one


def test_songs_that_are_well(songs, song, found):
    for number in range(4, 60):
        song(f"songs/song {number}", seconds=1.5, seed=number)
    (summary,) = found()
    assert summary.startswith("54 songs to learn from, 1.5 minutes; 6 to judge by: song ")


def test_few_songs(songs, found):
    assert "fit nothing else" in sentence(found(), "3 songs are few to learn from")
    assert "rough" in sentence(found(), "1 song is few to judge by")


def test_one_song_is_not_songs(song, found):
    song("songs/one")
    song("songs/two")
    assert any(each.startswith("1 song to learn from, ") for each in found())
    assert sentence(found(), "few to learn from").startswith("1 song is few")


def test_rates(songs, song, found):
    song("songs/faster", samplerate=16000)
    assert sentence(found(), "converted").startswith("1 song is (faster) converted")
    assert "8000 Hz from 16000 Hz" in sentence(found(), "converted")


def test_lengths(songs, song, found):
    song("songs/brief", seconds=0.7, seed=9)
    song("songs/briefer", seconds=0.5, seed=8)
    short = sentence(found(), "shorter than an example")
    assert "brief, briefer" in short
    assert short.endswith("try --window 0.5")


def test_silent_stems(songs, song, found):
    song("songs/no bass", stems={"bass": None})
    song("songs/mute", stems={"vocals": np.zeros((RATE, 2), np.float32)}, seconds=1)
    assert sentence(found(), "without bass").startswith("1 song is (no bass)")
    assert sentence(found(), "without vocals").startswith("1 song is (mute)")


def test_a_stem_that_no_song_has(song, found):
    for number in range(3):
        song(f"songs/{number}", stems={"other": None}, seed=number)
    assert "look whether its files are there" in sentence(
        found(), "no song to learn from has other"
    )


def test_clipped_stems(songs, song, found):
    loud = (20 * noise(4 * RATE)).clip(-1, 1)
    song("songs/loud", stems={"drums": loud})
    assert "drums clipped" in sentence(found(), "loud")
    assert not any("bass clipped" in each for each in found())


def test_a_song_on_both_sides_by_name(songs, song, found):
    song("held/Song_2", seed=77)
    leak = sentence(found(validation="held"), "judged by and")
    assert "have the same name" in leak
    assert str(songs / "song 2") in leak


def test_a_recording_on_both_sides_by_another_name(song, found):
    def stems(seed, start=0, stop=10 * RATE):
        swell = np.cumsum(noise(200, seed=seed)[:, 0]) ** 2
        level = 1 + np.interp(np.arange(10 * RATE), np.linspace(0, 10 * RATE, 200), swell)
        sound = (0.02 * noise(10 * RATE, seed=seed) * level[:, None]).astype(np.float32)
        return {**dict.fromkeys(SOURCES), "drums": sound[start:stop]}

    for number in range(3):
        song(f"songs/{number}", stems=stems(number))
    song("held/another", stems=stems(2, 3 * RATE + 123, 9 * RATE))
    song("held/a true one", stems=stems(3))
    (leak,) = [each for each in found(validation="held") if "judged by and" in each]
    assert "held/another" in leak
    assert "songs/2" in leak
    assert "hold the same recording" in leak


def test_a_test_split_is_left_alone(song, found):
    for name in ("train/a", "train/b", "test/c"):
        song(f"songs/{name}", seed=ord(name[-1]))
    assert "1 in test/, which is left alone" in found()
    assert not any(each == "c" for each in found())


def test_a_song_stays_where_it_is_when_others_come(songs, song, tmp_path):
    for number in range(4, 20):
        song(f"songs/song {number}", seconds=0.1)
    before = find_songs(songs)
    held = hold_out(before, 0.2)[1]
    assert len(held) == 4
    song("songs/new", seconds=0.1)
    after = hold_out(find_songs(songs), 0.2)[1]
    assert len({one.name for one in held} - {one.name for one in after}) <= 1


def test_songs_that_lack_stems_are_not_judged_by(song, songs):
    for number in range(4, 12):
        song(f"songs/song {number}", stems={"drums": None})
    held = hold_out(find_songs(songs), 0.3)[1]
    assert len(held) == 4
    assert all(all(one.recordings) for one in held)


def test_a_stem_that_only_the_judges_have_is_told(song, found):
    song("songs/whole", seed=1)
    for number in range(9):
        song(f"songs/{number}", stems={"vocals": None}, seed=number + 2)
    assert "nothing is learnt of it" in sentence(found(), "no song to learn from has vocals")


def test_a_stem_that_no_judge_has_is_told(songs, song, found):
    for number in range(2):
        song(f"judges/{number}", stems={"bass": None}, seed=20 + number)
    told = found(validation="judges")
    assert "the others" in sentence(told, "no song to judge by has bass")
    assert not [each for each in told if "without bass" in each]


def test_a_click_is_a_short_song(songs, song, found):
    song("songs/click", seconds=0.03, seed=9)
    short = sentence(found(), "shorter than an example")
    assert "click" in short
    assert "--window" not in short


def test_a_name_that_is_not_utf8_is_one_like_others(songs, song, found):
    song("songs/cafe", seed=9).rename(songs / os.fsdecode(b"caf\xe9"))
    assert "4 songs are few to learn from" in " ".join(found())


def test_one_song_is_too_few(song, tmp_path):
    song("songs/only")
    settings = TrainSettings(data=tmp_path / "songs", out=tmp_path / "out")
    with pytest.raises(SettingsError, match="none is left to learn from"):
        gather(settings, SOURCES, RATE)


def test_the_cache_is_read_again_and_not_written(songs, tmp_path):
    settings = TrainSettings(data=songs, out=tmp_path / "out")
    first = gather(settings, SOURCES, RATE)
    made = {path: path.stat().st_mtime_ns for path in settings.cache_folder.iterdir()}
    again = gather(settings, SOURCES, RATE)
    assert {path: path.stat().st_mtime_ns for path in settings.cache_folder.iterdir()} == made
    assert [track.survey for track in again.training] == [track.survey for track in first.training]
    track = again.training[0]
    np.testing.assert_allclose(track.whole(), track.song.read(RATE), atol=2e-4)


@pytest.mark.parametrize("suffix", [".npy", ".json"])
@pytest.mark.parametrize("kind", ["flip", "cut", "gone", "pipe", "loop"])
def test_a_damaged_song_of_the_cache_is_decoded_again(songs, tmp_path, suffix, kind):
    draw = random.Random(kind + suffix)
    settings = TrainSettings(data=songs, out=tmp_path / "out")
    whole = gather(settings, SOURCES, RATE).training[0]
    expected = whole.whole()
    path = whole.path.with_suffix(suffix)
    data = bytearray(path.read_bytes())
    at = draw.randrange(len(data))
    path.unlink()
    if kind == "flip":
        data[at] ^= 1 << draw.randrange(8)
        path.write_bytes(data)
    elif kind == "cut":
        path.write_bytes(data[:at])
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "loop":
        path.symlink_to(path)
    again = gather(settings, SOURCES, RATE).training[0]
    assert again.survey == whole.survey
    np.testing.assert_array_equal(again.whole(), expected)


def test_a_mixture_that_comes_later_and_is_longer(songs, tmp_path):
    settings = TrainSettings(data=songs, out=tmp_path / "out")
    gather(settings, SOURCES, RATE)
    longer = noise(round(4.04 * RATE))
    soundfile.write(songs / "song 0/mixture.wav", longer, RATE, subtype="FLOAT")
    corpora = gather(settings, SOURCES, RATE)
    tracks = [*corpora.training, *corpora.validation]
    assert {track.frames for track in tracks} == {4 * RATE, len(longer)}
    assert all(track.whole().shape[1] == track.frames for track in tracks)


def test_samples_beyond_all_sound_are_silence(song, tmp_path):
    loud = noise(4 * RATE)
    loud[100] = 1e6
    for number in range(2):
        song(f"songs/{number}", stems={"drums": loud})
    settings = TrainSettings(data=tmp_path / "songs", out=tmp_path / "out")
    for track in gather(settings, SOURCES, RATE).training:
        assert np.isfinite(track.whole()).all()
        assert not track.whole()[0, 100].any()
