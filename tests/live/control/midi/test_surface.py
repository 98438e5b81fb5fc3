"""A controller's surface, without a port: moves in, values and lamps out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from streamer.errors import SettingsError
from streamer.live.control.midi.controller_map import Binding, ControllerMap, ready_map
from streamer.live.control.midi.signals import Signal, parse_signal, read
from streamer.live.control.midi.surface import Surface
from streamer.live.mixing.taper import gain_at, place_of

STEMS = ("drums", "bass", "other", "vocals")
GAIN, PAN, MUTE = "/stem/vocals/gain", "/stem/vocals/pan", "/stem/vocals/mute"


class Desk:
    """Values by address, as a control tree has them, and whoever else may move them."""

    def __init__(self):
        self.values = {"/master/gain": 0.0, "/dry": 0}
        for stem in STEMS:
            self.values |= {
                f"/stem/{stem}/{name}": value
                for name, value in (("gain", 0.0), ("mute", 0), ("solo", 0), ("pan", 0.0))
            }
        self.acts, self.told, self.kept = [], [], []

    def readings(self):
        return self.values

    def look(self, address):
        kind = address.rpartition("/")[2]
        kind = {"gain": "gain", "pan": "pan", "recall": "name"}.get(kind, "switch")
        return (kind, self.values[address]) if address in self.values else None

    def act(self, address, args):
        if address not in self.values:
            raise SettingsError(f"{address} is no address here")
        self.acts.append((address, *args))
        (self.values[address],) = args


@pytest.fixture
def desk():
    return Desk()


def surface(desk, controls):
    """A surface whose controls are written as in a map."""
    made = {parse_signal(signal): binding for signal, binding in controls.items()}
    return Surface(
        desk.act,
        desk,
        ControllerMap(made),
        tell=desk.told.append,
        keep=desk.kept.append,
    )


def send(on, *messages):
    for message in messages:
        event = read(message)
        assert event is not None
        on.receive(event)


def cc(number, *values):
    return [(0xB0, number, value) for value in values]


# takeover --------------------------------------------------------------------------------------


def test_a_knob_takes_hold_only_when_it_passes_the_value(desk):
    on = surface(desk, {"cc 7": Binding(GAIN)})
    send(on, *cc(7, 10, 40, 90))
    assert desk.acts == []  # 0 dB is at 95
    send(on, *cc(7, 100))
    assert desk.values[GAIN] == pytest.approx(gain_at(100 / 127))
    send(on, *cc(7, 20))
    assert desk.values[GAIN] == pytest.approx(gain_at(20 / 127))


def test_a_knob_lets_go_of_a_value_that_somebody_else_moved(desk):
    on = surface(desk, {"cc 7": Binding(GAIN)})
    send(on, *cc(7, 95, 60))
    desk.values[GAIN] = 6.0  # as from the page
    send(on, *cc(7, 61, 62, 60))
    assert desk.values[GAIN] == 6.0
    send(on, *cc(7, 126, 125))
    assert desk.values[GAIN] == pytest.approx(gain_at(125 / 127))


def test_unity_and_the_centre_are_hit_exactly(desk):
    on = surface(desk, {"cc 7": Binding(GAIN), "cc 8": Binding(PAN)})
    send(on, *cc(7, 96, 127, 95), *cc(8, 60, 127, 64))
    assert (desk.values[GAIN], desk.values[PAN]) == (0.0, 0.0)
    send(on, *cc(7, 127), *cc(8, 0))
    assert (desk.values[GAIN], desk.values[PAN]) == (12.0, -1.0)


# buttons ---------------------------------------------------------------------------------------


def test_a_fader_that_is_pushed_all_the_way_up_is_one_press(desk):
    on = surface(desk, {"cc 48": Binding(MUTE)})
    send(on, *cc(48, 20, 64, 100, 127))
    assert desk.values[MUTE] == 1


def test_the_lamp_of_a_button_with_a_name_follows_it(desk):
    desk.values["/scene/recall"] = None
    on = surface(desk, {"note 1": Binding("/scene/recall", value="verse", lamp=(127, 1))})
    assert list(on.news()) == [bytes([0x90, 1, 1])]
    desk.values["/scene/recall"] = "verse"
    assert list(on.news()) == [bytes([0x90, 1, 127])]
    desk.values["/scene/recall"] = "chorus"
    assert list(on.news()) == [bytes([0x90, 1, 1])]


def test_a_latched_button_switches_over_with_each_press_and_not_when_it_is_let_go(desk):
    on = surface(desk, {"cc 48": Binding(MUTE), "note 3": Binding("/dry")})
    send(on, *cc(48, 127, 0))
    assert desk.values[MUTE] == 1
    send(on, *cc(48, 127, 0))
    assert desk.values[MUTE] == 0
    send(on, (0x90, 3, 1), (0x80, 3, 64), (0x90, 3, 100), (0x90, 3, 0), (0x90, 3, 5))
    assert desk.values["/dry"] == 1
    assert desk.acts.count((MUTE, 1)) == 1


def test_a_held_button_is_on_while_it_is_down(desk):
    on = surface(desk, {"note 3": Binding(MUTE, press="held")})
    send(on, (0x90, 3, 100))
    assert desk.values[MUTE] == 1
    send(on, (0x80, 3, 0))
    assert desk.values[MUTE] == 0


def test_a_fader_that_moves_a_switch_is_one_press_for_each_way_up(desk):
    on = surface(desk, {"cc 7": Binding(MUTE)})
    send(on, *cc(7, 10, 70, 90, 126))
    assert desk.acts == [(MUTE, 1)]


def test_a_button_sends_its_own_value(desk):
    on = surface(
        desk, {"cc 42": Binding(GAIN, value=-3.0), "cc 43": Binding("/scene/save", value="a")}
    )
    send(on, *cc(42, 127, 0))
    assert desk.acts == [(GAIN, -3.0)]
    send(on, *cc(43, 127, 0, 127))
    assert desk.told == ["MIDI: /scene/save is no address here"]  # once


# other controls --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("turn", "up", "down"),
    [("offset", 65, 62), ("twos-complement", 1, 126), ("sign-bit", 1, 66)],
)
def test_an_endless_encoder_moves_the_value_by_its_steps(desk, turn, up, down):
    on = surface(desk, {"cc 20": Binding(PAN, turn=turn)})
    send(on, *cc(20, up))
    assert desk.values[PAN] == pytest.approx(2 / 127)
    send(on, *cc(20, down))
    assert desk.values[PAN] == pytest.approx(-2 / 127)


def test_a_fine_control_change_has_fourteen_bits(desk):
    on = surface(desk, {"cc 1": Binding(GAIN, fine=True), "pitch channel 2": Binding(PAN)})
    for first, second in ((95, 127), (96, 1)):
        send(on, *cc(1, first), *cc(33, second))
    assert desk.values[GAIN] == pytest.approx(gain_at((96 << 7 | 1) / 16383))
    send(on, (0xE1, 0, 64), (0xE1, 1, 65))
    assert desk.values[PAN] == pytest.approx(2 * (65 << 7 | 1) / 16383 - 1)


# lamps -----------------------------------------------------------------------------------------


def test_lamps_follow_whoever_changed_the_value_and_are_told_once(desk):
    on = surface(
        desk,
        {"cc 48": Binding(MUTE, lamp=(127, 0)), "note 9 channel 2": Binding("/dry", lamp=(5, 1))},
    )
    assert list(on.news()) == [bytes((0xB0, 48, 0)), bytes((0x91, 9, 1))]
    assert list(on.news()) == []
    desk.values["/dry"] = 1
    assert list(on.news()) == [bytes((0x91, 9, 5))]
    send(on, *cc(48, 127))
    assert list(on.news()) == [bytes((0xB0, 48, 127))]
    send(on, *cc(48, 0))  # it may have put its own lamp out
    assert list(on.news()) == [bytes((0xB0, 48, 127))]
    on.begin()
    assert len(list(on.news())) == 2
    assert list(on.dark()) == [bytes((0xB0, 48, 0)), bytes((0x91, 9, 1))]


def test_a_motor_fader_goes_where_the_value_goes_and_keeps_hold_of_it(desk):
    on = surface(desk, {"cc 7": Binding(GAIN, echo=True)})
    desk.values[GAIN] = -10.0
    assert list(on.news()) == [bytes((0xB0, 7, 64))]
    send(on, *cc(7, 70))
    assert desk.values[GAIN] == pytest.approx(gain_at(70 / 127))


# learning --------------------------------------------------------------------------------------


def test_the_knob_that_is_moved_is_learned_and_one_that_trembles_is_not(desk):
    on = surface(desk, {"cc 7": Binding(GAIN), "note 3": Binding(MUTE, lamp=(3, 0))})
    on.learn(GAIN)
    send(on, *cc(1, 60, 61), (0x90, 3, 127), *cc(2, 40, 44))
    assert desk.acts == []
    assert desk.told == ["MIDI: cc 2 moves /stem/vocals/gain from now on"]
    (kept,) = desk.kept
    assert kept.controls[Signal("cc", 2)] == Binding(GAIN)
    assert Signal("cc", 7) not in kept.controls
    send(on, *cc(2, 96, 60))
    assert place_of(desk.values[GAIN]) == pytest.approx(60 / 127)


def test_of_a_fine_fader_the_first_byte_is_learned(desk):
    on = surface(desk, {})
    on.learn(GAIN)
    for step in range(8):
        send(on, *cc(14, 64 + step), *cc(14 + 32, 40 * step % 128))
    assert desk.told == ["MIDI: cc 14 moves /stem/vocals/gain from now on"]


def test_where_nothing_moves_nothing_is_learned_and_the_controller_works_again(desk):
    on = surface(desk, {"cc 7": Binding("/stem/drums/gain")})
    on.wait(0.0)
    on.learn(GAIN)
    for now in (5.0, 15.0, 24.9):
        on.wait(now)
    send(on, *cc(7, 64))
    assert (desk.acts, desk.told) == ([], [])
    on.wait(25.0)
    assert desk.told == ["MIDI: no control was moved, so none was learned for /stem/vocals/gain"]
    send(on, *cc(7, 0, 127))
    assert {address for address, _ in desk.acts} == {"/stem/drums/gain"}
    assert desk.kept == []


def test_a_button_is_learned_with_its_lamp(desk):
    on = surface(desk, {"note 3": Binding(MUTE, lamp=(3, 0))})
    on.learn("/dry")
    send(on, (0x90, 3, 127), (0x90, 3, 0))
    assert desk.kept[0].controls == {Signal("note", 3): Binding("/dry", lamp=(3, 0))}
    assert desk.values["/dry"] == 0  # the press that was learned does nothing else


def test_the_lamp_of_a_button_that_moves_nothing_any_more_goes_out(desk):
    on = surface(desk, {"note 1": Binding("/dry", lamp=(3, 0))})
    desk.values["/dry"] = 1
    assert list(on.news()) == [b"\x90\x01\x03"]
    on.learn("/dry")
    send(on, (0x90, 2, 127), (0x90, 2, 0))
    assert b"\x90\x01\x00" in list(on.news())
    assert list(on.news()) == []


def test_the_lamp_of_a_button_whose_value_is_gone_goes_out(desk):
    on = surface(desk, {"note 1": Binding("/dry", lamp=(3, 0))})
    desk.values["/dry"] = 1
    assert list(on.news()) == [b"\x90\x01\x03"]
    del desk.values["/dry"]
    assert list(on.news()) == [b"\x90\x01\x00"]
    assert list(on.news()) == []


def test_a_control_that_is_learned_stays_what_it_is(desk):
    encoder = Binding(PAN, turn="twos-complement")
    fader = Binding("/stem/drums/gain", fine=True, echo=True)
    on = surface(desk, {"cc 20": encoder, "cc 1": fader})
    on.learn(GAIN)
    send(on, *cc(20, 1, 1, 1))  # turned one way, it sends the same number again and again
    on.learn("/master/gain")
    send(on, *cc(1, 10, 40))
    assert desk.kept[-1].controls == {
        Signal("cc", 20): replace(encoder, to=GAIN),
        Signal("cc", 1): replace(fader, to="/master/gain"),
    }
    send(on, *cc(20, 127, 1, 127))
    assert -1 < desk.values[GAIN] < 0, "one step down: no jump"


def test_buttons_that_send_a_value_go_on_when_its_fader_is_learned(desk):
    on = surface(desk, {"note 5": Binding("/master/gain", value=0.0), "cc 7": Binding(GAIN)})
    on.learn("/master/gain")
    send(on, *cc(7, 10, 60))
    assert set(desk.kept[0].controls) == {Signal("note", 5), Signal("cc", 7)}
    send(on, *cc(7, 127, 30), (0x90, 5, 127))
    assert desk.values["/master/gain"] == 0


def test_a_value_that_no_knob_sets_is_neither_learned_nor_moved(desk):
    desk.values["/scene/recall"] = "verse"
    on = surface(desk, {"cc 7": Binding("/scene/recall"), "note 1": Binding("/stem/drums/gain")})
    with pytest.raises(SettingsError, match="/scene/recall is no value to learn; try one like"):
        on.learn("/scene/recall")
    send(on, *cc(7, 127, 0, 127))
    assert desk.acts == []
    assert desk.told == ["MIDI: /scene/recall needs a value in the map; add value = ..."]
    del desk.values["/stem/drums/gain"]  # another scene has been recalled a moment ago
    send(on, (0x90, 1, 64))
    assert desk.told[1:] == ["MIDI: /stem/drums/gain is no more; move another"]


def test_an_address_that_is_none_cannot_be_learned(desk):
    on = surface(desk, {})
    with pytest.raises(SettingsError, match="/stem/vocal/gain is no value to learn; try /stem/voc"):
        on.learn("/stem/vocal/gain")


# maps for any model ----------------------------------------------------------------------------


def test_a_ready_map_fits_the_stems_of_the_model(desk):
    controller = ready_map("nanoKONTROL2:nanoKONTROL2 nanoKONTROL2 _ CTRL 24:0")
    on = Surface(desk.act, desk, controller, tell=desk.told.append, keep=print)
    send(
        on, *cc(51, 127), *cc(33, 127), *cc(55, 127), *cc(7, 96, 0), *cc(19, 64, 127), *cc(46, 127)
    )
    assert desk.values[MUTE] == desk.values["/stem/bass/solo"] == desk.values["/dry"] == 1
    assert (desk.values["/master/gain"], desk.values[PAN]) == (-90.0, 1.0)
    assert desk.told == []


@pytest.mark.parametrize("to", ["/listener/#2/gain", "/listener/bob/gain"])
def test_listeners_that_a_scene_brings_find_their_controls(desk, to):
    on = surface(desk, {"cc 7": Binding(to, echo=True)})
    send(on, *cc(7, 95, 96))
    assert desk.acts == []
    desk.values |= {"/listener/ann/gain": 0.0, "/listener/bob/gain": 0.0}
    list(on.news())
    send(on, *cc(7, 95, 0))
    assert desk.values["/listener/bob/gain"] == -90.0
    assert list(on.news()) == [bytes([0xB0, 7, 0])]


def test_a_knob_that_let_go_does_not_take_hold_when_the_value_comes_back(desk):
    on = surface(desk, {"cc 7": Binding(GAIN)})
    send(on, *cc(7, 95))
    held = desk.values[GAIN]
    desk.values[GAIN] = 6.0
    send(on, *cc(7, 60, 40))
    desk.values[GAIN] = held
    send(on, *cc(7, 41))
    assert desk.values[GAIN] == held
    send(on, *cc(7, 90, 96))  # passes it again
    assert desk.values[GAIN] != held
