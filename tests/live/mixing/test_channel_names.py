"""Names for channels, and for the ports of a device that makes them as they are wanted."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamer.live.devices.device import Device, PortName
from streamer.live.devices.wiring import Wiring
from streamer.live.mixing.channel_names import channel_names
from streamer.live.mixing.routes import Route, default_routes
from streamer.live.planning.outputs import name_outputs
from streamer.live.settings import LiveSettings

STEMS = ("drums", "vocals")
JACK = Device(0, "jack", "JACK", 128, 128, 48000, 0, 0, block_frames=256, makes_ports=True)


def names_of(
    *routes: str, outputs: int = 2, scene: Path | None = None, **settings: object
) -> tuple[str, ...]:
    """The names of the ports of a run with these routes."""
    wish = LiveSettings(route=routes, scene=scene, **settings)
    opened = Device(0, "jack", "JACK", 2, outputs, 48000, 0, 0, makes_ports=True)
    wiring = Wiring(JACK, (opened,), (1, 2), 48000, 256, "high")
    wiring = name_outputs(wiring, wish, STEMS)
    return tuple(port.name for port in wiring.output_ports(wiring.outputs[0]))


@pytest.mark.parametrize(
    ("routes", "names"),
    [
        (["vocals=1,2"], ("vocals_L", "vocals_R")),
        (["vocals=2,1"], ("vocals_R", "vocals_L")),
        (["vocals=1,2", "drums=1,2@-3"], ("mix_L", "mix_R")),
        (["mix-vocals=1,2", "mix=4"], ("mix-vocals_L", "mix-vocals_R", "out_3", "mix")),
        (["vocals=1,2", "vocals=3,4@-6"], ("vocals_L", "vocals_R", "vocals_2_L", "vocals_2_R")),
        (["vocals=1,2", "drums=2,3"], ("vocals_L", "mix", "drums_R")),
    ],
)
def test_a_port_is_called_after_what_plays_there(routes: list[str], names: tuple[str, ...]) -> None:
    assert names_of(*routes, outputs=len(names)) == names


def test_without_routes_there_are_a_mix_and_a_pair_for_each_stem() -> None:
    own = ("drums_L", "drums_R", "vocals_L", "vocals_R")
    assert names_of() == ("mix_L", "mix_R", *own)
    routes = default_routes(STEMS, {"jack": 6}, with_mix=["jack"])
    assert [str(one) for one in routes] == [
        *("jack:drums=1,2", "jack:vocals=1,2", "jack:drums=3,4", "jack:vocals=5,6")
    ]
    assert names_of(outputs=4, output_channels=4) == own


def test_a_listener_gives_a_pair_its_name(tmp_path: Path) -> None:
    scene = tmp_path / "band.toml"
    scene.write_text('[routes]\nanna = ["vocals=1,2", "drums=1,2@-3"]\n"a:b" = ["drums=3,4"]\n')
    assert names_of(outputs=4, scene=scene) == ("anna_L", "anna_R", "a_b_L", "a_b_R")
    scene.write_text('[listeners.bo]\noutput = "3,4"\n')
    assert names_of(outputs=4, scene=scene) == ("mix_L", "mix_R", "bo_L", "bo_R")


def test_no_two_ports_of_a_client_are_alike() -> None:
    routes = [Route("drums", (number,), "jack", listener="in_L") for number in (1, 2)]
    routes.append(Route("drums", (4,), "jack", listener="out_3"))
    assert channel_names(routes, "jack", 4) == ("in_L_2", "in_L_3", "out_3", "out_3_2")


def test_inputs_are_ports_for_the_channels_that_are_taken_in() -> None:
    wiring = Wiring(JACK, (JACK,), (3, 4), 48000, 256, "high")
    assert wiring.input_ports == (PortName("in_L", 3), PortName("in_R", 4))
    assert wiring.channel_gains.tolist() == [[1, 0], [0, 1]]
    mono = Wiring(JACK, (JACK,), (5,), 48000, 256, "high")
    assert mono.input_ports == (PortName("in", 5),)
    assert mono.channel_gains.tolist() == [[1, 1]]
