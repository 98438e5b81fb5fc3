"""Two networks in a row: what the second one hears, and what its user gets."""

from __future__ import annotations

import numpy as np
import pytest

from streamer.models import load
from streamer.models.backends.in_row import InRow
from streamer.models.separator import WHOLE, Load


class Made:
    """Gives each of its stems its share of what it hears, and keeps that."""

    samplerate, channels, window_frames = 8000, 2, 100

    def __init__(self, **shares):
        self.names, self.shares = tuple(shares), shares
        self.heard, self.loaded = None, 0

    def input_frames(self, window_frames):
        return window_frames + 7

    def __call__(self, windows, kept=WHOLE):
        self.heard = windows
        return np.stack([share * windows[:, kept] for share in self.shares.values()], axis=1)

    def best_load(self):
        return Load(len(self.names), 5 - len(self.names))

    def take_notes(self):
        return [f"{self.names[0]} first"]

    def load_ahead(self):
        self.loaded += 1


@pytest.fixture
def parts():
    first = Made(vocals=np.float32(0.5), accompaniment=np.float32(0.5))
    return first, Made(drums=np.float32(0.25), vocals=np.float32(0.5), bass=np.float32(0.25))


@pytest.mark.parametrize("kept", [WHOLE, slice(3, 9), slice(-4, None)])
def test_the_second_hears_what_the_first_leaves_and_gets_its_stem_back(parts, noise, kept):
    first, second = parts
    row, windows = InRow(first, second), noise(2, 20)
    before = windows.copy()
    stems = row(windows, kept)
    np.testing.assert_array_equal(windows, before)  # they are the caller's
    np.testing.assert_array_equal(first.heard, windows)
    np.testing.assert_allclose(second.heard, 0.5 * windows)  # the accompaniment stays
    for stem, share in enumerate((0.125, 0.75, 0.125)):
        np.testing.assert_allclose(stems[:, stem], share * windows[:, kept], rtol=1e-6)


def test_silence_after_a_song_is_heard_as_the_song_backwards(parts, noise):
    first, second = parts
    windows = noise(3, 20)
    windows[1, 12:] = 0
    windows[2] = 0
    stems = InRow(first, second)(windows)
    np.testing.assert_array_equal(first.heard[0], windows[0])
    np.testing.assert_array_equal(first.heard[1, 12:], windows[1, 11:3:-1])
    assert not first.heard[2].any()
    np.testing.assert_allclose(stems[:, 1], 0.75 * windows, rtol=1e-6)
    assert not second.heard[1, 12:].any()


def test_the_second_one_is_its_face_and_both_are_asked(parts):
    row = InRow(*parts)
    assert (row.names, row.samplerate, row.channels) == (("drums", "vocals", "bass"), 8000, 2)
    assert (row.window_frames, row.input_frames(10)) == (100, 17)
    assert row.best_load() == Load(2, 2)
    assert row.take_notes() == ["vocals first", "drums first"]
    row.load_ahead()
    assert [one.loaded for one in parts] == [1, 1]


def test_the_embedded_row_gives_the_vocals_of_both_networks(noise):
    row, first, second = (
        load(name, device="cpu", backend="torch").members[0].separator
        for name in ("mini_duo", "mini_vocals", "htdemucs_mini")
    )
    windows = 0.1 * noise(1, row.window_frames)
    vocals = first(windows)[:, 0]
    expected = second(windows - vocals)
    expected[:, 3] += vocals
    np.testing.assert_allclose(row(windows), expected, atol=1e-6)
    assert not row(0 * windows).any()
