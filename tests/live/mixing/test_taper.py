import pytest

from streamer.live.mixing.levels import MAX_DB, OFF_DB
from streamer.live.mixing.taper import gain_at, place_of


def test_the_marks_are_those_of_a_desk():
    gains = [gain_at(place) for place in (0, 0.0625, 0.25, 0.5, 0.75, 1)]
    assert gains == [OFF_DB, -60, -30, -10, 0, MAX_DB]
    assert gain_at(0.625) == -5


def test_a_place_leads_to_its_gain_and_back_and_never_falls():
    places = [step / 1000 for step in range(1001)]
    gains = [gain_at(place) for place in places]
    assert gains == sorted(gains)
    assert [place_of(gain) for gain in gains] == pytest.approx(places)


def test_what_lies_beyond_the_ends_counts_as_the_end():
    assert (gain_at(-1), gain_at(2)) == (OFF_DB, MAX_DB)
    assert (place_of(-1000), place_of(99)) == (0, 1)
