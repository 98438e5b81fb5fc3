"""Numbers as people say them."""

from __future__ import annotations

import pytest

from streamer.words import counted


@pytest.mark.parametrize(
    ("number", "said"),
    [(0, "0 frames"), (1, "1 frame"), (2, "2 frames"), (264600, "264,600 frames")],
)
def test_one_is_singular(number: int, said: str) -> None:
    assert counted(number, "frame") == said


def test_a_plural_without_an_s() -> None:
    assert counted(1, "song is", "songs are") == "1 song is"
    assert counted(2, "song is", "songs are") == "2 songs are"
