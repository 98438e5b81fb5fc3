"""What each listener hears, on virtual time: a change is in that mix alone, and at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from live.support.staging import Run, card, running, tone
from support.doubles import RATE

from streamer.audio import Samples
from streamer.live.control.commands import Commands
from streamer.live.control.osc import Message

BLOCK, RAMP, CONVERTER = 64, round(0.005 * RATE), 32
SCENE = """
[routes]
front = ["drums=1,2"]

[listeners.drummer]
output = "3,4"
me = "drums"

[listeners.singer]
output = "5,6"
me = "bass"
"""
STEMS = {"drums": 1.0, "bass": 0.5, "other": 0.25, "vocals": 0.125}
"""How much of the input each stem of the model is."""
ALL = sum(STEMS.values())
DB_6 = 10 ** (-6 / 20)


def levels(out: Samples) -> Samples:
    """The level of each pair of channels, as a share of the input's."""
    return np.sqrt((out.reshape(len(out), -1, 2) ** 2).mean((0, 2))) / (0.2 / np.sqrt(2))


def send(run: Run, address: str, *args: object) -> None:
    Commands(run.session, run.session.status).act(Message(address, args))


@pytest.mark.parametrize(
    ("address", "sent", "pair", "level"),
    [
        ("/listener/drummer/gain", -6.0, 1, ALL * DB_6),
        ("/listener/drummer/stem/drums/gain", -6.0, 1, ALL - 1 + DB_6),
        ("/listener/singer/stem/drums/mute", 1, 2, ALL - 1),
        ("/listener/singer/more", 6.0, 2, ALL - 0.5 + 0.5 / DB_6),
        ("/stem/drums/gain", -6.0, 0, DB_6),
        ("/stem/drums/mute", 1, 0, 0),
    ],
)
def test_a_change_is_heard_within_a_block_and_by_nobody_else(
    tmp_path: Path, address: str, sent: object, pair: int, level: float
) -> None:
    path = tmp_path / "band.toml"
    path.write_text(SCENE)
    device = card(tone(3, level=0.2))
    with running([device], scene=path, blocksize=BLOCK) as run:
        run.advance(1)
        changed = device.heard_frames
        send(run, address, sent)
        run.advance(0.5)
        out = device.heard(0, device.heard_frames)
    period = RATE // 100
    before = levels(out[changed - 20 * period : changed])
    np.testing.assert_allclose(before, [1, ALL, ALL, 0], rtol=1e-3, atol=1e-6)
    after = levels(out[changed + BLOCK + RAMP :][: 20 * period])
    expected = before.copy()
    expected[pair] = level
    np.testing.assert_allclose(after, expected, rtol=1e-3, atol=1e-6)
