import sys
import threading
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.errors import SettingsError
from streamer.live.mixing.levels import balance, linear
from streamer.live.mixing.mixer import Mixer
from streamer.live.mixing.routes import MIX, Place, Route, default_routes, parse_route
from streamer.live.mixing.state import Listener, MixState, Scene, Send, StemState

STEMS = ["drums", "bass", "other", "vocals"]
DRAW = np.random.default_rng(3)
AUDIO = DRAW.standard_normal((4, 100, 2)).astype(np.float32)
DRY = DRAW.standard_normal((100, 2)).astype(np.float32)


def mixer(*routes, outputs=8, **settings):
    return Mixer(STEMS, {"out": outputs}, map(parse_route, routes), **settings)


def played(mixer, port="out", wet=1.0):
    """What a playback port makes of the matrices, (frames, outputs): the formula of the port."""
    gains, dry_gains = mixer.matrices(port)
    assert gains.dtype == dry_gains.dtype == np.float32
    stems = np.concatenate(AUDIO, axis=1).astype(float) * wet
    return stems @ gains[:-2] + DRY @ gains[-2:].astype(float) + (1 - wet) * (DRY @ dry_gains)


def refusal(call, *args):
    with pytest.raises(SettingsError) as caught:
        call(*args)
    told = str(caught.value)
    assert "\n" not in told
    assert told.count("; ") >= 1
    return told


# what plays ------------------------------------------------------------------------------------


def test_all_stems_at_unity_are_their_sum():
    gains, _ = mixer(outputs=2).matrices("out")
    left, right = np.tile([1, 0], 4), np.tile([0, 1], 4)
    np.testing.assert_array_equal(gains[:-2], np.stack([left, right], axis=1))
    np.testing.assert_array_equal(gains[-2:], np.zeros((2, 2)))


def test_a_stem_nobody_touched_is_unity_to_the_bit():
    gains, _ = mixer("vocals=5,6").matrices("out")
    assert gains[6, 4] == gains[7, 5] == 1
    assert np.count_nonzero(gains) == 2


def test_mix_and_mix_without_a_stem():
    sound = played(mixer("mix=1,2", "mix-vocals=3,4"))
    np.testing.assert_allclose(sound[:, :2], DRY, atol=1e-6)
    np.testing.assert_allclose(sound[:, 2:4], DRY - AUDIO[3], atol=1e-6)


def test_mix_without_a_stem_and_the_stem_are_the_mix_to_the_bit():
    gains, dry_gains = mixer("mix-vocals=1,2", "vocals=1,2", outputs=2).matrices("out")
    np.testing.assert_array_equal(gains[:-2], np.zeros((8, 2)))
    np.testing.assert_array_equal(gains[-2:], np.eye(2))
    np.testing.assert_array_equal(dry_gains, np.zeros((2, 2)))


def test_one_channel_gets_the_mono_sum_at_the_level_of_one_side():
    sound = played(mixer("vocals=3", "mix=4"))
    np.testing.assert_allclose(sound[:, 2], AUDIO[3].mean(1), atol=1e-6)
    np.testing.assert_allclose(sound[:, 3], DRY.mean(1), atol=1e-6)


def test_channels_may_be_swapped():
    np.testing.assert_allclose(
        played(mixer("bass=2,1", outputs=2)), AUDIO[1][:, ::-1].astype(float)
    )


def test_gains_of_stem_route_and_master_multiply():
    desk = mixer("vocals=1,2@-6", "drums=1,2", "mix-drums=3,4@3")
    desk.set_gain("vocals", 4)
    desk.set_master(-2.5)
    gains, _ = desk.matrices("out")
    assert gains[6, 0] == pytest.approx(10 ** ((-6 + 4 - 2.5) / 20))
    assert gains[0, 0] == pytest.approx(10 ** (-2.5 / 20))
    assert gains[-2, 2] == -gains[0, 2] == pytest.approx(10 ** (0.5 / 20))


def test_a_fader_lets_nothing_leak_into_the_mix_without_its_stem():
    desk = mixer("mix-vocals=1,2")
    before = desk.matrices("out")
    desk.set_gain("vocals", -6)
    desk.set_mute("vocals", True)
    desk.set_pan("vocals", 1)
    desk.set_solo("drums", True)
    for now, then in zip(desk.matrices("out"), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_off_is_nothing_at_all():
    desk = mixer("vocals=1,2", "drums=1,2@-90", "mix=3,4")
    for off in (-90, -200.0, float("-inf")):
        desk.set_gain("vocals", off)
        gains, dry_gains = desk.matrices("out")
        assert not gains[:, :2].any()
        assert not dry_gains.any()
    desk.set_master(-90)
    assert not desk.matrices("out").gains.any()


@pytest.mark.parametrize(
    ("mutes", "solos", "heard"),
    [
        ("", "", "drums bass other vocals"),
        ("drums", "", "bass other vocals"),
        ("", "vocals", "vocals"),
        ("", "vocals bass", "bass vocals"),
        ("vocals", "vocals bass", "bass"),
        ("vocals", "vocals", ""),
    ],
)
def test_mute_and_solo(mutes, solos, heard):
    desk = mixer("mix=3,4", *(f"{stem}=1,2" for stem in STEMS))
    for stem in mutes.split():
        desk.set_mute(stem, 1)
    for stem in solos.split():
        desk.set_solo(stem, 1)
    gains, _ = desk.matrices("out")
    assert [stem for stem, on in zip(STEMS, gains[:8:2, 0], strict=True) if on] == heard.split()
    assert gains[-2, 2] == 1


@pytest.mark.parametrize(
    ("pan", "left", "right"),
    [(0, 1, 1), (-1, 1, 0), (1, 0, 1), (0.25, 0.75, 1), (-0.5, 1, 0.5)],
)
def test_pan_is_a_balance_that_only_takes_away(pan, left, right):
    desk = mixer("vocals=1,2", "vocals=3")
    desk.set_pan("vocals", pan)
    gains, _ = desk.matrices("out")
    assert (gains[6, 0], gains[7, 1]) == (left, right)
    assert gains[6, 1] == gains[7, 0] == 0
    assert gains[6, 2] / 0.5 == left
    np.testing.assert_array_equal(balance(pan), [left, right])


def test_several_outputs_hear_their_own():
    desk = Mixer(
        STEMS, {"PA": 2, "Scarlett 18i8": 4}, map(parse_route, ["mix=1,2", "scarlett:vocals=3"])
    )
    np.testing.assert_allclose(played(desk, "PA"), DRY, atol=1e-6)
    sound = played(desk, "Scarlett 18i8")
    np.testing.assert_allclose(sound[:, 2], AUDIO[3].mean(1), atol=1e-6)
    assert not sound[:, [0, 1, 3]].any()


# where stems are missing -----------------------------------------------------------------------


@pytest.mark.parametrize("other", ["drums=1", "drums=2,1"])
def test_the_mix_stands_in_for_one_of_two_shapes_of_a_channel(other):
    desk = mixer("vocals=1,2", other)
    np.testing.assert_allclose(played(desk, wet=0)[:, :2], DRY, atol=1e-6)
    desk.set_dry(True)
    np.testing.assert_allclose(played(desk)[:, :2], DRY, atol=1e-6)


def test_the_mix_stands_in_at_the_loudest_gain_of_the_channel():
    desk = mixer("vocals=1,2@-6", "drums=1,2", "bass=3", "mix-vocals=5,6", "drums=5,6")
    desk.set_pan("drums", 0.5)
    _, dry_gains = desk.matrices("out")
    expected = np.zeros((2, 8))
    expected[0, 0], expected[1, 1] = linear(-6), 1  # left: the vocals are louder than the drums
    expected[:, 2] = 0.5
    np.testing.assert_allclose(dry_gains, expected, rtol=1e-6)
    sound = played(desk, wet=0)
    np.testing.assert_allclose(sound[:, 1], DRY[:, 1], atol=1e-6)
    np.testing.assert_allclose(sound[:, 4:6], DRY, atol=1e-6)


def test_what_is_muted_does_not_come_back_as_dry():
    desk = mixer("vocals=1,2", "drums=3,4")
    desk.set_mute("vocals", True)
    assert not played(desk, wet=0)[:, :2].any()


def everything_muted(desk):
    for stem in STEMS:
        desk.set_mute(stem, True)


def everything_faded(desk):
    for stem in STEMS:
        desk.set_gain(stem, -90)


def another_on_solo(desk):
    desk.set_solo("drums", True)


def all_to_the_left(desk):
    for stem in STEMS:
        desk.set_pan(stem, -1)


def a_silent_scene(desk):
    silent = StemState(gain_db=-90, mute=True)
    desk.apply(Scene(stems=dict.fromkeys(STEMS, silent), fallback="silence"))


@pytest.mark.parametrize(
    "silenced",
    [everything_muted, everything_faded, another_on_solo, all_to_the_left, a_silent_scene],
)
@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("fallback", ["dry", "silence"])
def test_dry_plays_the_mix_whatever_is_muted(silenced, before, fallback):
    desk = mixer("vocals=1,2", "mix-bass=3,4", "mix=5,6@-90", "bass=5,6", fallback=fallback)
    if before:
        silenced(desk)
    desk.set_dry(True)
    if not before:
        silenced(desk)
    for wet in (0, 1):
        np.testing.assert_allclose(played(desk, wet=wet)[:, :6], np.tile(DRY, 3), atol=1e-6)


def test_dry_is_as_loud_as_the_master_and_the_listeners_own_balance():
    desk = mixer("vocals=1,2@-6", "drums=1,2@-20", "mix=3,4", "mix-bass=3,4")
    desk.set_master(-10)
    desk.set_dry(True)
    sound = played(desk)
    np.testing.assert_allclose(sound[:, :2], linear(-16) * DRY, atol=1e-6)
    np.testing.assert_allclose(sound[:, 2:4], linear(-10) * DRY, atol=1e-6)
    assert not sound[:, 4:].any()


@pytest.mark.parametrize("wet", [0, 0.25, 1])
def test_silence_instead_of_the_mix_fades_everything_that_needs_a_stem(wet):
    desk = mixer("vocals=1,2", "mix-vocals=3,4@-3", "mix=5,6", fallback="silence")
    sound = played(desk, wet=wet)
    np.testing.assert_allclose(sound[:, :2], wet * AUDIO[3], atol=1e-6)
    np.testing.assert_allclose(sound[:, 2:4], wet * linear(-3) * (DRY - AUDIO[3]), atol=1e-5)
    np.testing.assert_allclose(sound[:, 4:6], DRY, atol=1e-6)


@pytest.mark.parametrize("fallback", ["dry", "silence"])
@pytest.mark.parametrize("wet", [0, 1])
def test_dry_plays_the_mix_wherever_something_plays(fallback, wet):
    desk = mixer("vocals=1,2", "mix-vocals=3,4", "mix=5,6@-6", fallback=fallback)
    desk.set_dry(True)
    sound = played(desk, wet=wet)
    np.testing.assert_allclose(sound[:, :2], DRY, atol=1e-6)
    np.testing.assert_allclose(sound[:, 2:4], DRY, atol=1e-6)
    np.testing.assert_allclose(sound[:, 4:6], linear(-6) * DRY, atol=1e-6)
    assert not sound[:, 6:].any()


# routes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "route"),
    [
        ("vocals=1,2", Route("vocals", (1, 2))),
        (" vocals = 3 , 4 ", Route("vocals", (3, 4))),
        ("mix=7", Route("mix", (7,))),
        ("mix-vocals=5,6@-6", Route("mix-vocals", (5, 6), gain_db=-6)),
        ("headphones:vocals=1,2@+1.5", Route("vocals", (1, 2), "headphones", 1.5)),
        ("ALSA:USB = 2: x@y:drums=10", Route("drums", (10,), "ALSA:USB = 2: x@y")),
    ],
)
def test_a_route_as_it_is_written(text, route):
    assert parse_route(text) == route
    assert parse_route(str(route)) == route


@given(
    st.builds(
        Route,
        st.sampled_from([*STEMS, MIX, "mix-bass"]),
        st.lists(st.integers(1, 9999), min_size=1, max_size=2, unique=True).map(tuple),
        st.text("aB: =@,", max_size=6).map(str.strip),
        st.floats(-90, 12),
    )
)
def test_a_route_is_read_back_as_it_is_shown(route):
    assert parse_route(str(route)) == route


@pytest.mark.parametrize(
    "text",
    [
        "",
        "vocals",
        "=1,2",
        "vocals=",
        "vocals=1,",
        "vocals=a,b",
        "vocals=-1",
        "vocals=1;2",
        "vocals=1,2@loud",
        "vocals=1,2@",
        "vocals=1,2@nan",
        "vocals=1,2@40",
        "vocals=0,1",
        "vocals=1,1",
        "vocals=1,2,3",
        "vocals=99999",
        "vocals=1\n2",
        ":vocals=1",
        "vocals=\u0661,\u0662",
        "x" * 5000,
    ],
)
def test_a_route_that_is_none(text):
    told = refusal(parse_route, text)
    assert told.startswith("route ")
    assert len(told) < 300


@pytest.mark.parametrize(
    ("routes", "told"),
    [
        (["vocls=1,2"], "there is no source vocls; try vocals"),
        (["mix-guitar=1,2"], "there is no source mix-guitar; try mix-"),
        (["zzz=1"], "there are drums, bass, other, vocals, mix, mix-drums"),
        (["vocals=9"], "needs channel 9, and the output Scarlett 2i2 has 2 channels; try vocals=1"),
        (["PA:vocals=1,2"], "PA is no output; try one of Scarlett 2i2, Scarlett 18i8, mono"),
        (["scarlett:vocals=1,2"], "scarlett fits several outputs; try one of Scarlett 2i2, Sc"),
        (["mono:vocals=1,2"], "needs channel 2, and the output mono has 1 channel; try vocals=1"),
        (["vocals=1,2", "vocals=2"], "puts vocals on a channel where it plays already; leave"),
        (["vocals=1,2", "2I2:vocals=2,1"], "puts vocals on a channel where it plays already"),
    ],
)
def test_a_route_that_does_not_fit(routes, told):
    ports = {"Scarlett 2i2": 2, "Scarlett 18i8": 8, "mono": 1}
    assert told in refusal(Mixer, STEMS, ports, [parse_route(route) for route in routes])


@pytest.mark.parametrize(
    ("outputs", "channels"),
    [
        (1, [(1,)] * 4),
        (2, [(1, 2)] * 4),
        (6, [(1, 2)] * 4),
        (8, [(1, 2), (3, 4), (5, 6), (7, 8)]),
        (18, [(1, 2), (3, 4), (5, 6), (7, 8)]),
    ],
)
def test_without_routes(outputs, channels):
    assert [route.channels for route in default_routes(STEMS, {"a": outputs})] == channels
    assert mixer(outputs=outputs).state.routes == default_routes(STEMS, {"out": outputs})


def test_beside_listeners_every_stem_has_the_same_places():
    listener = [Route(stem, (3, 4), "jack", listener="drummer") for stem in STEMS]
    routes = default_routes(STEMS, {"jack": 10}, listener, with_mix=["jack"])
    assert [(one.source, one.channels) for one in routes] == [(stem, (1, 2)) for stem in STEMS]


def test_without_routes_every_output_plays():
    assert {route.port for route in default_routes(["a"], {"x": 2, "y": 1})} == {"x", "y"}


# the controls ----------------------------------------------------------------------------------


def test_setting_again_what_is_set_changes_nothing():
    seen = []
    desk = mixer(on_change=seen.append)
    for _ in range(3):
        desk.set_gain("vocals", -3)
        desk.set_mute("drums", 1)
        desk.set_mute("drums", True)
        desk.set_dry(0)
        desk.set_master(0.0)
        desk.set_solo("bass", False)
    assert len(seen) == 2
    assert seen[-1] is desk.state
    assert desk.state.stems["vocals"] == StemState(gain_db=-3)
    assert list(desk.state.stems) == STEMS


def test_a_fader_a_little_over_its_end_stop():
    desk = mixer()
    desk.set_gain("vocals", 12.0000009)
    desk.set_pan("vocals", -1.0000001)
    assert desk.state.stems["vocals"] == StemState(gain_db=12, pan=-1)


@pytest.mark.parametrize(
    ("control", "values", "told"),
    [
        ("set_gain", [12.1, 127, float("inf"), float("nan"), "3", True, None, 10**400], "gain_db="),
        ("set_pan", [1.1, -2, float("nan"), float("inf"), "left", False, None], "vocals.pan="),
        ("set_mute", [2, -1, 0.5, "on", None, float("nan"), [1]], "vocals.mute="),
        ("set_solo", [2, "1"], "vocals.solo="),
    ],
)
def test_wrong_values_change_nothing(control, values, told):
    desk = mixer()
    before = desk.state
    for value in values:
        assert told in refusal(getattr(desk, control), "vocals", value)
    assert desk.state is before


def test_wrong_values_of_the_whole():
    desk = mixer()
    assert "master_db=20 must be" in refusal(desk.set_master, 20)
    assert "dry=2 must be 0 or 1" in refusal(desk.set_dry, 2)
    assert "no stem vocal; try vocals" in refusal(desk.set_gain, "vocal", 0)
    assert "no stem zzz; it has drums, bass" in refusal(desk.set_mute, "zzz", 0)
    assert "\x1b" not in refusal(desk.set_mute, "\x1b[2J", 0)


def test_no_change_is_lost_between_threads():
    before = sys.getswitchinterval()
    states: list[MixState] = []
    desk = Mixer(["a", "b", "c", "d"], {"out": 2}, on_change=states.append)

    def turn(stem):
        for step in range(1, 201):
            desk.set_gain(stem, -step / 10)

    threads = [threading.Thread(target=turn, args=(stem,)) for stem in desk.stems]
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert states[-1] is desk.state
    assert len(states) == 800
    assert set(desk.state.stems.values()) == {StemState(gain_db=-20)}
    for stem in desk.stems:
        gains = [state.stems[stem].gain_db for state in states]
        assert gains == sorted(gains, reverse=True)


# scenes ----------------------------------------------------------------------------------------


def test_a_scene_is_whole_and_leaves_the_dry_switch():
    desk = mixer("vocals=1,2")
    desk.set_gain("drums", -5)
    desk.set_dry(True)
    scene = Scene({"vocals": StemState(-3)}, (parse_route("mix=3,4"),), -1.0, "silence")
    desk.apply(scene)
    assert desk.state.stems["vocals"].gain_db == -3
    assert desk.state.stems["drums"] == StemState()
    assert desk.state.routes == (Route("mix", (3, 4), "out"),)
    assert (desk.state.master_db, desk.state.fallback, desk.state.dry) == (-1, "silence", True)
    desk.apply(Scene())
    assert desk.state == replace(mixer("vocals=1,2").state, dry=True)


def test_a_scene_is_one_change():
    seen = []
    desk = mixer(on_change=seen.append)
    desk.apply(Scene({"vocals": StemState(mute=True), "drums": StemState(-3)}, None, -1.0))
    desk.apply(desk.scene())
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("scene", "told"),
    [
        (Scene({"guitar": StemState()}), "no stem guitar"),
        (Scene({"vocals": StemState(-9)}, (parse_route("vocals=9,10"),)), "needs channel 10"),
    ],
)
def test_a_scene_that_does_not_fit_changes_nothing(scene, told):
    desk = mixer("vocals=1,2")
    before = desk.state
    assert told in refusal(desk.apply, scene)
    assert desk.state is before


# listeners -------------------------------------------------------------------------------------


def with_listener(listener, *routes, scene_routes=None, **settings):
    desk = mixer(*routes, **settings)
    desk.apply(Scene(routes=scene_routes, listeners={"me": listener}))
    return desk


def test_without_listeners_the_outputs_are_as_ever():
    for routes in ((), ("vocals=1,2", "mix-drums=3,4")):
        desk = mixer(*routes)
        before = desk.state.routes
        desk.apply(Scene())
        assert desk.state.routes == before


def test_a_listener_hears_all_stems_on_an_output_of_its_own():
    desk = with_listener(Listener(Place((3, 4))), "vocals=1,2")
    sound = played(desk)
    np.testing.assert_allclose(sound[:, 2:4], AUDIO.sum(0), atol=1e-5)
    np.testing.assert_allclose(sound[:, :2], AUDIO[3], atol=1e-6)
    assert not sound[:, 4:].any()


@pytest.mark.parametrize(
    ("output", "desk_channels"), [((3, 4), {0, 1}), ((1, 2), set()), ((2,), set())]
)
def test_without_routes_the_desk_has_the_first_pair_unless_a_listener_has_it(output, desk_channels):
    desk = with_listener(Listener(Place(output), gain_db=-90))
    gains, _ = desk.matrices("out")
    assert set(np.flatnonzero(gains.any(0))) == desk_channels


def test_a_listener_with_routes_of_its_name_has_faders_for_them():
    routes = tuple(
        replace(parse_route(one), listener=who)
        for who, one in (("", "bass=1,2"), ("me", "bass=3,4"), ("me", "mix-drums=5,6"))
    )
    desk = with_listener(Listener(), scene_routes=routes)
    desk.set_send("me", "bass", gain_db=-6)
    desk.set_listener("me", gain_db=-2)
    gains, _ = desk.matrices("out")
    assert gains[2, 0] == 1
    assert gains[2, 2] == pytest.approx(10 ** (-8 / 20))
    assert gains[8, 4] == -gains[0, 4] == pytest.approx(10 ** (-2 / 20))


def test_dry_plays_at_a_listeners_level_and_a_gap_at_the_loudest_send():
    desk = with_listener(Listener(Place((3, 4)), gain_db=-6), "vocals=1,2")
    desk.set_send("me", "bass", gain_db=-12)
    assert desk.matrices("out").dry_gains[0, 2] == pytest.approx(10 ** (-6 / 20))
    desk.set_listener("me", me="drums", more_db=6)
    assert desk.matrices("out").dry_gains[0, 2] == pytest.approx(1)
    desk.set_dry(True)
    np.testing.assert_allclose(played(desk)[:, 2:4], DRY * 10 ** (-6 / 20), atol=1e-5)


@pytest.mark.parametrize(
    "more", [Route("mix", (5, 6), listener="me"), Route("bass", (5, 6), gain_db=-3, listener="me")]
)
def test_a_saved_scene_keeps_what_a_listener_with_an_output_has_besides(more):
    desk = with_listener(Listener(Place((3, 4))), scene_routes=(Route("vocals", (1, 2)), more))
    before = desk.state
    desk.apply(desk.scene())
    assert set(desk.state.routes) == set(before.routes)
    assert len(desk.state.routes) == len(before.routes)


def test_a_saved_scene_fits_where_the_first_output_is_another_one():
    route = (Route("vocals", (1, 2)), Route("drums", (1, 2), "B"))
    saved = Mixer(STEMS, {"A (hw:0,0)": 2, "B": 2}, route).scene()
    for name in ("A (hw:1,0)", "C"):
        again = Mixer(STEMS, {name: 2, "B": 2})
        again.apply(saved)
        assert {one.port for one in again.state.routes} == {name, "B"}


def test_a_saved_scene_fits_where_a_card_has_another_number():
    routes = (Route("vocals", (1, 2)), Route("drums", (1, 2), "B (hw:1,0)"))
    saved = Mixer(STEMS, {"A (hw:0,0)": 2, "B (hw:1,0)": 2}, routes).scene()
    again = Mixer(STEMS, {"A (hw:1,0)": 2, "B (hw:0,0)": 2})
    again.apply(saved)
    assert [route.port for route in again.state.routes] == ["A (hw:1,0)", "B (hw:0,0)"]
    twins = Mixer(STEMS, {"B (hw:2,0)": 2, "B (hw:3,0)": 2})
    with pytest.raises(SettingsError, match="is no output"):
        twins.apply(saved)


def test_a_saved_scene_of_twins_does_not_fold_onto_the_one_that_is_there():
    ports = {"A": 2, "B (hw:1,0)": 2, "B (hw:2,0)": 2}
    routes = [Route(stem, (1, 2), port) for stem, port in zip(STEMS, ports, strict=False)]
    saved = Mixer(STEMS, ports, routes).scene()
    for there in ({"A": 2, "B (hw:3,0)": 2}, {"A": 2, "B (hw:1,0)": 2}):
        with pytest.raises(SettingsError, match="is no output"):
            Mixer(STEMS, there).apply(saved)


def test_a_saved_scene_brings_the_listeners_back():
    desk = with_listener(Listener(Place((3, 4)), me="bass"), "vocals=1,2")
    desk.set_send("me", "bass", mute=True)
    saved, state = desk.scene(), desk.state
    assert saved.routes == (Route("vocals", (1, 2)),)
    desk.apply(Scene())
    assert desk.state.listeners == {}
    desk.apply(saved)
    assert desk.state == state


@pytest.mark.parametrize(
    ("listener", "told"),
    [
        (Listener(), "listener me plays nowhere; give it output"),
        (Listener(Place((9, 10))), "needs channel 10"),
        (Listener(Place((1, 2))), "puts vocals on a channel where it plays already"),
        (Listener(Place((3, 4), "nowhere")), "nowhere is no output"),
        (Listener(Place((3, 4)), me="guitar"), "the model has no stem guitar"),
        (Listener(Place((3, 4)), stems={"guitar": Send()}), "the model has no stem guitar"),
    ],
)
def test_a_listener_that_does_not_fit_changes_nothing(listener, told):
    desk = mixer("vocals=1,2")
    before = desk.state
    assert told in refusal(desk.apply, Scene(listeners={"me": listener}))
    assert desk.state is before


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda desk: desk.set_listener("you", gain_db=0), "the scene has no listener you; "),
        (
            lambda desk: desk.set_send("my", "bass", gain_db=0),
            "the scene has no listener my; it has me",
        ),
        (lambda desk: desk.set_send("me", "guitar", gain_db=0), "the model has no stem guitar"),
        (lambda desk: desk.set_listener("me", me="guitar"), "the model has no stem guitar"),
        (lambda desk: desk.set_listener("me", me=3), "listeners.me.me=3 must be the name of a"),
        (lambda desk: desk.set_listener("me", more_db=13), "more_db=13 must be a number of dB"),
        (lambda desk: desk.set_listener("me", gain_db=40), "listeners.me.gain_db=40 must be"),
        (lambda desk: desk.set_send("me", "bass", mute=3), "listeners.me.bass.mute=3 must be 0"),
    ],
)
def test_a_wrong_value_of_a_listener_changes_nothing(call, told):
    desk = with_listener(Listener(Place((3, 4))), "vocals=1,2")
    before = desk.state
    assert told in refusal(call, desk)
    assert desk.state is before
