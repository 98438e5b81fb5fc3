"""The memory of JACK's connections, on a graph of plain sets."""

from __future__ import annotations

import pytest

from streamer.live.devices.device import Kind
from streamer.live.devices.jack_connections import LOOKS_TO_FORGET, Connections

PORTS: dict[str, Kind] = {"in": "input", "out": "output"}


class Sets:
    """A graph: ports, and connections of our own with them."""

    def __init__(self, *ports: str) -> None:
        self.ports, self.made = set(ports), set[tuple[str, str]]()

    def is_there(self, port: str) -> bool:
        return port in self.ports

    def connected_to(self, port: str) -> set[str]:
        return {other for own, other in self.made if own == port}

    def connect(self, port: str, kind: Kind, other: str) -> bool:
        assert kind == PORTS[port]
        self.made.add((port, other))
        return True

    def leave(self, port: str) -> None:
        """The other program ends."""
        self.ports.discard(port)
        self.made = {one for one in self.made if one[1] != port}


@pytest.fixture
def connections() -> Connections:
    made = Connections()
    made.begin("out", ["system:playback_1"])
    return made


def test_what_a_server_had_is_made_again_and_what_is_not_there_yet_when_it_comes(
    connections: Connections,
) -> None:
    graph = Sets("system:playback_1", "daw:left")
    connections.look(graph, PORTS)
    graph.made.add(("in", "daw:left"))
    connections.look(graph, PORTS)
    connections.lost(PORTS)
    again = Sets("system:playback_1")
    connections.look(again, PORTS)
    assert again.made == {("out", "system:playback_1")}
    again.ports.add("daw:left")
    connections.look(again, PORTS)
    assert again.made == {("out", "system:playback_1"), ("in", "daw:left")}


def look_long(connections: Connections, graph: Sets) -> None:
    looks = 1
    while connections.look(graph, PORTS):
        looks += 1
    assert looks == LOOKS_TO_FORGET


def test_what_a_person_undoes_is_not_made_again(connections: Connections) -> None:
    graph = Sets("system:playback_1")
    connections.look(graph, PORTS)
    graph.made.clear()
    look_long(connections, graph)
    connections.lost(PORTS)
    connections.begin("out", ["system:playback_1"])
    connections.look(graph, PORTS)
    assert graph.made == set()


def test_what_ends_with_the_other_program_is_not_made_again(connections: Connections) -> None:
    """A program that is started anew has connections of its own in mind."""
    graph = Sets("system:playback_1", "daw:left")
    graph.made.add(("in", "daw:left"))
    connections.look(graph, PORTS)
    graph.leave("daw:left")
    look_long(connections, graph)
    graph.ports.add("daw:left")
    connections.look(graph, PORTS)
    assert graph.made == {("out", "system:playback_1")}


def test_what_went_just_before_the_server_is_remembered(connections: Connections) -> None:
    """A server that is told to end takes the card's ports away first."""
    graph = Sets("system:playback_1")
    connections.look(graph, PORTS)
    graph.leave("system:playback_1")
    assert connections.look(graph, PORTS)
    connections.lost(PORTS)
    graph.ports.add("system:playback_1")
    connections.look(graph, PORTS)
    assert graph.made == {("out", "system:playback_1")}


def test_a_port_that_is_made_anew_is_connected_again_and_what_a_hand_parts_is_not(
    connections: Connections,
) -> None:
    graph = Sets("system:playback_1")
    connections.look(graph, PORTS)
    graph.leave("system:playback_1")
    assert connections.look(graph, PORTS)
    graph.ports.add("system:playback_1")
    connections.look(graph, PORTS)
    assert graph.made == {("out", "system:playback_1")}
    graph.made.clear()
    connections.look(graph, PORTS)
    assert graph.made == set()


def test_two_streams_mind_only_their_own_ports(connections: Connections) -> None:
    """As where input and output are two clients: each looks at its own."""
    input_: dict[str, Kind] = {"in": "input"}
    output: dict[str, Kind] = {"out": "output"}
    graph = Sets("system:playback_1", "daw:left")
    graph.made.add(("in", "daw:left"))
    for _ in range(3):
        assert not connections.look(graph, input_)
        assert not connections.look(graph, output)
    assert graph.made == {("out", "system:playback_1"), ("in", "daw:left")}
    graph.leave("system:playback_1")
    for _ in range(2):
        assert not connections.look(graph, input_)
        assert connections.look(graph, output)
    graph.ports.add("system:playback_1")
    assert not connections.look(graph, input_)
    assert not connections.look(graph, output)
    assert graph.made == {("out", "system:playback_1"), ("in", "daw:left")}
    connections.lost(output)
    connections.look(graph, input_)
    graph.made.clear()
    connections.look(graph, output)
    assert graph.made == {("out", "system:playback_1")}, "what a hand parts is not made again"
