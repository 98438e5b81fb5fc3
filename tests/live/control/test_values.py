"""The control tree: every value by its address, and what a change of it changes."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import numpy as np
import pytest
from live.support.desk import DRUMMER, STEMS, Desk

from streamer.errors import StemstreamError
from streamer.live.control.commands import Commands
from streamer.live.control.osc import Message
from streamer.live.control.values import ControlTree
from streamer.live.mixing.matrices import matrices
from streamer.live.mixing.routes import Place
from streamer.live.mixing.state import Listener, Scene
from streamer.live.status import Status

SINGER = Listener(Place((5, 6)), me="vocals")


class Remote:
    """A desk with two listeners and a song, and what a remote does with it."""

    def __init__(self, folder) -> None:
        self.desk = Desk(folder, listeners={"drummer": DRUMMER, "singer": SINGER}, song=True)
        self.commands = Commands(self.desk, Status)
        self.tree = ControlTree(self.desk, Status)

    def send(self, address, *args):
        return [(one.address, *one.args) for one in self.commands.act(Message(address, args))]

    def gains(self):
        """What each stem has on each channel: (stems, channels), the left of each pair first."""
        gains = matrices(self.desk.mixer.state, "PA", 8).gains
        return gains[:8].reshape(4, 2, 8).sum(1)


@pytest.fixture
def remote(tmp_path):
    return Remote(tmp_path)


def changed_by(remote, address, value):
    """The channels whose gains a message changed, and by which factor."""
    before = remote.gains()
    remote.send(address, value)
    after = remote.gains()
    places = np.argwhere(before != after)
    factors = [float(after[tuple(at)] / before[tuple(at)]) for at in places]
    return {(STEMS[stem], int(channel) + 1) for stem, channel in places}, factors


@pytest.mark.parametrize(
    ("address", "value", "places", "factor"),
    [
        ("/listener/drummer/stem/bass/gain", -6.0, {("bass", 3), ("bass", 4)}, 10 ** (-6 / 20)),
        ("/listener/drummer/stem/bass/mute", 1, {("bass", 3), ("bass", 4)}, 0.0),
        ("/listener/singer/more", 6, {("vocals", 5), ("vocals", 6)}, 10 ** (6 / 20)),
        (
            "/listener/singer/gain",
            3.0,
            {(stem, channel) for stem in STEMS for channel in (5, 6)},
            10 ** (3 / 20),
        ),
    ],
)
def test_a_listeners_value_changes_that_listeners_channels_and_no_others(
    remote, address, value, places, factor
):
    found, factors = changed_by(remote, address, value)
    assert found == places
    assert factors == pytest.approx([factor] * len(places))
    assert remote.send(address) == [(address, value)]


def test_the_faders_of_the_desk_leave_the_mixes_of_the_listeners(remote):
    for address, value in (("gain", -20.0), ("mute", 1), ("solo", 1), ("pan", 1.0)):
        assert changed_by(remote, f"/stem/bass/{address}", value) == (set(), [])
    found, _ = changed_by(remote, "/master/gain", -6.0)
    assert {channel for _, channel in found} == {3, 4, 5, 6}


def test_more_me_is_for_another_stem_once_that_is_me(remote):
    remote.send("/listener/singer/more", 6.0)
    found, _ = changed_by(remote, "/listener/singer/me", "bass")
    assert found == {(stem, channel) for stem in ("vocals", "bass") for channel in (5, 6)}
    found, _ = changed_by(remote, "/listener/singer/me", "")
    assert found == {("bass", 5), ("bass", 6)}


def test_no_fader_and_no_more_makes_a_stem_louder_than_a_fader_can(remote):
    remote.send("/listener/singer/stem/vocals/gain", 12.0)
    assert changed_by(remote, "/listener/singer/more", 12.0) == (set(), [])


def test_another_scene_brings_other_addresses(remote):
    remote.desk.mixer.apply(Scene(listeners={"guest": DRUMMER}))
    assert "/listener/guest/more" in remote.tree.values()
    assert "/listener/singer/more" not in remote.tree.values()
    with pytest.raises(StemstreamError, match="/listener/singer/more is no address here; try"):
        remote.send("/listener/singer/more", 1)


def test_recording_and_transport_are_values(remote):
    assert remote.send("/record") == [("/record", 0)]
    remote.send("/record", 1)
    assert remote.send("/record") == [("/record", 1)]
    remote.send("/transport/play", 0)
    assert remote.send("/transport/play") == [("/transport/play", 0)]
    remote.send("/transport/position", 2.5)
    assert remote.desk.transport.position == 2.5


def test_without_a_song_there_is_no_transport(tmp_path):
    assert not [at for at in ControlTree(Desk(tmp_path), Status).values() if "transport" in at]


def test_patterns_reach_the_mix_and_never_the_recording_or_the_song(remote):
    for pattern in ("/*", "/recor?", "/*/*"):
        with contextlib.suppress(StemstreamError):
            remote.send(pattern, 0)
            remote.send(pattern, 1)
    desk = remote.desk
    assert (desk.recorder.on, desk.transport.playing, desk.transport.position) == (False, True, 0)
    remote.send("/listener/*/stem/bass/mute", 1)
    listeners = desk.mixer.state.listeners
    assert [listeners[name].stems["bass"].mute for name in listeners] == [True, True]


def test_scenes_by_name(remote):
    remote.send("/stem/bass/gain", -4.0)
    assert remote.send("/scene/list") == [("/scene/list",)]
    remote.send("/scene/save", "verse")
    remote.send("/stem/bass/gain", 0.0)
    remote.send("/scene/save", "chorus")
    remote.send("/scene/recall", "verse")
    assert remote.send("/stem/bass/gain") == [("/stem/bass/gain", -4.0)]
    assert remote.send("/scene/recall") == [("/scene/recall", "verse")]
    remote.send("/scene/rename", "verse", "strophe")
    assert remote.send("/scene/list") == [("/scene/list", "chorus", "strophe")]


@pytest.mark.parametrize(
    ("address", "args", "told"),
    [
        ("/scene/recall", ["../verse"], "scene='../verse' must be a plain name"),
        ("/scene/recall", ["no"], "the folder has no scene no; save one first"),
        ("/scene/save", [], "/scene/save takes the name of a scene; send it as one string"),
        ("/scene/save", ["/tmp/x"], "scene='/tmp/x' must be a plain name"),
        ("/scene/rename", ["a"], "takes the old name of a scene and the new one; send them as"),
        ("/record", ["yes"], "record=yes must be 0 or 1; try 1"),
        ("/transport/play", [2], "play=2 must be 0 or 1; try 1"),
        ("/listener/singer/more", [13], "listeners.singer.more_db=13 must be a number of dB from"),
        ("/listener/singer/me", ["tuba"], "the model has no stem tuba"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(remote, address, args, told):
    before = remote.tree.readings()
    with pytest.raises(StemstreamError) as caught:
        remote.send(address, *args)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
    assert remote.tree.readings() == before


def test_the_docs_have_every_address(remote):
    page = (Path(__file__).parents[3] / "docs" / "control.md").read_text("utf-8")
    told = set(re.findall(r"`(/[\w/-]+)`", page.split("## Addresses")[1].split("\n## ")[0]))
    names = {
        re.sub(r"/stem/\w+", "/stem/STEM", re.sub(r"^/listener/\w+", "/listener/NAME", one))
        for one in remote.tree.values()
    }
    assert names <= told
    assert {one for one in told if one.count("/") > 1 and "scene" not in one} - names == {
        "/midi/learn"
    }
