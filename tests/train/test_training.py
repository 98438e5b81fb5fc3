"""Trainings of a tiny network: it learns, stops, goes on, and leaves what others can load."""

from __future__ import annotations

import copy
import csv
import math
import shutil
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch
from demucs.apply import apply_model
from demucs.pretrained import get_model
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import TorchElasticEnvironment
from safetensors.torch import load_file, save_file
from support.doubles import RATE, SOURCES, tiny

from streamer.errors import (
    ModelError,
    ModelMemoryError,
    OutputExistsError,
    SettingsError,
    SinkError,
    WeightsError,
)
from streamer.models.backends.quantized import SLOW_BFLOAT16
from streamer.models.loading import load
from streamer.models.networks.causal import CausalBandSplit
from streamer.models.networks.checkpoint import read_network, write_network
from streamer.models.separator import Bag
from streamer.processor import load_bag
from streamer.resolve import resolve
from streamer.train.best import BestEpochs
from streamer.train.export import export, state_of
from streamer.train.interrupt import Interrupt
from streamer.train.losses import mean_loss, spectral_losses, stem_losses
from streamer.train.network import load_subject
from streamer.train.run import train
from streamer.train.settings import TrainSettings
from streamer.train.state import learning_rate_at, make_state, saved_progress, saved_settings
from streamer.train.teacher import Teacher, check_teachers
from streamer.train.validate import sdr_of

PLAIN = {"device": "cpu", "workers": 0, "warmup": 1, "window": 0.5, "bss_every": 0}


class Recorder:
    """Remembers what it is told, and sends itself a signal after a step."""

    def __init__(self, stop_after=None):
        self.sentences, self.losses, self.rows, self.judgements = [], [], [], []
        self._stop_after = stop_after

    def told(self, sentence):
        self.sentences.append(sentence)

    def decoded(self, songs, of):
        pass

    def stepped(self, step, of, loss):
        self.losses.append(loss)
        if step == self._stop_after:
            signal.raise_signal(signal.SIGINT)

    def judged(self, songs, of):
        self.judgements.append((songs, of))

    def validated(self, row, *, better):
        self.rows.append((row, better))


@pytest.fixture
def settings(songs, checkpoint, tmp_path):
    def make(**changes):
        given = {"data": songs, "model": str(checkpoint), "out": tmp_path / "out"}
        return TrainSettings(**(PLAIN | given | changes))

    return make


def run(settings, stop_after=None):
    recorder = Recorder(stop_after)
    return train(settings, recorder), recorder


def test_it_learns_two_songs(song, settings, tmp_path):
    for number in (0, 1):
        song(f"two/{number}", seed=number, seconds=1.5)
    two = tmp_path / "two"
    few = {"epochs": 2, "epoch_steps": 40, "batch": 2, "learning_rate": 1e-2, "ema": 0.5}
    outcome, recorder = run(settings(data=two, validation=two, augment=False, **few))
    ratios = [row["sdr"] for row, _ in recorder.rows]
    assert ratios[-1] > ratios[0] + 6, ratios
    assert sdr_of(outcome.scores) == pytest.approx(max(ratios))
    assert outcome.half_costs_db < 0.05
    assert outcome.stored_half


def test_it_goes_on_to_the_very_same_losses(settings, tmp_path):
    choices = {"epochs": 3, "epoch_steps": 3, "batch": 2, "accumulate": 2, "mixup": 0.5}
    whole, through = run(settings(out=tmp_path / "whole", **choices))
    first, before = run(settings(**choices), stop_after=4)
    assert first.signum == signal.SIGINT
    assert first.epoch is not None
    assert first.scores is None
    second, after = run(settings(resume=True, **choices))
    assert before.losses + after.losses == through.losses
    assert len(through.losses) == 9
    assert before.rows + after.rows == through.rows
    ours, theirs = (one.model.with_suffix(".th") for one in (second, whole))
    weights = [torch.load(path, weights_only=False)["state"] for path in (ours, theirs)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    table = [(tmp_path / name / "log.csv").read_text() for name in ("out", "whole")]
    assert table[0] == table[1]


def test_a_teacher_s_stems_are_learnt_beside_the_true_ones(settings, checkpoint):
    taught = settings(teacher=str(checkpoint), teacher_share=0.25)
    stems = 0.1 * torch.randn(2, 4, 2, 4000, generator=torch.Generator().manual_seed(1))
    goals = Teacher(taught, SOURCES[::-1], RATE, "cpu").goals(stems)
    model = get_model(checkpoint.stem, checkpoint.parent)
    with torch.no_grad():
        theirs = apply_model(model, stems.sum(1), shifts=0)[:, range(3, -1, -1)]
    error = (goals - 0.75 * stems) / 0.25 - theirs  # a stream's level is not known beforehand
    assert error.square().mean() < 0.1 * theirs.square().mean()
    few = {"epochs": 1, "epoch_steps": 2, "batch": 1, "overwrite": True}
    losses = [
        run(settings(**few, **more))[1].losses
        for more in (
            {},
            {"teacher": "passthrough", "teacher_share": 0},
            {"teacher": "passthrough"},
        )
    ]
    assert losses[0] == losses[1] != losses[2]


def test_a_teacher_hears_what_those_before_it_left(settings, checkpoint, voices):
    def heard(mixture, *teachers):
        taught = settings(teacher=teachers, teacher_share=1)
        stems = torch.stack([mixture, *[torch.zeros_like(mixture)] * 3], 1)
        return Teacher(taught, SOURCES, RATE, "cpu").goals(stems)

    row = str(voices), str(checkpoint)
    assert check_teachers(settings(teacher=row), SOURCES) == [None, None]
    mixture = 0.1 * torch.randn(2, 2, 4000, generator=torch.Generator().manual_seed(1))
    vocals = heard(mixture, str(voices))
    assert vocals[:, 3].abs().max() > 1e-3
    assert not vocals[:, :3].any()
    rest = heard(mixture - vocals.sum(1), str(checkpoint))
    torch.testing.assert_close(heard(mixture, *row), vocals + rest, atol=1e-6, rtol=0)
    assert (heard(mixture, str(checkpoint)) - rest).abs().max() > 1e-3


@pytest.mark.parametrize("now", [(), "passthrough"])
def test_a_run_of_when_there_was_one_teacher_or_none_goes_on(settings, monkeypatch, now):
    choices = {"epochs": 1, "epoch_steps": 2, "teacher": now}
    run(settings(**choices), stop_after=1)
    before = {"teacher": now or None}
    monkeypatch.setattr(
        "streamer.train.run.saved_settings", lambda path: {**saved_settings(path), **before}
    )
    outcome, _ = run(settings(**choices, resume=True))
    assert outcome.epoch == 1
    before["teacher"] = "mini_duo"
    with pytest.raises(SettingsError, match=r"--teacher=.* must be .*mini_duo"):
        run(settings(**choices, resume=True))


def test_a_teacher_takes_no_threads_and_tells_of_itself(settings, monkeypatch):
    def takes_all_but_one(wish):
        torch.set_num_threads(1)  # as a network that remembers does
        return replace(load_bag(wish), note="chosen")

    monkeypatch.setattr("streamer.train.teacher.load_bag", takes_all_but_one)
    torch.set_num_threads(2)
    taught = settings(teacher="passthrough")
    assert check_teachers(taught, SOURCES) == ["chosen"]
    Teacher(taught, SOURCES, RATE, "cpu")
    assert torch.get_num_threads() == 2
    _, recorder = run(settings(teacher="passthrough", epochs=1, epoch_steps=1))
    assert "chosen" in recorder.sentences


def test_a_teacher_must_have_stems_that_are_learnt(settings, voices):
    def refused(*teachers, names=SOURCES):
        with pytest.raises(SettingsError) as error:
            check_teachers(settings(teacher=teachers), names)
        return str(error.value)

    said = refused("passthrough", names=("a", "b"))
    assert said.startswith("teacher=passthrough gives drums, bass, other, vocals, and")
    assert said.endswith("to learn a, b; the last one must have the same stems")
    assert "the last one" in refused(str(voices), str(voices))
    assert "one before the last" in refused("passthrough", "passthrough")
    assert "one before the last" in refused(str(voices), "passthrough", names=("drums", "a"))
    with pytest.raises(ModelError, match="no model is named 'nonsense'"):
        train(settings(teacher="nonsense"), None)  # before a song is decoded
    with pytest.raises(SettingsError, match=r"share of a .*teacher, and none is named"):
        resolve({"teacher_share": 0.5}, {}, kind=TrainSettings)


def test_songs_may_come_and_go_while_a_run_rests_but_not_those_to_judge_by(
    song, settings, tmp_path
):
    for number in range(4):
        song(f"few/{number}", seed=number, seconds=1.2)
    choices = {"data": tmp_path / "few", "epochs": 2, "batch": 1, "held_out": 0.3}
    run(settings(**choices), stop_after=1)
    before = saved_progress(tmp_path / "out/state.safetensors")
    (judge,) = before.judges
    shutil.rmtree(tmp_path / "few" / next(name for name in "0123" if name != judge))
    for number in range(4, 7):  # of so many songs two would be held out
        song(f"few/{number}", seed=number, seconds=1.2)
    _, recorder = run(settings(resume=True, **choices))
    steps = [row["step"] for row, _ in recorder.rows]
    assert steps == [before.epoch_steps, 2 * before.epoch_steps], "an epoch stays as long"
    assert saved_progress(tmp_path / "out/state.safetensors").judges == [judge]
    shutil.rmtree(tmp_path / "few" / judge)
    with pytest.raises(SettingsError, match=r"songs to judge by are others.*put those back that"):
        run(settings(resume=True, **choices))


def test_a_run_that_is_not_where_it_is_resumed_is_told(settings, tmp_path):
    choices = {"epochs": 1, "epoch_steps": 1, "resume": True}
    _, recorder = run(settings(**choices))
    told = f"there is no run in {tmp_path / 'out'} to go on with, so a new one begins"
    assert told in recorder.sentences
    _, recorder = run(settings(**choices))
    assert told not in recorder.sentences


def test_a_run_stopped_before_an_epoch_ends_goes_on(settings):
    choices = {"epochs": 1, "epoch_steps": 2}
    stopped, _ = run(settings(**choices), stop_after=1)
    assert stopped.epoch == 0, "what it began with"
    assert stopped.model.exists()
    done, recorder = run(settings(resume=True, **choices))
    assert [row["epoch"] for row, _ in recorder.rows] == [1]
    assert done.scores is not None


def test_what_it_writes(song, settings, tmp_path):
    for number in range(2):
        song(f"brief/{number}", seed=number, seconds=1.2)
    outcome, recorder = run(
        settings(data=tmp_path / "brief", epochs=2, epoch_steps=1, bss_every=2, batch=1)
    )
    with (tmp_path / "out/log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    for row, (told, _) in zip(rows, recorder.rows, strict=True):
        assert {name: float(value) for name, value in row.items() if value} == told
    assert math.isfinite(float(rows[0]["sdr_vocals"]))
    assert {"sir_bass", "sar_drums"} <= set(rows[2])
    assert not rows[1]["sir_bass"]
    assert rows[2]["sir_bass"]
    assert list((tmp_path / "out/tensorboard").glob("events.*"))
    assert outcome.model == tmp_path / "out/model.safetensors"
    assert not list((tmp_path / "out").rglob("*.part"))


def test_validation_tells_how_far_it_is(settings):
    _, recorder = run(settings(epochs=1, epoch_steps=1, held_out=0.5))
    once = [(0, 2), (1, 2), (2, 2)]
    # before the first step, after the epoch, and of the best as it is and in half precision
    assert recorder.judgements == once * 4


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("judging", range(4))
def test_a_signal_while_songs_are_judged_ends_that_after_the_song(
    settings, monkeypatch, judging, processes
):
    """Before the first step, after the epoch, and of the best as it is and in half precision."""

    class Impatient(Recorder):
        def judged(self, songs, of):
            super().judged(songs, of)
            if len(self.judgements) == 3 * judging + 2:
                signal.raise_signal(signal.SIGINT)

    # one that believes in another, which has nothing to do meanwhile
    monkeypatch.setattr(Fabric, "world_size", property(lambda _: processes))
    recorder = Impatient()
    choices = {"epochs": 1, "epoch_steps": 1, "held_out": 0.5}
    outcome = train(settings(**choices), recorder)
    assert outcome.signum == signal.SIGINT
    assert recorder.judgements == [(0, 2), (1, 2), (2, 2)] * judging + [(0, 2), (1, 2)]
    outcome, _ = run(settings(**choices, resume=True))
    assert outcome.signum is None
    assert outcome.scores is not None


def test_what_is_kept_is_the_best(settings):
    # so high a rate makes it worse and worse
    outcome, recorder = run(settings(epochs=3, epoch_steps=2, learning_rate=0.5, ema=0, patience=1))
    ratios = [row["sdr"] for row, _ in recorder.rows]
    best = max(ratios)
    assert [better for _, better in recorder.rows].count(True) < len(ratios)
    assert outcome.epoch == ratios.index(best)
    assert sdr_of(outcome.scores) == pytest.approx(best)
    assert len(ratios) == outcome.epoch + 2, "patience ended it"


def test_only_the_best_epochs_are_kept(tmp_path):
    best, history = BestEpochs(tmp_path, 2), []
    for epoch, sdr in enumerate([1.0, 3.0, 0.5, 2.0]):
        history.append({"epoch": epoch, "sdr": sdr})
        before = best.files(history[:-1])
        best.keep(history, {"weight": torch.full((2,), float(epoch))})
        # the state that is saved next may not be: then the run goes on from the one before
        assert all(file.is_file() for file in before)
        best.forget(history)
    assert best.averaged(history) == (1, 3)
    assert best.mean(history)["weight"].tolist() == [2.0, 2.0]
    assert sorted(file.name for file in (tmp_path / "epochs").iterdir()) == [
        "1.safetensors",
        "3.safetensors",
    ]
    (tmp_path / "epochs/3.safetensors").write_bytes(b"torn")
    with pytest.raises(WeightsError, match=r"3.safetensors cannot be read .*put it back"):
        best.mean(history)


def test_the_mean_of_the_best_epochs_is_taken_where_it_is_better(settings, tmp_path):
    choices = {"epochs": 1, "epoch_steps": 1, "average": 2}
    run(settings(**choices))
    good = load_file(tmp_path / "out/epochs/0.safetensors")
    torch.manual_seed(0)
    wrong = {name: 0.5 * torch.randn_like(one) for name, one in good.items()}
    for epoch, sign in enumerate((1, -1)):
        off = {name: one + sign * wrong[name] for name, one in good.items()}
        save_file(off, tmp_path / f"out/epochs/{epoch}.safetensors")
    outcome, _ = run(settings(resume=True, **choices))
    assert outcome.averaged == (0, 1)
    written = load_file(outcome.model)
    assert all(torch.allclose(written[name].float(), good[name], atol=1e-3) for name in good)


def test_the_result_loads_here_and_in_demucs(settings, tmp_path):
    outcome, _ = run(settings(epochs=1, epoch_steps=1))
    bag = load(str(outcome.model))
    assert bag.names == tuple(SOURCES)
    assert (bag.samplerate, bag.channels) == (RATE, 2)
    ours = read_network(outcome.model)
    theirs = get_model("model", repo=tmp_path / "out")
    mix = torch.randn(1, 2, 4000) / 10
    with torch.no_grad():
        assert torch.equal(ours(mix), theirs(mix))


def test_the_state_of_training_does_not_reach_the_export(settings):
    outcome, _ = run(settings(epochs=1, epoch_steps=1, window=0.3))
    assert float(read_network(outcome.model).segment) == 0.5


def test_from_scratch(settings):
    network = load_subject(settings(from_scratch=True)).network
    again = load_subject(settings(from_scratch=True)).network
    other = load_subject(settings(from_scratch=True, seed=1)).network
    kept = load_subject(settings()).network
    weights = [one.encoder[0].conv.weight for one in (network, again, other, kept)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert not torch.equal(weights[2], weights[3])
    assert torch.equal(weights[3], tiny().encoder[0].conv.weight)


def test_a_transformer_bounds_the_window(settings):
    subject = load_subject(settings(window=10))
    assert subject.frames == RATE // 2
    assert "examples are 0.5 s long, not 10" in subject.note
    assert load_subject(settings(window=0.3)).note is None


def test_other_networks_do_not(tmp_path, settings):
    network = tiny("demucs")
    export(network, tmp_path / "old.safetensors", state_of(network))
    subject = load_subject(settings(model=str(tmp_path / "old.safetensors"), window=3))
    assert (subject.frames, subject.note) == (3 * RATE, None)


@pytest.mark.parametrize(
    ("model", "words"),
    [("htdemucs_ft", "bag of 4 networks"), ("passthrough", "no weights to train")],
)
def test_what_cannot_be_trained(model, words, settings):
    with pytest.raises(ModelError, match=words):
        load_subject(settings(model=model))


@pytest.mark.parametrize("average", [0, 2])
def test_a_run_whose_best_weights_are_gone_does_not_go_on(average, settings, tmp_path):
    choices = {"epochs": 3, "epoch_steps": 1, "average": average}
    run(settings(**choices), stop_after=2)
    lost = tmp_path / "out" / ("epochs/0.safetensors" if average else "model.safetensors")
    lost.unlink()
    with pytest.raises(SettingsError, match=f"{lost.name} is gone"):
        run(settings(resume=True, **choices))


def test_a_model_that_is_damaged_meanwhile_is_told(settings, tmp_path):
    run(settings(epochs=1, epoch_steps=1))
    (tmp_path / "out/model.safetensors").write_bytes(b"torn")
    with pytest.raises(WeightsError, match=r"model.safetensors cannot be read .*put it back"):
        run(settings(epochs=1, epoch_steps=1, resume=True))


def test_a_loss_that_is_no_number_is_said(settings):
    with pytest.raises(ModelError, match=r"no number at step .*learning-rate"):
        run(settings(epochs=1, epoch_steps=30, learning_rate=1e3, clip_norm=1e15))


@pytest.mark.parametrize("name", ["model.safetensors", "model.th", "state.safetensors", "log.csv"])
def test_an_output_that_cannot_be_written_is_found_before_the_first_step(settings, tmp_path, name):
    (tmp_path / "out" / name).mkdir(parents=True)
    recorder = Recorder()
    with pytest.raises(SinkError, match=rf"{name} cannot be written: a folder stands"):
        train(settings(epochs=1, epoch_steps=1), recorder)
    assert recorder.losses == recorder.judgements == []


@pytest.mark.parametrize("suffix", ["safetensors", "th"])
@pytest.mark.parametrize("told", [{}, {"overwrite": True}, {"from_scratch": True}])
def test_a_training_does_not_replace_the_model_that_it_starts_from(
    settings, checkpoint, tmp_path, suffix, told
):
    mine = tmp_path / f"out/model.{suffix}"
    mine.parent.mkdir()
    mine.write_bytes(checkpoint.with_suffix(f".{suffix}").read_bytes())
    before = mine.read_bytes()
    with pytest.raises(SettingsError, match=r"^out=.* must not be the folder .*; try --out"):
        run(settings(model=str(mine), trust_checkpoint=True, epochs=1, epoch_steps=1, **told))
    assert mine.read_bytes() == before
    assert [one.name for one in mine.parent.iterdir()] == [mine.name]


def test_the_folder_of_another_run(settings, tmp_path):
    run(settings(epochs=1, epoch_steps=1))
    with pytest.raises(OutputExistsError, match=r"--resume goes on"):
        run(settings(epochs=1, epoch_steps=1))
    with pytest.raises(SettingsError, match=r"--batch=3 must be 4.*--overwrite"):
        run(settings(epochs=1, epoch_steps=1, batch=3, resume=True))
    with pytest.raises(SettingsError, match="give one of them"):
        run(settings(overwrite=True, resume=True))
    (tmp_path / "out/state.safetensors").write_bytes(b"junk")
    with pytest.raises(WeightsError, match="damaged"):
        run(settings(epochs=1, epoch_steps=1, resume=True))
    _, recorder = run(settings(epochs=1, epoch_steps=1, overwrite=True))
    assert len(recorder.rows) == 2


@pytest.mark.parametrize("resume", [True, False])
def test_a_model_whose_run_is_gone_is_not_replaced_unasked(settings, tmp_path, resume):
    few = {"epochs": 1, "epoch_steps": 1}
    run(settings(**few))
    (tmp_path / "out/state.safetensors").unlink()  # it is large
    before = (tmp_path / "out/model.safetensors").read_bytes()
    with pytest.raises(OutputExistsError, match="--overwrite replaces it, or name another folder"):
        run(settings(**few, resume=resume))
    assert (tmp_path / "out/model.safetensors").read_bytes() == before
    run(settings(**few, overwrite=True))


def test_processes_that_know_nothing_of_each_other_are_refused(settings, tmp_path, monkeypatch):
    """As torchrun starts them: each would write the same files."""
    monkeypatch.setattr(TorchElasticEnvironment, "detect", lambda: True)
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(SettingsError, match=r"devices=1 must be 4.*; give --devices 4 too"):
        run(settings())
    assert not list(tmp_path.glob("out/*"))


def test_several_processes_have_the_threads_that_they_are_told(settings, monkeypatch):
    class Counting(Fabric):
        def launch(self):
            torch.set_num_threads(1)  # as it does where there are several
            super().launch()

    monkeypatch.setattr("streamer.train.run.Fabric", Counting)
    threads = []
    monkeypatch.setattr(
        Recorder, "stepped", lambda *_: threads.append(torch.get_num_threads()), raising=True
    )
    run(settings(epochs=1, epoch_steps=1, torch_num_threads=2))
    assert threads == [2]


@pytest.mark.parametrize("broken", [ConnectionResetError, BrokenPipeError, EOFError])
def test_what_breaks_off_with_a_process_that_makes_examples_is_one_sentence(
    settings, monkeypatch, broken
):
    def break_off(*_):
        raise broken
        yield

    monkeypatch.setattr("streamer.train.loop.load", break_off)
    with pytest.raises(ModelError, match="a process that makes examples was killed"):
        run(settings(epochs=1, epoch_steps=1))


def test_memory_that_runs_out_is_one_sentence(settings, monkeypatch):
    def full(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr("streamer.train.loop.stem_losses", full)
    with pytest.raises(ModelMemoryError, match=r"^memory ran out; try a smaller --batch"):
        run(settings(epochs=1, epoch_steps=1))


def test_what_becomes_of_a_teacher_is_told(settings, monkeypatch):
    notes = ["it runs on the CPU from now on"]
    monkeypatch.setattr(Bag, "take_notes", lambda _: [notes.pop()] if notes else [])
    _, recorder = run(settings(teacher="passthrough", epochs=1, epoch_steps=2))
    assert recorder.sentences.count("it runs on the CPU from now on") == 1


@pytest.mark.parametrize("quick", [True, False])
def test_bfloat16_accumulation_and_the_other_losses(settings, monkeypatch, quick):
    monkeypatch.setattr("streamer.train.run.has_bfloat16", lambda: quick)
    outcome, recorder = run(
        settings(
            epochs=1,
            epoch_steps=2,
            precision="bfloat16",
            stft_loss=0.5,
            drop_highest=0.1,
            workers=1,
        )
    )
    assert all(map(math.isfinite, recorder.losses))
    assert math.isfinite(sdr_of(outcome.scores))
    assert (SLOW_BFLOAT16 in recorder.sentences) is not quick


def test_a_causal_network_learns_by_its_sdr_and_what_comes_before_it_settles_is_left_out(
    settings, tmp_path
):
    torch.manual_seed(0)
    network = CausalBandSplit(SOURCES, width=16, depth=1, hidden=16, samplerate=RATE, segment=0.5)
    path = tmp_path / "causal.safetensors"
    write_network(network, path)
    told = {"model": str(path), "loss": "sdr", "epochs": 2, "epoch_steps": 20, "batch": 2}
    rate = {"learning_rate": 1e-2, "ema": 0.5, "clip_norm": 100.0}
    outcome, recorder = run(settings(**told, **rate, settle=0.1, augment=False))
    assert np.mean(recorder.losses[-10:]) < np.mean(recorder.losses[:10]) - 1
    (before, _), *_, (after, _) = recorder.rows
    assert after["sdr"] > before["sdr"] + 1
    assert load(str(outcome.model)).stride == network.stream_stride
    with pytest.raises(SettingsError, match=r"settle=0\.5 must be .* 0\.5 s; try 0\.0625"):
        load_subject(settings(model=str(path), settle=0.5))
    with pytest.raises(SettingsError, match="needs over 2048 frames of an example, and 1600 count"):
        load_subject(settings(model=str(path), settle=0.3, stft_loss=0.5))


# what the loop is made of ----------------------------------------------------------------------


def test_l1_is_demucs_s():
    one, other = torch.randn(2, 3, 4, 2, 5000)
    losses = stem_losses(one, other)
    assert losses.shape == (3, 4)
    assert losses.mean() == pytest.approx(float(torch.nn.functional.l1_loss(one, other)))


def test_the_other_loss_is_the_sdr_between_its_thresholds():
    stems = torch.randn(3, 4, 2, 5000)
    stems[:, 0] = 0
    for scale in (0.5, 0.9):
        losses = stem_losses(scale * stems, stems, "sdr")
        assert losses.shape == (3, 4)
        assert losses[:, 1:].numpy() == pytest.approx(20 * math.log10(1 - scale), abs=1.5)
    perfect = stem_losses(stems, stems, "sdr")  # each is a third of the mixture
    assert perfect[:, 1:].numpy() == pytest.approx(10 * math.log10(3e-3), abs=0.3)
    assert perfect[:, 0].numpy() == pytest.approx(0, abs=0.01)
    loud = stem_losses(stems + 1, stems, "sdr")[:, 0]
    assert (loud > 20).all()


def test_a_silent_stem_pulls_no_harder_the_more_silent_its_estimate_is():
    stems = torch.randn(1, 4, 2, 5000)
    stems[:, 0] = 0

    def pull(leak_db: float) -> float:
        estimates = stems + 10 ** (leak_db / 20)
        estimates.requires_grad_(True)
        stem_losses(estimates, stems, "sdr")[:, 0].sum().backward()
        return float(estimates.grad.norm())

    pulls = [pull(leak_db) for leak_db in (-30, -40, -50, -60)]
    assert pulls == sorted(pulls, reverse=True)
    assert pulls[0] > 10 * pulls[-1]


def test_the_spectral_loss_is_of_magnitudes():
    stems = torch.randn(2, 4, 2, 8192)
    assert float(spectral_losses(-stems, stems).abs().max()) < 1e-6
    assert float(spectral_losses(2 * stems, stems).min()) > 0.1
    silent = torch.zeros(1, 4, 2, 8192, requires_grad=True)
    spectral_losses(silent, stems[:1]).sum().backward()
    assert silent.grad.isfinite().all()


@pytest.mark.parametrize(("from_scratch", "kept"), [(False, 0.9), (True, 2 / 11)])
def test_the_average_begins_with_what_was_loaded(settings, from_scratch, kept):
    network = copy.deepcopy(tiny())  # others use it, too
    state = make_state(network, settings(ema=0.9, from_scratch=from_scratch), steps=10)
    for one in network.parameters():
        one += 1
    state.average.update_parameters(network)
    for mean, one in zip(state.average.module.parameters(), network.parameters(), strict=True):
        torch.testing.assert_close(mean, one - kept)


def test_the_highest_losses_are_dropped():
    losses = torch.tensor([[1.0, 2.0], [3.0, 100.0]])
    assert mean_loss(losses) == 26.5
    assert mean_loss(losses, 0.25) == 2
    assert mean_loss(losses, 0.05) == 26.5


def test_a_share_of_a_batch_that_drops_nothing_is_said(settings):
    said = [
        run(settings(epochs=1, epoch_steps=1, drop_highest=share, batch=2, overwrite=True))[
            1
        ].sentences
        for share in (0.05, 0.2)
    ]
    words = "drop_highest=0.05 leaves out none of the 8 stems of a batch; try 0.12, or a larger"
    assert [any(words in one for one in sentences) for sentences in said] == [True, False]


def test_the_learning_rate_rises_and_falls():
    rates = [learning_rate_at(step, 10, 100) for step in range(100)]
    assert np.argmax(rates) in (9, 10)
    assert max(rates) == 1
    assert all(np.diff(rates[:10]) > 0)
    assert all(np.diff(rates[10:]) < 0)
    assert 0.01 <= rates[-1] < 0.02
    assert learning_rate_at(0, 0, 10) == 1


def test_a_second_signal_does_what_it_did_before():
    with Interrupt() as interrupt:
        assert interrupt.signum is None
        signal.raise_signal(signal.SIGINT)
        assert interrupt.signum == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
