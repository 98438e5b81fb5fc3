"""SDR against delay: every point is what a run with those windows scores, and no window twice."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from support.data_set import make_stems, write_song
from support.doubles import RATE, SOURCES, RecordingSeparator, noise, tiny

from streamer.engine import run
from streamer.errors import SettingsError
from streamer.evaluation import memo
from streamer.evaluation.curve import trace
from streamer.evaluation.curve_plot import draw, write_plot
from streamer.evaluation.evaluate import score_excerpt, separate, with_model
from streamer.evaluation.excerpts import read_excerpt
from streamer.evaluation.memo import remembering
from streamer.evaluation.scores import summarize
from streamer.evaluation.settings import EvalSettings
from streamer.evaluation.songs import find_songs
from streamer.files.decode.memory import MemorySource
from streamer.models.networks.causal import CausalBandSplit
from streamer.models.networks.checkpoint import write_network
from streamer.processor import Processor, load_bag


@pytest.fixture
def model(tmp_path):
    network = tiny()
    args, kwargs = network._init_args_kwargs
    package = {"klass": type(network), "args": args, "kwargs": kwargs}
    torch.save({**package, "state": network.state_dict()}, tmp_path / "tiny.th")
    return {"model": "tiny", "repo": tmp_path, "trust_checkpoint": True, "bss_eval": False}


@pytest.fixture
def data(tmp_path):
    for seed in range(2):
        write_song(tmp_path / "songs" / f"{seed}", make_stems(RATE, seed=seed), RATE)
    return tmp_path / "songs"


GRID = {"live": True, "windows": (0.5, 0.25), "hops": (0.1, 0.2), "lookaheads": (0.0, 0.1, 0.2)}


def test_every_point_is_what_a_run_of_its_own_scores(model, data):
    settings = EvalSettings(**model, **GRID)
    told = []
    curve = trace(data, settings, load_bag(settings), lambda *step: told.append(step))
    assert told == [(f"{(n - 1) % 2}", n, 6) for n in range(1, 7)]
    fits = [(0.5, h, ahead) for h in GRID["hops"] for ahead in GRID["lookaheads"]]
    fits += [(0.25, 0.1, 0.0), (0.25, 0.1, 0.1), (0.25, 0.2, 0.0)]
    made = [(one.window_seconds, one.hop_seconds, one.lookahead_seconds) for one in curve.points]
    assert made == fits
    for point in (curve.points[1], curve.points[-1]):
        alone = EvalSettings(
            **model,
            window=point.window_seconds,
            hop=point.hop_seconds,
            lookahead=point.lookahead_seconds,
        )
        songs = with_model(data, alone, load_bag(alone), lambda *_: None)
        assert point.stems == summarize(songs)
        assert point.delay_seconds == alone.hop + alone.lookahead
        assert point.compute_seconds > 0
    plain = EvalSettings(**model)
    assert curve.file_run == summarize(with_model(data, plain, load_bag(plain), lambda *_: None))


def test_what_goes_along_the_stream_has_one_point_and_it_is_the_file_runs(data, tmp_path):
    torch.manual_seed(0)
    network = CausalBandSplit(SOURCES, width=16, depth=1, hidden=16, samplerate=RATE)
    path = tmp_path / "causal.safetensors"
    write_network(network, path)
    settings = EvalSettings(model=str(path), bss_eval=False, normalize="none", live=True)
    curve = trace(data, settings, load_bag(settings), lambda *_: None)
    (point,) = curve.points
    assert point.delay_seconds == 1024 / RATE
    assert point.compute_seconds > 0
    for stem, scores in point.stems.items():
        assert scores.median_sdr_db == pytest.approx(curve.file_run[stem].median_sdr_db, abs=1e-3)
    write_plot(curve, tmp_path / "curve.png")


def test_the_middle_of_a_song_is_heard_within_its_music(model, data):
    grid = {"windows": (0.25,), "hops": (0.1,), "lookaheads": (0.1,), "seconds": 0.3}
    settings = EvalSettings(**model, **grid, live=True, songs=1)
    curve = trace(data, settings, load_bag(settings), lambda *_: None)
    (song, _) = find_songs(data)
    excerpt = read_excerpt(song, 0.3, 0.25)
    assert (len(excerpt.before), excerpt.frames, excerpt.start_frame) == (2000, 2400, 2800)
    np.testing.assert_array_equal(excerpt.mixture, song.read_mixture(RATE, 2800, 2400))
    np.testing.assert_array_equal(excerpt.before, song.read_mixture(RATE, 800, 2000))
    np.testing.assert_array_equal(excerpt.after, song.read_mixture(RATE, 5200, 2000))
    live = settings.model_copy(update={"window": 0.25, "hop": 0.1, "lookahead": 0.1})
    with Processor(live) as processor:
        estimates = separate(excerpt, processor)
        heard = MemorySource("around", song.read_mixture(RATE, 800, 6400), RATE)
        stems = np.concatenate([block.data for block in run(heard, processor)], axis=1)
    np.testing.assert_array_equal(estimates, stems[:, 2000:4400])
    scored = score_excerpt(excerpt, estimates, processor.names, live)
    assert curve.points[0].stems == summarize([scored])


def test_a_grid_that_fits_no_window_is_refused(model, data):
    settings = EvalSettings(**model, live=True, windows=(0.1,), hops=(0.2,))
    with pytest.raises(SettingsError, match="fit into its windows"):
        trace(data, settings, load_bag(settings), lambda *_: None)


@pytest.mark.parametrize(
    ("wish", "told"),
    [
        ({"windows": (0.25, 0.6)}, "window=0.6 must be at most 0.5"),
        ({"crossfade": 0.05}, "crossfade"),
        ({"normalize": "track"}, "normalize=track needs the whole track"),
        ({"clip_mode": "rescale"}, "clip_mode=rescale needs the peak"),
    ],
)
def test_what_no_run_can_have_is_refused_before_anything_is_separated(model, data, wish, told):
    settings, steps = EvalSettings(**model, **{**GRID, **wish}), []
    with pytest.raises(SettingsError, match=told):
        trace(data, settings, load_bag(EvalSettings(**model)), lambda *step: steps.append(step))
    assert not steps


def test_no_window_is_separated_twice():
    separator = RecordingSeparator(100)
    bag, (remembered,) = remembering(separator.bag())
    one, other = noise(100)[None], noise(100, seed=1)[None]
    first = [bag.members[0].separator(window) for window in (one, other, one)]
    assert len(separator.seen) == 2
    np.testing.assert_array_equal(first[0], first[2])
    assert remembered.compute_seconds > 0
    remembered.forget()
    bag.members[0].separator(one)
    assert len(separator.seen) == 3


def test_what_does_not_fit_into_memory_is_separated_anew(monkeypatch):
    monkeypatch.setattr(memo, "MEMORY_BYTES", 4 * 100 * 2 * 4)
    separator = RecordingSeparator(100)
    _, (remembered,) = remembering(separator.bag())
    one, other = noise(100)[None], noise(100, seed=1)[None]
    for window in (one, other, one, other):
        remembered(window)
    assert len(separator.seen) == 3


def test_a_grid_of_any_size_is_drawn_whole():
    scores = {"mean": SimpleNamespace(median_sdr_db=3.0)}
    grid = itertools.product(range(1, 7), range(1, 7))
    points = [
        SimpleNamespace(window_seconds=w, hop_seconds=h, delay_seconds=h, mean_sdr_db=1.0)
        for w, h in grid
    ]
    (axes,) = draw(SimpleNamespace(file_run=scores, points=points)).axes
    looks = {
        (one.get_color(), one.get_linestyle(), one.get_marker(), one.get_fillstyle())
        for one in axes.lines
    }
    assert len(looks) == 1 + 36


def test_the_plot_has_a_line_for_each_window_and_hop(model, data, tmp_path):
    settings = EvalSettings(**model, **GRID)
    curve = trace(data, settings, load_bag(settings), lambda *_: None)
    figure = draw(curve)
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == [
        "file run",
        "window 0.25 s, hop 0.1 s",
        "window 0.25 s, hop 0.2 s",
        "window 0.5 s, hop 0.1 s",
        "window 0.5 s, hop 0.2 s",
    ]
    for name in ("a.svg", "b.svg", "a.png"):
        write_plot(curve, tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
