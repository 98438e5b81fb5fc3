"""The songs that recipes make: what they promise about their notes, strokes and labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from songs.album import SAMPLERATE, at_level, write_song
from songs.backing import PLAYERS as BACKING
from songs.basses import HIGHEST, LOWEST, PLAYERS
from songs.demos import stem_of
from songs.drummer import perform
from songs.drums import choose
from songs.grooves import FILLS, GROOVES, VELOCITIES
from songs.kits import Kit, Layer
from songs.rendered import KEYS
from songs.score import DRUM_VOICES, Song
from songs.synths import play

from streamer.evaluation.songs import find_songs

SECONDS = 4


def noise(level: float = 0.1) -> np.ndarray:
    return level * np.random.default_rng(0).standard_normal((SAMPLERATE, 2))


def tone(hertz: float) -> np.ndarray:
    wave = 0.1 * np.sin(2 * np.pi * hertz * np.arange(SAMPLERATE) / SAMPLERATE)
    return np.stack([wave, wave], axis=1)


def test_a_song_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_song(tmp_path / "one", {"bass": at_level(tone(80), 0.05)})
    song = find_songs(tmp_path)[0]
    stems = song.read(SAMPLERATE)
    assert [bool(one) for one in song.recordings] == [False, True, False, False]
    assert np.sqrt(np.square(stems[1]).mean()) == pytest.approx(0.05, rel=0.05)


def test_a_song_that_was_not_finished_is_no_song(tmp_path: Path) -> None:
    with pytest.raises(IndexError):
        write_song(tmp_path / "one", {"bass": tone(80), "drums": "no samples"})
    assert not (tmp_path / "one").exists()


def test_a_loud_stem_does_not_clip() -> None:
    assert np.abs(at_level(noise(), 3.0)).max() <= 0.95 + 1e-6


def test_silence_keeps_silent() -> None:
    assert not at_level(np.zeros((100, 2)), 0.1).any()


@pytest.mark.parametrize("name", GROOVES)
def test_all_voices_of_a_groove_have_bars_of_the_same_length(name: str) -> None:
    ways = [way for voice in GROOVES[name].voices.values() for way in voice]
    (steps,) = {len(way) for way in ways}
    assert steps in FILLS
    assert set("".join(ways)) <= {*VELOCITIES, "."}
    assert set(GROOVES[name].voices) <= set(KEYS)


@pytest.mark.parametrize("name", GROOVES)
def test_the_drummer_plays_what_the_kit_has_and_keeps_inside_the_song(name: str) -> None:
    voices = {"kick", "snare", "hat"}
    strokes = list(perform(np.random.default_rng(3), GROOVES[name], 16, voices))
    steps = len(next(iter(GROOVES[name].voices.values()))[0])
    assert {voice for _, voice, _ in strokes} <= voices
    assert all(0 <= step < 16 * steps and 0 < hard <= 1 for step, _, hard in strokes)


@pytest.mark.parametrize("player", PLAYERS)
def test_a_bass_keeps_to_its_range_and_its_bars(player: str) -> None:
    for seed, line in enumerate(PLAYERS[player].lines):
        song = Song(np.random.default_rng(seed), SECONDS)
        notes = list(line(song))
        assert notes
        assert all(LOWEST <= note.key <= HIGHEST for note in notes)
        assert all(0 <= note.start < song.bars * song.steps + 1 for note in notes)


def test_no_player_of_other_passes_for_a_voice_a_bass_or_a_drum() -> None:
    voices, basses, drums = (
        {52, 53, 54, 85, 91},
        {*range(32, 40), 43, 58, 87},
        {47, *range(112, 128)},
    )
    programs = {program for player in BACKING.values() for program in player.programs}
    assert not programs & (voices | basses | drums)


def test_all_drums_have_a_key_of_general_midi() -> None:
    assert set(KEYS) >= DRUM_VOICES


def test_a_bass_synthesizer_sounds_low_and_stays_in_bounds() -> None:
    song = Song(np.random.default_rng(1), SECONDS)
    notes = list(PLAYERS["own synth"].lines[0](song))
    samples = play(song, notes, SECONDS * SAMPLERATE, 0.0)
    power = np.square(np.abs(np.fft.rfft(samples[:, 0])))
    hertz = np.fft.rfftfreq(len(samples), 1 / SAMPLERATE)
    assert np.isfinite(samples).all()
    assert power[hertz < 500].sum() > 0.5 * power.sum()


@pytest.mark.parametrize(
    ("name", "voice"),
    [
        ("Kick (Tama Superstar 22)", "kick"),
        ("c3 - bass drum 1", "kick"),
        ("Rim Click (Pearl)", "rim"),
        ("Snare Rimshot (Pearl)", "snare"),
        ("Hi Hat Opened", "open"),
        ("Pedal HH", "pedal"),
        ("Sabian Hat Closed", "hat"),
        ("Pearl Tom Floor", "low tom"),
        ("Ride Bell", "bell"),
        ("Djembe1 Bass", "low"),
        ("FX", None),
        ("Whistle", None),
    ],
)
def test_the_name_of_an_instrument_says_its_voice(name: str, voice: str | None) -> None:
    kit = Kit("a kit")
    kit.add(name, [Layer(Path("stroke.wav"), 1.0)])
    assert list(kit.voices) == ([voice] if voice else [])


@pytest.mark.parametrize(
    ("name", "samples", "stem"),
    [
        ("bassdrum04.ogg", tone(60), "drums"),
        ("Bass", tone(60), "bass"),
        ("Bass", tone(2000), None),
        ("Strings", tone(2000), "other"),
        ("Strings (low)", tone(60), None),
        ("Default preset", noise(), None),
        ("Choir", tone(2000), None),
        ("Strings", 0 * tone(2000), None),
    ],
)
def test_a_track_that_is_not_clear_is_left_out(
    name: str, samples: np.ndarray, stem: str | None
) -> None:
    assert stem_of(name, samples) == stem


def test_instruments_are_drawn_in_an_order_that_no_process_changes() -> None:
    voices = ("snare", "kick", "hat", "crash", "bell")
    kit = Kit("a kit", {voice: [(Layer(Path(f"{voice}.wav"), 1.0),)] for voice in voices})
    chosen = choose(np.random.default_rng(0), GROOVES["rock"], [kit], hands=False)
    assert list(chosen) == sorted(voices)
