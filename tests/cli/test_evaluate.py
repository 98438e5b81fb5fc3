"""`stemstream eval`, end to end: models, bounds, files, live windows, and what it refuses."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from support.data_set import make_stems, write_song, write_stem_file

from cli.evaluate import MEANINGLESS
from streamer.evaluation.settings import EvalSettings
from streamer.models.networks.checkpoint import write_network
from streamer.models.networks.mask_unet import MaskUNets
from streamer.resolve import flag

Run = Callable[..., Any]
RATE = 8000
TINY = ("-n", "tiny", "--repo")


@pytest.fixture
def songs(elsewhere: Path) -> Path:
    """Two songs, two seconds each, in the second of which the bass is silent."""
    folder = elsewhere / "songs"
    write_song(folder / "one", make_stems(2 * RATE), RATE)
    write_song(folder / "two", make_stems(2 * RATE, seed=1), RATE)
    (folder / "two" / "bass.wav").unlink()
    return folder


@pytest.fixture
def score(stemstream: Run, elsewhere: Path) -> Callable[..., dict[str, Any]]:
    """Run eval, and return what its JSON file says."""

    def call(*words: object) -> dict[str, Any]:
        outcome = stemstream("eval", *words, "--json", "out.json")
        assert outcome.code == 0, outcome.err
        told = json.loads((elsewhere / "out.json").read_text())
        told["table"] = outcome.out
        told["told"] = outcome.err
        return told

    return call


def test_a_model_that_gives_the_mix_scores_as_the_mix(score: Run, songs: Path) -> None:
    ours = score("-n", "passthrough", "--data", songs, "--clip-mode", "none", "--no-bss-eval")
    mix = score("-n", "mixture", "--data", songs, "--no-bss-eval")
    assert ours["judged"] == "passthrough"
    for stem, ratios in ours["stems"].items():
        # it works at 44.1 kHz, the songs have 8 kHz
        assert ratios["median_sdr_db"] == pytest.approx(
            mix["stems"][stem]["median_sdr_db"], abs=0.3
        )


def test_silent_references_are_left_out_and_told(score: Run, songs: Path) -> None:
    told = score("-n", "silence", "--data", songs, "--no-bss-eval")
    assert (told["stems"]["bass"]["songs"], told["stems"]["bass"]["silent"]) == (1, 1)
    assert told["songs"][1]["stems"]["bass"]["sdr_db"] is None
    assert told["stems"]["mean"]["median_sdr_db"] == pytest.approx(0)
    assert "bass is silent in 1 song, not scored there" in told["told"]
    rows = {line.split()[0]: line.split()[1:] for line in told["table"].splitlines()[2:]}
    assert rows["bass"] == ["0.00", "0.00", "1"]
    assert rows["mean"] == ["0.00", "0.00"]


def test_a_network_is_scored_the_same_each_time(score: Run, songs: Path, repo: Path) -> None:
    words = (*TINY, repo, "--trust-checkpoint", "--data", songs, "--songs", 1, "--seconds", 1)
    first, again = score(*words), score(*words)
    assert first == again
    ratios = first["songs"][0]["stems"]["drums"]
    assert len(first["songs"]) == 1
    assert all(isinstance(value, float) for value in ratios.values())
    assert set(ratios) == {"sdr_db", "bss_sdr_db", "bss_sir_db", "bss_sar_db"}


@pytest.mark.parametrize("stems", ["vocals", "drums,vocals"])
def test_without_all_stems_of_the_mix_there_is_no_sir_and_no_sar(
    score: Run, songs: Path, repo: Path, stems: str
) -> None:
    """The stems that are left out would count as artefacts."""
    words = ("--trust-checkpoint", "--data", songs, "--songs", 1, "--stems", stems)
    told = score(*TINY, repo, *words)
    for ratios in told["songs"][0]["stems"].values():
        assert isinstance(ratios["bss_sdr_db"], float)
        assert (ratios["bss_sir_db"], ratios["bss_sar_db"]) == (None, None)
    assert "SIR and SAR need all stems of the mix" in told["told"]


def test_a_stem_that_is_not_asked_for_need_not_be_there(
    score: Run, repo: Path, elsewhere: Path
) -> None:
    stems = make_stems(60_000)
    folder = write_song(elsewhere / "songs" / "one", stems, 44100)
    for name in ("drums", "bass"):
        next(folder.glob(f"{name}.*")).unlink()
    soundfile.write(folder / "mixture.wav", stems.sum(axis=0), 44100, subtype="FLOAT")
    words = (*TINY, repo, "--trust-checkpoint", "--data", "songs")
    told = score(*words, "--stems", "vocals")
    assert list(told["stems"]) == ["vocals", "mean"]
    assert told["songs"][0]["stems"]["vocals"]["bss_sir_db"] is None, "all else is in the mix, too"


def test_a_song_without_the_stems_that_are_scored_needs_no_estimate(
    score: Run, songs: Path, elsewhere: Path
) -> None:
    (songs / "two" / "vocals.wav").unlink()
    write_song(elsewhere / "made" / "one", make_stems(2 * RATE), RATE)
    words = ("--reference", songs, "--estimate", "made", "--no-bss-eval", "--stems", "vocals")
    told = score(*words)
    assert [song["name"] for song in told["songs"]] == ["one"]


def test_some_stems_and_seconds_alone(score: Run, songs: Path, repo: Path) -> None:
    words = (*TINY, repo, "--trust-checkpoint", "--no-bss-eval", "--data", songs)
    told = score(*words, "--stems", "vocals,drums", "--seconds", 1)
    assert list(told["stems"]) == ["vocals", "drums", "mean"]
    assert [song["seconds"] for song in told["songs"]] == [1, 1]


def test_files_of_separate_score_as_its_model(score: Run, stemstream: Run, elsewhere: Path) -> None:
    stems = make_stems(60_000)
    write_stem_file(elsewhere / "songs" / "A - B.stem.mp4", stems.sum(axis=0), stems)
    song = elsewhere / "songs" / "A - B.stem.mp4"
    assert stemstream("separate", "-n", "passthrough", "--float32", song).code == 0
    told = score("--reference", "songs", "--estimate", "separated", "--no-bss-eval")
    model = score("-n", "passthrough", "--data", "songs", "--no-bss-eval")
    assert told["judged"] == "separated"
    for stem, ratios in model["stems"].items():
        assert told["stems"][stem] == pytest.approx(ratios, abs=1e-3)


def test_stems_that_add_up_score_as_their_files(
    score: Run, stemstream: Run, elsewhere: Path
) -> None:
    stems = make_stems(60_000)
    write_song(elsewhere / "songs" / "one", stems, 44100)
    soundfile.write(elsewhere / "one.wav", stems.sum(axis=0), 44100, subtype="FLOAT")
    mode = ("-n", "passthrough", "--clip-mode", "none")
    files = stemstream("separate", *mode, "--conserve", "--float32", elsewhere / "one.wav")
    assert files.code == 0, files.err
    told = score("--reference", "songs", "--estimate", "separated", "--no-bss-eval")
    words = (*mode, "--data", "songs", "--no-bss-eval")
    model, plain = score(*words, "--conserve"), score(*words)
    assert told["stems"]["other"] == pytest.approx(model["stems"]["other"], abs=1e-3)
    assert plain["stems"]["other"] != pytest.approx(model["stems"]["other"], abs=1)


def test_loud_files_score_as_their_model(score: Run, stemstream: Run, elsewhere: Path) -> None:
    stems = 4 * make_stems(60_000)
    write_song(elsewhere / "songs" / "loud", stems, 44100)
    soundfile.write(elsewhere / "loud.wav", stems.sum(axis=0), 44100, subtype="FLOAT")
    mode = ("-n", "passthrough", "--clip-mode", "rescale")
    assert stemstream("separate", *mode, "--float32", elsewhere / "loud.wav").code == 0
    told = score("--reference", "songs", "--estimate", "separated", "--no-bss-eval")
    model = score(*mode, "--data", "songs", "--no-bss-eval")
    for stem, ratios in model["stems"].items():
        assert told["stems"][stem] == pytest.approx(ratios, abs=1e-3)


def test_files_of_another_song_are_not_scored(
    stemstream: Run, songs: Path, elsewhere: Path
) -> None:
    write_song(elsewhere / "made" / "two", make_stems(2 * RATE, seed=1), RATE)
    outcome = stemstream("eval", "--reference", songs, "--estimate", "made", "--songs", 1)
    assert outcome.code == 3
    assert "has no estimate of one" in outcome.complaint


def test_perfect_files_in_any_layout(score: Run, songs: Path, elsewhere: Path) -> None:
    write_song(songs / "two", make_stems(2 * RATE, seed=1), RATE)
    for seed, name in enumerate(("one", "two")):
        stems = make_stems(2 * RATE, seed=seed)
        write_song(elsewhere / "flat" / name, stems[:, :-7], RATE, suffix=".flac")
        write_song(elsewhere / "deep" / "model" / name, stems, RATE)
    for place in ("deep", "deep/model", "flat"):
        told = score("--reference", songs, "--estimate", place, "--no-bss-eval")
        assert told["stems"]["mean"]["median_sdr_db"] > 40
    one = score("--reference", songs / "one", "--estimate", "deep/model/one", "--no-bss-eval")
    assert one["stems"]["mean"]["median_sdr_db"] > 50


def test_the_test_split_is_scored_where_there_is_one(score: Run, elsewhere: Path) -> None:
    for split, seed in (("train", 0), ("test", 1)):
        write_song(elsewhere / "data" / split / f"of {split}", make_stems(RATE, seed=seed), RATE)
    told = score("-n", "mixture", "--data", "data", "--no-bss-eval")
    assert [song["name"] for song in told["songs"]] == ["of test"]


def test_sdr_against_delay(score: Run, songs: Path, repo: Path, elsewhere: Path) -> None:
    told = score(
        *(*TINY, repo, "--trust-checkpoint", "--data", songs, "--live", "--seconds", 0.5),
        *("--windows", "0.5", "--hops", "0.1,0.2", "--lookaheads", "0,0.1", "--plot", "curve.svg"),
    )
    delays = [round(point["delay_seconds"], 6) for point in told["points"]]
    assert delays == [0.1, 0.2, 0.2, 0.3]
    assert all(point["compute_seconds"] > 0 for point in told["points"])
    means = [point["mean_sdr_db"] for point in told["points"]]
    assert np.isfinite([*means, told["file_run"]["mean"]["median_sdr_db"]]).all()
    assert told["table"].count("\n") == 7
    assert "<svg" in (elsewhere / "curve.svg").read_text()


def test_live_windows_without_the_grid_are_a_model_like_any(
    score: Run, songs: Path, repo: Path
) -> None:
    words = (*TINY, repo, "--trust-checkpoint", "--no-bss-eval", "--data", songs)
    live = score(*words, "--hop", 0.1, "--lookahead", 0.1)
    assert live["stems"]["mean"] != score(*words)["stems"]["mean"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 2, "eval needs songs: either --data"),
        (("--data", "songs", "--reference", "songs"), 2, "either --data"),
        (("--reference", "songs"), 2, "belong together; give both"),
        (("--reference", "songs", "--estimate", "songs", "--live"), 2, "give --data FOLDER"),
        (("--data", "songs", "--plot", "a.svg"), 2, "give --live too"),
        (("--data", "songs", "--windows", "2"), 2, "--windows is for the curve of SDR against"),
        (("--data", "songs", "-n", "irm", "--shifts", "2"), 2, "irm is no model that separates"),
        (("--reference", "songs", "--estimate", "songs", "-n", "mdx"), 2, "--name is for separa"),
        (("--data", "songs", "--live", "--plot", "a.txt"), 2, "must end in .svg or .png"),
        (("--data", "songs", "--live", "--hops", "0.1,x"), 2, "--hops=0.1,x must be seconds"),
        (("--data", "songs", "--live", "--hops", "0"), 2, "must be over 0"),
        (("--data", "songs", "--live", "--hop", "1"), 2, "--live tries many, not one --hop"),
        (("--data", "songs", "--live", "-n", "irm"), 2, "irm has no windows"),
        (("--data", "songs", "--songs", "0"), 2, "--songs=0 must be a whole number"),
        (("--data", "songs", "--stems", "piano", "-n", "silence"), 2, "has the stem 'piano'"),
        (("--data", "songs", "--stems", "piano", "-n", "passthrough"), 2, "no stem 'piano'"),
        (("--data", "songs", "-n", "nothing"), 5, "no model is named 'nothing'"),
        (("--data", "missing", "-n", "silence"), 3, "missing is no folder"),
        (("--data", "empty", "-n", "silence"), 3, "empty holds no song with stems"),
        (("--data", "songs", "-n", "silence", "--json", "no/out.json"), 4, "no is no folder"),
        (("--data", "songs", "-n", "silence", "--json", "empty"), 4, "cannot be written"),
        (("--reference", "songs", "--estimate", "empty"), 3, "empty holds no estimates"),
        (("--reference", "songs", "--estimate", "other"), 3, "has no estimate of one"),
        (("--reference", "songs", "--estimate", "two models"), 3, "estimates of a, b; name the"),
        (("--reference", "songs", "--estimate", "few stems"), 3, "one has no vocals"),
        (("--reference", "songs", "--estimate", "short"), 3, "is 1.00 s long and the song"),
        (("--reference", "songs", "--estimate", "rate"), 3, "has 44100 Hz and the song"),
    ],
)
def test_refusals_are_one_sentence(
    stemstream: Run, elsewhere: Path, songs: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    (elsewhere / "empty").mkdir()
    stems = make_stems(2 * RATE)
    for name in ("one", "two"):
        write_song(elsewhere / "other" / f"not {name}", stems, RATE)
        write_song(elsewhere / "two models" / "a" / name, stems, RATE)
        write_song(elsewhere / "two models" / "b" / name, stems, RATE)
        write_song(elsewhere / "few stems" / name, stems[:3], RATE)
        write_song(elsewhere / "short" / name, stems[:, :RATE], RATE)
        write_song(elsewhere / "rate" / name, stems, 44100)
    outcome = stemstream("eval", *words)
    assert outcome.code == code
    assert said in " ".join(outcome.complaint.split())


def test_a_broken_stem_is_named(stemstream: Run, songs: Path) -> None:
    (songs / "one" / "drums.wav").write_text("no sound")
    outcome = stemstream("eval", "-n", "silence", "--data", songs)
    assert outcome.code == 3
    assert "drums.wav is not audio" in outcome.complaint


def test_stems_of_a_model_that_no_song_has(stemstream: Run, songs: Path, elsewhere: Path) -> None:
    for name in ("one", "two"):
        (songs / name / "vocals.wav").unlink()
    outcome = stemstream("eval", "-n", "passthrough", "--data", songs)
    assert outcome.code == 2
    assert "no song in" in outcome.complaint
    assert "has the stem 'vocals'" in outcome.complaint


def test_a_model_of_some_stems_hears_all_of_them(
    stemstream: Run, score: Run, songs: Path, elsewhere: Path
) -> None:
    voices = elsewhere / "voices.safetensors"
    torch.manual_seed(0)
    write_network(MaskUNets(["vocals", "rest"], samplerate=RATE), voices)
    outcome = stemstream("eval", "-n", voices, "--data", songs)
    assert outcome.code == 2
    assert "the stem 'rest', which the model makes; try --stems vocals" in outcome.complaint
    words = ("-n", voices, "--data", songs, "--stems", "vocals", "--no-bss-eval")
    of_stems = score(*words)["stems"]["vocals"]["mdx_sdr_db"]
    for name in ("one", "two"):
        stems = [soundfile.read(path)[0] for path in (songs / name).iterdir()]
        soundfile.write(songs / name / "mixture.wav", sum(stems), RATE, subtype="FLOAT")
    assert score(*words)["stems"]["vocals"]["mdx_sdr_db"] == pytest.approx(of_stems, abs=0.01)


def test_the_accompaniment_is_scored_without_a_file_of_it(
    score: Run, songs: Path, elsewhere: Path
) -> None:
    model = elsewhere / "two.safetensors"
    torch.manual_seed(0)
    write_network(MaskUNets(["vocals", "accompaniment"], samplerate=RATE), model)
    words = ("-n", model, "--data", songs)
    summed = score(*words)["stems"]
    bound = ("-n", "irm", "--data", songs, "--stems", "vocals,accompaniment", "--no-bss-eval")
    of_sums = score(*bound)["stems"]
    for name in ("one", "two"):
        stems = {path.stem: soundfile.read(path)[0] for path in (songs / name).iterdir()}
        rest = sum(stem for name, stem in stems.items() if name != "vocals")
        for stem in stems.keys() - {"vocals"}:
            (songs / name / f"{stem}.wav").unlink()
        soundfile.write(songs / name / "accompaniment.wav", rest, RATE, subtype="FLOAT")
    of_files, bound_of_files = score(*words)["stems"], score(*bound)["stems"]
    assert summed.keys() == {"vocals", "accompaniment", "mean"}
    for stem, scores in summed.items():
        expected = of_files[stem]["mdx_sdr_db"]
        assert scores["mdx_sdr_db"] == pytest.approx(expected, abs=0.01), stem
        assert scores["bss_sir_db"] == pytest.approx(of_files[stem]["bss_sir_db"], abs=0.01), stem
        of_sum, expected = (one[stem]["mdx_sdr_db"] for one in (of_sums, bound_of_files))
        assert of_sum == pytest.approx(expected, abs=0.01), stem


def test_a_song_that_is_cut_costs_no_other_its_scores(
    stemstream: Run, songs: Path, elsewhere: Path
) -> None:
    stems, cut = make_stems(2 * RATE), songs / "cut"
    write_song(cut, stems, RATE, suffix=".flac")
    whole = (cut / "vocals.flac").read_bytes()
    (cut / "vocals.flac").write_bytes(whole[: len(whole) // 2])
    words = ("-n", "mixture", "--no-bss-eval", "--json", "out.json")
    outcome = stemstream("eval", "--data", songs, *words)
    assert outcome.code == 3
    assert "vocals.flac" in outcome.err
    told = json.loads((elsewhere / "out.json").read_text())
    assert [song["name"] for song in told["songs"]] == ["one", "two"]
    alone = stemstream("eval", "--data", cut, "-n", "mixture", "--no-bss-eval")
    assert (alone.code, alone.out) == (3, "")
    assert "vocals.flac" in alone.complaint


def test_a_song_without_a_frame_has_no_scores(score: Run, songs: Path, repo: Path) -> None:
    write_song(songs / "three", make_stems(0), RATE)
    told = score(*TINY, repo, "--trust-checkpoint", "--data", songs, "--no-bss-eval")
    assert told["stems"]["drums"]["songs"] == 2
    assert "drums is silent in 1 song" in told["told"]


def test_a_stem_that_may_be_in_another_needs_a_mixture(
    stemstream: Run, songs: Path, elsewhere: Path
) -> None:
    voices = elsewhere / "voices.safetensors"
    write_network(MaskUNets(["vocals", "rest"], samplerate=RATE), voices)
    soundfile.write(songs / "one" / "rest.wav", make_stems(2 * RATE)[0], RATE, subtype="FLOAT")
    outcome = stemstream("eval", "-n", voices, "--data", songs)
    assert outcome.code == 2
    assert "has rest beside drums, and one may be a part of the other" in outcome.complaint


def test_without_museval_it_says_what_to_install(
    stemstream: Run, songs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("museval", "museval.metrics"):
        monkeypatch.setitem(sys.modules, module, None)
    outcome = stemstream("eval", "-n", "mixture", "--data", songs)
    assert outcome.code == 2
    assert "pip install 'stemstream[train]'" in outcome.complaint


def test_the_flags_are_the_settings(stemstream: Run) -> None:
    told = stemstream("eval", "--help")
    assert told.code == 0
    flags = set(re.findall(r"--[a-z-]+", told.out))
    wanted = {flag(name) for name in EvalSettings.model_fields if name not in MEANINGLESS}
    assert wanted <= flags


def test_a_settings_file_has_a_table_for_it(score: Run, songs: Path, elsewhere: Path) -> None:
    (elsewhere / "stemstream.toml").write_text("[eval]\nsongs = 1\nbss_eval = false\n")
    assert len(score("-n", "mixture", "--data", songs)["songs"]) == 1


@pytest.mark.parametrize("changed", ["loudness = -40", "residual = true", 'two_stems = "vocals"'])
def test_what_is_written_of_a_song_changes_no_score(
    score: Run, songs: Path, elsewhere: Path, changed: str
) -> None:
    words = ("-n", "passthrough", "--data", songs, "--no-bss-eval")
    expected = score(*words)
    (elsewhere / "stemstream.toml").write_text(f"{changed}\n")
    assert score(*words)["songs"] == expected["songs"]


def test_audio_that_is_no_number_is_silence(score: Run, songs: Path) -> None:
    audio, rate = soundfile.read(songs / "one" / "drums.wav", dtype="float32")
    audio[:100] = np.nan
    soundfile.write(songs / "one" / "drums.wav", audio, rate, subtype="FLOAT")
    told = score("-n", "mixture", "--data", songs, "--no-bss-eval")
    assert told["songs"][0]["stems"]["drums"]["sdr_db"] < 0
