"""The recipes of the embedded models, without making songs or training."""

from __future__ import annotations

import tomllib
from pathlib import Path

from make_songs import MAKERS
from rebuild import MODELS, REAL, SONGS, rounds_of

from streamer.train.settings import TrainSettings

RECIPES = Path(__file__).parents[2] / "recipes"


def test_each_round_has_settings_with_a_share_for_each_kind_of_songs() -> None:
    files = {file.stem: tomllib.loads(file.read_text()) for file in RECIPES.glob("*.toml")}
    assert files.keys() == SONGS.keys()
    for name, kinds in SONGS.items():
        settings = TrainSettings(**files[name]["train"])
        assert settings.mixing is not None
        assert len(settings.mixing) == len(kinds), name
        assert {*kinds} <= {*REAL, *MAKERS}, name


def test_each_round_begins_with_the_weights_of_the_one_before(tmp_path: Path) -> None:
    rounds = [each for model in MODELS for each in rounds_of(model, model, tmp_path)]
    assert sorted(name for name, _, _ in rounds) == sorted(SONGS)
    before = {folder / "model.safetensors" for _, _, folder in rounds}
    for name, weights, _ in rounds:
        assert (name == weights) == (name in MODELS)
        assert name in MODELS or weights in before
