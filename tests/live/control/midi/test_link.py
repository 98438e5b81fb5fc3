"""A controller that comes and goes, on ports that are a double."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from live.support.desk import Desk, Switch
from live.support.midi import NANO, Ports
from live.support.staging import card, running, tone
from support.doubles import RATE

from streamer.errors import DeviceError, SettingsError, SinkError
from streamer.live.control.commands import Commands
from streamer.live.control.midi.controller_map import Binding, ControllerMap, load_map
from streamer.live.control.midi.link import LOOK_SECONDS, MidiLink, find_controller, open_link
from streamer.live.control.midi.ports import MidiPort, find_port, way_back
from streamer.live.control.midi.signals import Signal
from streamer.live.control.midi.surface import Surface
from streamer.live.control.osc import Message
from streamer.live.status import Status


class Tree(dict):
    """Values by address, as a control tree has them."""

    def readings(self):
        return self

    def look(self, address):
        return ("gain" if address.endswith("gain") else "switch", self[address])


@pytest.fixture
def values():
    return Tree({"/dry": 0, "/master/gain": 0.0})


@pytest.fixture
def told():
    return []


@pytest.fixture
def ports():
    return Ports(NANO)


@pytest.fixture
def link(values, told, ports):
    surface = Surface(
        lambda address, args: values.update({address: args[0]}),
        values,
        ControllerMap(
            {
                Signal("cc", 46): Binding("/dry", lamp=(127, 0)),
                Signal("cc", 7): Binding("/master/gain"),
            }
        ),
        tell=told.append,
        keep=told.append,
    )
    return MidiLink(surface, ports, NANO, told.append)


def test_messages_move_values_and_values_light_lamps(link, ports, values):
    (controller,) = ports.opened
    controller.waiting = [b"\xf8", b"\xb0\x2e\x7f", b"\xc0\x01"]
    link.step(0.0)
    assert values["/dry"] == 1
    assert controller.sent == [b"\xb0\x2e\x7f"]


def test_a_controller_that_goes_and_comes_is_told_once_each_and_lit_again(
    link, ports, values, told
):
    link.step(0.0)
    ports.opened[0].plugged = False
    for look in range(1, 4):
        ports.named = []
        link.step(look * LOOK_SECONDS)
    assert ports.opened[0].closed
    assert told == [f"MIDI: {NANO.name} is gone; it is used again when it is back"]
    with pytest.raises(DeviceError, match="is gone; plug it in"):
        link.learn("/dry")
    values["/dry"] = 1
    back = MidiPort("ALSA", NANO.name.replace("24:0", "28:0"))
    ports.named, ports.refuses = [MidiPort("ALSA", "Midi Through 14:0"), back], True
    link.step(4 * LOOK_SECONDS)  # it is there, but not ready yet
    ports.refuses = False
    link.step(5 * LOOK_SECONDS)
    link.step(5 * LOOK_SECONDS + 0.1)
    assert told[1:] == [f"MIDI: {back.name} is back"]
    assert ports.opened[1].sent == [b"\xb0\x2e\x7f"]


def test_the_twin_of_a_controller_that_is_gone_does_not_take_its_place(link, ports, told):
    twin, again = (MidiPort("ALSA", NANO.name.replace("24:0", n)) for n in ("28:0", "32:0"))
    looks = ([], [NANO, twin], [twin], [twin], [twin, again])
    for number, named in enumerate(looks):
        ports.opened[-1].plugged, ports.named = NANO in named, named
        link.step(number * LOOK_SECONDS)
    gone = f"MIDI: {NANO.name} is gone; it is used again when it is back"
    backs = [f"MIDI: {one.name} is back" for one in (NANO, again)]
    assert told == [gone, backs[0], gone, backs[1]]


def test_a_controller_may_come_back_under_the_number_of_a_twin_that_went(link, ports, told):
    twin = MidiPort("ALSA", NANO.name.replace("24:0", "28:0"))
    for number, named in enumerate(([], [NANO, twin], [], [], [twin])):
        ports.opened[-1].plugged, ports.named = NANO in named, named
        link.step(number * LOOK_SECONDS)
    assert told[-1] == f"MIDI: {twin.name} is back"


def test_a_mistake_is_told_once_and_the_controller_goes_on(link, ports, values, told):
    (controller,) = ports.opened
    controller.waiting = None
    for look in range(3):
        link.step(look * 0.1)
        controller.waiting = None
    assert len(told) == 1
    assert told[0].startswith("MIDI: this failed (")
    controller.waiting = [b"\xb0\x2e\x7f"]
    link.step(1.0)
    assert values["/dry"] == 1


def test_the_lamps_are_out_when_the_run_is_over(link, ports, values):
    values["/dry"] = 1
    with link:
        pass
    assert ports.opened[0].sent[-1] == b"\xb0\x2e\x00"
    assert ports.opened[0].closed


def test_an_address_has_a_controller_learn(tmp_path):
    desk = Desk(tmp_path)
    commands = Commands(desk, Status)
    assert commands.act(Message("/midi/learn", ("/stem/vocals/gain",))) == []
    assert desk.learned == ["/stem/vocals/gain"]
    with pytest.raises(SettingsError, match="/midi/learn takes the address of a value"):
        commands.act(Message("/midi/learn", (7,)))


def test_a_fader_of_a_controller_moves_the_sound_and_what_it_learns_is_kept(ports, told, tmp_path):
    device, path = card(tone(4)), tmp_path / "map.toml"
    with running([device], route=["drums=1,2"], blocksize=128) as run:
        session = run.session
        with pytest.raises(SettingsError, match="name its port with --midi"):
            session.learn("/stem/drums/gain")
        found = find_controller("nano", path, ports)
        link = open_link(session, session.status, found, told.append)
        session.learn_with(link.learn)
        (controller,) = ports.opened
        run.advance(1.5)
        # the fader is learned on its way up, passes 0 dB, and goes down to -6 dB
        session.learn("/stem/drums/gain")
        controller.waiting = [bytes((0xB0, 99, place)) for place in (80, 90, 100, 76)]
        link.step(0.0)
        run.advance(1.5)
        gain_db = session.mixer.state.stems["drums"].gain_db
        link.close()
    assert gain_db == pytest.approx(-6.06, abs=0.01)
    out = device.heard(0, device.heard_frames)
    loud, soft = (np.abs(out[round(at * RATE) :][: RATE // 2]).max() for at in (0.9, 2.4))
    assert 20 * np.log10(soft / loud) == pytest.approx(gain_db, abs=0.1)
    assert load_map(path).controls[Signal("cc", 99)] == Binding("/stem/drums/gain")
    assert told[0] == f"MIDI: {NANO.name}, 37 controls (the ready map)"


# which port ------------------------------------------------------------------------------------


def test_a_wrong_port_lists_those_there_are():
    there = [NANO, MidiPort("JACK", "a2j:keys"), MidiPort("JACK", "a2j:keys 2")]
    assert find_port(there, "NANO") is NANO
    assert find_port(there, "jack:a2j:keys") is there[1]
    with pytest.raises(
        DeviceError, match="there is no MIDI port named 'akai'; try one of: ALSA:na"
    ):
        find_port(there, "akai")
    with pytest.raises(
        DeviceError, match="several MIDI ports for 'keys'; try one of: JACK:a2j:key"
    ):
        find_port(there, "keys")
    with pytest.raises(DeviceError, match="nor any; plug a controller in"):
        find_port([], "akai")


def test_a_wrong_map_is_told_before_anything_is_opened(ports, tmp_path):
    path = tmp_path / "map.toml"
    path.write_text("controls = ")
    with pytest.raises(SettingsError, match="no valid TOML"):
        find_controller("nano", path, ports)
    assert not ports.opened


def test_a_port_that_two_apis_have_is_that_of_the_first():
    assert find_port([NANO, MidiPort("JACK", NANO.name)], "nano") is NANO


def test_the_way_back_of_a_port_has_the_same_lasting_name():
    taken = MidiPort("JACK", "Midi-Bridge:nanoKONTROL2 1:(capture_0) CTRL")
    back = MidiPort("JACK", "Midi-Bridge:nanoKONTROL2 1:(playback_0) CTRL")
    assert taken.lasting == back.lasting
    assert MidiPort("Windows", "nano 0").lasting == MidiPort("Windows", "nano 3").lasting


def test_of_a_controller_with_two_ports_each_keeps_its_place(link, ports, told):
    first, second = (MidiPort("ALSA", f"Push 2:Push 2 MIDI {n + 1} 20:{n}") for n in range(2))
    link.port = second
    ports.opened[0].plugged, ports.named = False, []
    link.step(0.0)
    again = [MidiPort("ALSA", f"Push 2:Push 2 MIDI {n + 1} 24:{n}") for n in range(2)]
    for there in (again[:1], again):
        ports.named = there
        link.step(LOOK_SECONDS * (1 + len(there)))
    assert link.port == again[1]
    assert told[-1] == f"MIDI: {again[1].name} is back"
    assert [way_back(one, [first.name, second.name]) for one in again] == [0, 1]
    assert way_back(again[1], [first.name]) == 0
    assert way_back(again[1], [NANO.name]) is None
    twins = ["nano:nano 20:0", "nano:nano 24:0"]
    assert [way_back(MidiPort("ALSA", twin), twins) for twin in twins] == [0, 1]


def test_a_slow_disk_holds_up_no_control(ports, told, tmp_path, monkeypatch):
    disk, ended = threading.Event(), threading.Event()

    def switch(*_):
        disk.wait(10)
        ended.set()
        raise SinkError("the disk is full")

    monkeypatch.setattr(Switch, "switch", switch)
    desk = Desk(tmp_path / "scenes")
    found = find_controller("nano", tmp_path / "map.toml", ports)
    with open_link(desk, Status, found, told.append) as link:
        (controller,) = ports.opened
        controller.waiting = [bytes((0xB0, 45, 127)), bytes((0xB0, 46, 127))]
        link.step(0.0)
        assert desk.mixer.state.dry
        assert not ended.is_set()
        disk.set()
        until = time.monotonic() + 5
        while "MIDI: the disk is full" not in told and time.monotonic() < until:
            time.sleep(0.01)
    assert "MIDI: the disk is full" in told
