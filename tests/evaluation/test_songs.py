"""Songs in every layout, read by the stretch as they are read whole."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from support.data_set import make_stems, write_song, write_stem_file
from support.doubles import noise

from streamer.errors import SourceError
from streamer.evaluation.songs import find_songs

RATE = 44100
FRAMES = 3 * RATE + 77


STEMS = make_stems(FRAMES)


def write_folder(folder, stems=STEMS, **options):
    return write_song(folder, stems, RATE, **options)


def test_a_folder_of_songs_in_the_order_of_their_names(tmp_path):
    for name in ("b", "a", ".hidden"):
        write_folder(tmp_path / name)
    (tmp_path / "no song").mkdir()
    (tmp_path / "list.txt").write_text("a, b")
    songs = find_songs(tmp_path)
    assert [(song.name, song.split, song.frames) for song in songs] == [
        ("a", "", FRAMES),
        ("b", "", FRAMES),
    ]
    np.testing.assert_array_equal(songs[0].read(RATE), STEMS)
    np.testing.assert_array_equal(songs[0].read_mixture(RATE), STEMS.sum(axis=0))


def test_a_folder_that_is_a_song(tmp_path):
    (song,) = find_songs(write_folder(tmp_path / "song"))
    assert song.name == "song"


def test_a_missing_stem_is_silence(tmp_path):
    (song,) = find_songs(write_folder(tmp_path / "song", names=("drums", "bass")))
    assert song.recordings[2:] == ((), ())
    np.testing.assert_array_equal(song.read(RATE)[2:], np.zeros((2, FRAMES, 2)))


def test_a_mixture_of_its_own_goes_before_the_sum(tmp_path):
    folder = write_folder(tmp_path / "song")
    soundfile.write(folder / "mixture.wav", noise(FRAMES), RATE, subtype="FLOAT")
    (song,) = find_songs(folder)
    np.testing.assert_array_equal(song.read_mixture(RATE), noise(FRAMES))


def test_a_stem_file_with_its_mix(tmp_path):
    write_stem_file(tmp_path / "Artist - Title.stem.mp4", 0.5 * STEMS.sum(axis=0), STEMS)
    (song,) = find_songs(tmp_path)
    assert song.name == "Artist - Title"
    np.testing.assert_allclose(song.read(RATE), STEMS, atol=1e-6)
    np.testing.assert_allclose(song.read_mixture(RATE), 0.5 * STEMS.sum(axis=0), atol=1e-6)


def test_a_stem_file_without_a_mix(tmp_path, ffmpeg):
    write_stem_file(tmp_path / "all.stem.mp4", STEMS.sum(axis=0), STEMS)
    maps = [word for stream in range(1, 5) for word in ("-map", f"0:a:{stream}")]
    bare = tmp_path / "songs" / "bare.stem.mp4"
    bare.parent.mkdir()
    ffmpeg("-i", tmp_path / "all.stem.mp4", *maps, "-c", "copy", bare)
    (song,) = find_songs(bare.parent)
    np.testing.assert_allclose(song.read(RATE), STEMS, atol=1e-6)
    np.testing.assert_allclose(song.read_mixture(RATE), STEMS.sum(axis=0), atol=2e-6)


def test_the_layout_of_musdb_tells_the_splits(tmp_path):
    write_stem_file(tmp_path / "train" / "one.stem.mp4", STEMS.sum(axis=0), STEMS)
    write_folder(tmp_path / "test" / "two")
    assert [(song.name, song.split) for song in find_songs(tmp_path)] == [
        ("one", "train"),
        ("two", "test"),
    ]


def test_other_stems_can_be_asked_for(tmp_path):
    (song,) = find_songs(
        write_folder(tmp_path / "song", names=("vocals", "rest")), stems=("rest", "vocals")
    )
    np.testing.assert_array_equal(song.read(RATE), STEMS[[1, 0]])


def test_the_accompaniment_is_what_is_not_vocals(tmp_path):
    stems = ("vocals", "accompaniment")
    (song,) = find_songs(write_folder(tmp_path / "song"), stems)
    drums, bass, other, vocals = STEMS
    np.testing.assert_array_equal(song.read(RATE), [vocals, drums + bass + other])
    np.testing.assert_allclose(song.read_mixture(RATE), STEMS.sum(axis=0), atol=1e-6)


def test_stems_beside_their_sum_are_in_the_mix_once(tmp_path):
    stems = ("drums", "bass", "other", "vocals", "accompaniment")
    (song,) = find_songs(write_folder(tmp_path / "song", names=("bass", "vocals")), stems)
    np.testing.assert_array_equal(song.read(RATE)[4], song.read(RATE)[1])
    np.testing.assert_array_equal(song.read_mixture(RATE), STEMS[:2].sum(axis=0))


def test_an_accompaniment_of_its_own_goes_before_the_sum(tmp_path):
    folder = write_folder(tmp_path / "song", names=("drums", "vocals", "accompaniment"))
    (song,) = find_songs(folder, ("vocals", "accompaniment"))
    np.testing.assert_array_equal(song.read(RATE), STEMS[[1, 2]])


def test_parts_beside_an_accompaniment_of_its_own_are_not_looked_at(tmp_path):
    folder = write_folder(tmp_path / "song", names=("vocals", "accompaniment"))
    soundfile.write(folder / "drums.wav", noise(100), 8000)
    (song,) = find_songs(folder, ("vocals", "accompaniment"))
    assert (song.samplerate, song.frames) == (RATE, FRAMES)


def test_mono_is_given_twice(tmp_path):
    (song,) = find_songs(write_folder(tmp_path / "song", make_stems(FRAMES, 1)))
    np.testing.assert_array_equal(song.read(RATE), make_stems(FRAMES, 1).repeat(2, axis=2))


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".mp3"])
@pytest.mark.parametrize("rate", [RATE, 48000, 22050])
def test_any_stretch_is_that_of_the_whole(tmp_path, suffix, rate):
    (song,) = find_songs(write_folder(tmp_path / "song", suffix=suffix))
    _check_stretches(song, rate)


@pytest.mark.parametrize("rate", [RATE, 48000])
def test_any_stretch_of_aac_is_that_of_the_whole(tmp_path, rate):
    write_stem_file(tmp_path / "aac.stem.mp4", STEMS.sum(axis=0), STEMS, lossless=False)
    (song,) = find_songs(tmp_path)
    _check_stretches(song, rate)


def _check_stretches(song, rate):
    whole = song.read(rate)
    assert whole.shape == (4, song.frames_at(rate), 2)
    assert abs(song.seconds * rate - whole.shape[1]) < 1
    for start, frames in [(0, 10), (1, 3), (12_345, 20_001), (whole.shape[1] - 5, 5), (77_777, 0)]:
        part = song.read(rate, start, frames)
        np.testing.assert_allclose(part, whole[:, start : start + frames], atol=1e-6)
    np.testing.assert_allclose(song.read(rate, 60_000), whole[:, 60_000:], atol=1e-6)
    assert song.read(rate, whole.shape[1] - 5, 100).shape == (4, 5, 2)
    assert song.read(rate, whole.shape[1] + 5, 100).shape == (4, 0, 2)


def test_what_is_no_number_becomes_silence(tmp_path):
    audio = STEMS.copy()
    audio[0, 5] = np.nan
    (song,) = find_songs(write_folder(tmp_path / "song", audio))
    assert not song.read(RATE)[0, 5].any()


def test_lengths_and_rates_must_agree(tmp_path):
    folder = write_folder(tmp_path / "song")
    soundfile.write(folder / "bass.wav", noise(RATE), RATE)
    with pytest.raises(SourceError, match=r"bass\.wav is 1\.00 s long and .*drums\.wav 3\.00 s"):
        find_songs(tmp_path)
    soundfile.write(folder / "bass.wav", noise(3 * 48000), 48000)
    with pytest.raises(SourceError, match=r"drums\.wav has 44100 Hz and .*bass\.wav 48000 Hz"):
        find_songs(tmp_path)


def test_a_file_that_is_cut_short_is_told(tmp_path):
    folder = write_folder(tmp_path / "song", suffix=".flac")
    data = (folder / "bass.flac").read_bytes()
    (folder / "bass.flac").write_bytes(data[: len(data) // 2])
    (song,) = find_songs(folder)
    with pytest.raises(SourceError, match=r"bass\.flac ends 1\.\d\d s before the song song does"):
        song.read(RATE)


def test_two_files_for_a_stem_are_one_too_many(tmp_path):
    folder = write_folder(tmp_path / "song")
    soundfile.write(folder / "bass.flac", STEMS[1], RATE)
    with pytest.raises(SourceError, match=r"bass\.flac and .*bass\.wav are both the bass"):
        find_songs(tmp_path)


def test_a_folder_that_may_not_be_read_is_left_out_and_told(tmp_path, monkeypatch, caplog):
    write_folder(tmp_path / "song")
    (tmp_path / "lost+found").mkdir()
    monkeypatch.setattr(os, "access", lambda path, _mode: "lost+found" not in str(path))
    assert [song.name for song in find_songs(tmp_path)] == ["song"]
    assert "lost+found may not be read, and is left out" in caplog.text


def test_a_folder_whose_list_cannot_be_had_is_named(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(SourceError, match=f"{tmp_path} may not be read; give yourself permission"):
        find_songs(tmp_path)


def test_no_songs_are_an_error_with_a_way_out(tmp_path):
    with pytest.raises(SourceError, match="holds no song with stems; put them there as SONG/"):
        find_songs(tmp_path)
    with pytest.raises(SourceError, match="is no folder"):
        find_songs(tmp_path / "missing")
    with pytest.raises(SourceError, match="is no folder"):
        find_songs(tmp_path / ("x" * 300))
    folder = tmp_path / "song"
    folder.mkdir()
    (folder / "bass.wav").write_text("no audio")
    with pytest.raises(SourceError, match=r"bass\.wav is not audio"):
        find_songs(tmp_path)
