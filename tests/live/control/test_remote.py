import contextlib
import errno
import socket
import threading
import time
from dataclasses import replace

import pytest
from live.support.desk import Desk
from pythonosc.osc_message_builder import build_msg
from pythonosc.udp_client import SimpleUDPClient

from streamer.errors import SettingsError, SinkError
from streamer.live.control.apart import MOST_WAITING
from streamer.live.control.osc import build, parse
from streamer.live.control.page.messages import Set
from streamer.live.control.remote import Remote
from streamer.live.control.subscriptions import (
    KEEP_SECONDS,
    MOST_SUBSCRIBERS,
    OscSubscriptions,
    RemoteCounters,
)
from streamer.live.mixing.routes import Place
from streamer.live.mixing.state import Listener, StemState
from streamer.live.status import Meter, Reason, State, Status
from streamer.naming import MOST_NAME_BYTES

STEMS = ["drums", "bass", "other", "vocals"]
SENDER = ("127.0.0.1", 5000)
STATUS = Status(
    state=State.DEGRADED,
    reason=Reason.OVERLOAD,
    samplerate=48000,
    played_frames=2**33,
    delay_seconds=0.25,
    device_losses=2,
    stems={"vocals": Meter(1.0, 0.1)},
    outputs={"my PA": [Meter(0.5, 0.5), Meter()]},
)


class Run(Desk):
    """A desk and a status, as a live run has them."""

    def __init__(self, folder):
        super().__init__(folder)
        self.status = STATUS
        self.ended = threading.Event()
        self.told = []

    def quit(self):
        self.ended.set()

    def stem(self, name="vocals"):
        return self.mixer.state.stems[name]


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path)


@pytest.fixture
def subscriptions(run):
    return OscSubscriptions(run, lambda: run.status, run.told.append)


def send(subscriptions, address, *args, sender=SENDER, now=0.0):
    """What the sender is answered, as (address, *args)."""
    answers = subscriptions.receive(build_msg(address, list(args)).dgram, sender, now)
    return [(one.address, *one.args) for datagram in answers for one in parse(datagram)]


def pushed(subscriptions, now=0.0):
    """What the subscribers get, as {subscriber: {address: args}}."""
    found = {}
    for datagram, subscriber in subscriptions.push(now):
        for one in parse(datagram):
            found.setdefault(subscriber, {})[one.address] = one.args
    return found


# commands --------------------------------------------------------------------------------------


def test_controls(run, subscriptions):
    assert send(subscriptions, "/stem/vocals/gain", -6.5) == []
    assert send(subscriptions, "/stem/vocals/mute", 1) == []
    assert send(subscriptions, "/stem/vocals/solo", 1.0) == []
    assert send(subscriptions, "/stem/vocals/pan", -0.5) == []
    assert send(subscriptions, "/stem/drums/mute", True) == []
    assert send(subscriptions, "/master/gain", -3) == []
    assert send(subscriptions, "/dry", 1) == []
    assert run.stem() == StemState(-6.5, True, True, -0.5)
    assert run.stem("drums") == StemState(mute=True)
    assert (run.mixer.state.master_db, run.mixer.state.dry) == (-3, True)
    assert subscriptions.counters == RemoteCounters(messages=7)


def test_the_same_message_again_changes_nothing(run, subscriptions):
    send(subscriptions, "/stem/vocals/mute", 1)
    state = run.mixer.state
    for _ in range(3):
        send(subscriptions, "/stem/vocals/mute", 1)
    assert run.mixer.state is state


def test_an_address_without_a_value_asks_for_it(subscriptions):
    send(subscriptions, "/stem/vocals/gain", -6)
    send(subscriptions, "/dry", 1)
    assert send(subscriptions, "/stem/vocals/gain") == [("/stem/vocals/gain", -6.0)]
    assert send(subscriptions, "/stem/vocals/mute") == [("/stem/vocals/mute", 0)]
    assert send(subscriptions, "/dry") == [("/dry", 1)]
    assert len(send(subscriptions, "/stem/*/gain")) == 4


def test_patterns_reach_the_controls_and_never_end_a_run(run, subscriptions):
    assert send(subscriptions, "/stem/{drums,bass}/mute", 1) == []
    assert [run.stem(name).mute for name in STEMS] == [True, True, False, False]
    assert send(subscriptions, "/*", 0) == []  # dry alone has one part
    assert send(subscriptions, "/qui?")[0][0] == "/error"
    assert not run.ended.is_set()


def test_a_name_with_the_signs_of_patterns_is_itself_first(tmp_path):
    desk = Desk(tmp_path, stems=("guitar [L]", "vox*", "vox2"))
    subscriptions = OscSubscriptions(desk, lambda: STATUS, print)
    for name in ("guitar [L]", "vox*"):
        assert send(subscriptions, f"/stem/{name}/mute", 1) == []
    assert {name for name, stem in desk.mixer.state.stems.items() if stem.mute} == {
        "guitar [L]",
        "vox*",
    }


@pytest.mark.parametrize("letter", ["\N{HIRAGANA LETTER A}", "a"])
def test_the_longest_names_have_addresses(tmp_path, letter):
    name = letter * (MOST_NAME_BYTES // len(letter.encode()))
    listener = Listener(output=Place((1, 2)))
    desk = Desk(tmp_path, stems=(name, "b"), listeners={name: listener})
    subscriptions = OscSubscriptions(desk, lambda: STATUS, print)
    address = f"/listener/{name}/stem/{name}/gain"
    assert send(subscriptions, address, -6.0) == []
    assert desk.mixer.state.listeners[name].stems[name].gain_db == -6
    assert Set(set=address, value=-6).set == address


def test_scene(run, subscriptions, tmp_path):
    path = tmp_path / "band.toml"
    path.write_text("[stems.vocals]\nmute = true")
    assert send(subscriptions, "/scene", str(path)) == []
    assert run.stem().mute
    state = run.mixer.state
    path.write_text("[stems.guitar]\nmute = true")
    [(address, about, sentence)] = send(subscriptions, "/scene", str(path))
    assert (address, about) == ("/error", "/scene")
    assert "the model has no stem guitar" in sentence
    assert run.mixer.state is state
    assert run.told == [f"OSC: {sentence}"]


def test_quit(run, subscriptions):
    assert send(subscriptions, "/quit") == []
    assert run.ended.is_set()


def test_status(subscriptions):
    answers = {address: args for address, *args in send(subscriptions, "/status")}
    assert answers["/status/state"] == ["degraded"]
    assert answers["/status/reason"] == ["windows came too late"]
    assert answers["/status/played_frames"] == [2**33]
    assert answers["/status/delay_seconds"] == [0.25]
    assert not any(address.endswith(("stems", "outputs")) for address in answers)


def test_device_losses_keep_the_address_that_remotes_know(subscriptions):
    answers = {address: args for address, *args in send(subscriptions, "/status")}
    assert answers["/status/gaps"] == [2]
    assert "/status/device_losses" not in answers


# what is wrong ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "args", "told"),
    [
        ("/stem/vocals/gain", [40], "vocals.gain_db=40 must be a number of dB up to 12"),
        ("/stem/vocals/gain", [float("nan")], "gain_db=nan must be"),
        ("/stem/vocals/gain", ["loud"], "gain_db=loud must be"),
        ("/stem/vocals/gain", [b"\x00"], "gain_db=b'"),
        ("/stem/vocals/gain", [[1]], "gain_db=1 must be"),
        ("/stem/vocals/gain", [1, 2], "/stem/vocals/gain takes one value, and came with 2"),
        ("/stem/vocals/mute", [2], "vocals.mute=2 must be 0 or 1; try 1"),
        ("/stem/vocals/mute", [None], "mute=none must be 0 or 1"),
        ("/stem/vocals/pan", [3.0], "pan=3.0 must be a number between -1"),
        ("/dry", ["\x1b[2J"], "dry=\\x1b[2J must be"),
        ("/scene", [], "/scene takes the path of a scene file"),
        ("/scene", [3], "/scene takes the path"),
        ("/scene", ["x" * 5000], "cannot be read"),
        ("/scene", ["/dev/zero"], "is no scene file"),
        ("/subscribe", ["here"], "/subscribe takes the port"),
        ("/subscribe", [0], "port=0 must be between 1 and 65535"),
        ("/subscribe", [70000], "port=70000 must be"),
        ("/subscribe", [float("nan")], "port=nan must be"),
    ],
)
def test_what_cannot_be_done_is_told_once_and_answered_each_time(
    run, subscriptions, address, args, told
):
    state = run.mixer.state
    for _ in range(3):
        [(answer, about, sentence)] = send(subscriptions, address, *args)
        assert (answer, about) == ("/error", address)
        assert told in sentence
        assert len(sentence) < 300
    assert run.told == [f"OSC: {sentence}"]
    assert run.mixer.state is state
    assert subscriptions.counters == RemoteCounters(refused=3)


def test_unknown_addresses(run, subscriptions):
    [(_, _, sentence)] = send(subscriptions, "/stem/vocal/gain", 1)
    assert sentence == "/stem/vocal/gain is no address here; try /stem/vocals/gain"
    [(_, about, sentence)] = send(subscriptions, "/zzz/*/x", 1)
    assert about == "/zzz/*/x"
    assert sentence.endswith("is no address here; try one like /stem/drums/gain, or /status")
    assert subscriptions.counters == RemoteCounters(unknown=2)
    assert len(run.told) == 1


def test_two_that_complain_do_not_play_on(subscriptions):
    [complaint] = subscriptions.receive(build_msg("/zzz", 1).dgram, SENDER, 0)
    assert subscriptions.receive(complaint, SENDER, 0) == []


def test_rubbish_is_counted_and_told_once(run, subscriptions):
    for number in range(100):
        assert subscriptions.receive(b"\xff rubbish %d" % number, SENDER, 0) == []
    assert subscriptions.counters == RemoteCounters(garbled=100)
    [told] = run.told
    assert told.startswith("OSC: something from 127.0.0.1 is no OSC")


def test_a_stranger_cannot_fill_the_screen(run, subscriptions):
    for number in range(500):
        send(subscriptions, "/stem/vocals/gain", 100 + number)
    assert subscriptions.counters.refused == 500
    assert len(run.told) <= 32


def test_a_mistake_of_ours_ends_nothing(run, subscriptions):
    def broken(path):
        raise KeyError("oh")

    run.load_scene = broken
    [(_, _, sentence)] = send(subscriptions, "/scene", "x")
    assert "KeyError" in sentence
    assert send(subscriptions, "/stem/vocals/mute", 1) == []
    send(subscriptions, "/subscribe")
    run.status = None
    assert subscriptions.push(0) == subscriptions.push(0) == []
    assert len(run.told) == 2
    run.status = STATUS
    assert subscriptions.push(0)


# subscribers -----------------------------------------------------------------------------------


def test_a_subscriber_sees_everything_and_then_what_changes(run, subscriptions):
    assert send(subscriptions, "/subscribe") == []
    [(subscriber, first)] = pushed(subscriptions).items()
    assert subscriber == SENDER
    assert first["/stem/vocals/gain"] == (0.0,)
    assert first["/dry"] == (0,)
    assert first["/status/state"] == ("degraded",)
    assert first["/meter/stem/vocals"] == pytest.approx((0, -20))
    assert first["/meter/output"] == ("my PA", 2, -120, -120)
    send(subscriptions, "/stem/vocals/gain", -3)
    run.status = replace(STATUS, xruns=1)
    again = pushed(subscriptions)[SENDER]
    assert again.keys() == {
        "/stem/vocals/gain",
        "/status/xruns",
        "/meter/stem/vocals",
        "/meter/output",
    }


def test_meters_come_each_time_for_every_channel(subscriptions):
    send(subscriptions, "/subscribe")
    for _ in range(2):
        meters = [one.args for data, _ in subscriptions.push(0) for one in parse(data)]
        assert sorted(args[1] for args in meters if args[0] == "my PA") == [1, 2]


def test_a_subscriber_may_name_the_port_it_listens_on(subscriptions):
    send(subscriptions, "/subscribe", 9001)
    send(subscriptions, "/subscribe", 9001.0)
    send(subscriptions, "/subscribe", 9002, sender=("::1", 5000, 0, 0))
    assert pushed(subscriptions).keys() == {("127.0.0.1", 9001), ("::1", 9002, 0, 0)}
    assert send(subscriptions, "/unsubscribe", 9001) == []
    assert pushed(subscriptions).keys() == {("::1", 9002, 0, 0)}


def test_a_subscriber_that_falls_silent_is_forgotten(subscriptions):
    send(subscriptions, "/subscribe", now=0)
    send(subscriptions, "/subscribe", 7, now=KEEP_SECONDS / 2)
    pushed(subscriptions, KEEP_SECONDS * 0.9)
    send(subscriptions, "/subscribe", now=KEEP_SECONDS * 0.9)
    kept = pushed(subscriptions, KEEP_SECONDS * 1.6)
    assert kept.keys() == {SENDER}
    assert "/stem/vocals/gain" not in kept[SENDER]  # it knows that already
    assert pushed(subscriptions, KEEP_SECONDS * 1.9) == {}
    assert subscriptions.counters.subscribers == 0


def test_there_is_room_for_so_many(subscriptions):
    for number in range(MOST_SUBSCRIBERS):
        assert send(subscriptions, "/subscribe", 9000 + number) == []
    assert "subscribers already" in send(subscriptions, "/subscribe", 1)[0][2]
    assert send(subscriptions, "/subscribe", 9000) == []
    assert subscriptions.counters.subscribers == MOST_SUBSCRIBERS


# over UDP --------------------------------------------------------------------------------------


def until(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "this did not come"
        time.sleep(0.002)


@pytest.fixture
def remote(run):
    with Remote(run, lambda: run.status, port=0, tell=run.told.append) as running:
        yield running


@pytest.fixture
def client(remote):
    client = SimpleUDPClient(*remote.address)
    yield client
    client._sock.close()


def test_a_client_of_python_osc(run, remote, client):
    assert remote.address[0] == "127.0.0.1"
    client.send_message("/stem/vocals/gain", -6.0)
    client.send_message("/stem/vocals/mute", True)
    until(lambda: run.stem() == StemState(-6, mute=True))
    client.send_message("/stem/vocals/gain", [])
    reply = next(client.get_messages(10))
    assert (reply.address, reply.params) == ("/stem/vocals/gain", [-6.0])
    client.send_message("/quit", [])
    assert run.ended.wait(10)


def test_pushes_arrive_where_the_subscriber_listens(run, client):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.settimeout(10)
        client.send_message("/subscribe", listening.getsockname()[1])
        seen = set()
        while not {"/meter/stem/vocals", "/status/state", "/dry"} <= seen:
            seen |= {one.address for one in parse(listening.recv(65536))}
        seen.clear()
        client.send_message("/stem/bass/solo", 1)
        while "/stem/bass/solo" not in seen:
            seen |= {one.address for one in parse(listening.recv(65536))}
    # nobody listens there now, which disturbs nobody
    client.send_message("/dry", 1)
    until(lambda: run.mixer.state.dry)


def test_what_the_system_did_not_send_is_sent_later(run, monkeypatch):
    """As while the Wi-Fi of this machine is away."""
    remote = Remote(run, lambda: run.status, port=0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as surface:
        surface.bind(("127.0.0.1", 0))
        surface.settimeout(0.2)
        address = surface.getsockname()

        def heard():
            remote._push(1.0)
            told = {}
            with contextlib.suppress(TimeoutError):
                while True:
                    told |= {one.address: one.args for one in parse(surface.recv(9999))}
            return told.get("/stem/vocals/gain")

        remote._subscriptions.receive(build("/subscribe"), address, 0.0)
        assert heard() == (0.0,)
        send(remote._subscriptions, "/stem/vocals/gain", -3.0)
        with monkeypatch.context() as away:
            away.setattr(remote, "_socket", Unreachable())
            assert heard() is None
        assert heard() == (-3.0,)
        assert heard() is None
    remote.close()


class Unreachable:
    def sendto(self, *_):
        raise OSError(errno.ENETUNREACH, "Network is unreachable")


def test_what_a_slow_disk_holds_up_is_answered_later(run, subscriptions, monkeypatch):
    disk = threading.Event()

    def switch(_):
        disk.wait(10)
        raise SinkError("the disk is full")

    monkeypatch.setattr(run.recorder, "switch", switch)
    assert send(subscriptions, "/record", 1) == []
    send(subscriptions, "/stem/vocals/gain", -3.0)
    assert run.mixer.state.stems["vocals"].gain_db == -3
    assert subscriptions.push(0.0) == []
    for _ in range(MOST_WAITING):
        assert send(subscriptions, "/record", 1) == []
    [(_, address, said)] = send(subscriptions, "/record", 1)
    assert (address, said[:27]) == ("/record", "the disk does not answer; n")
    disk.set()
    answers = []
    until(lambda: answers.extend(subscriptions.push(0.0)) or answers)
    datagram, sender = answers[0]
    assert sender == SENDER
    assert parse(datagram)[0].args == ("/record", "the disk is full")


def test_rubbish_over_the_network(run, remote, client):
    for datagram in (b"", b"x", b"/" * 4000, b"/a\0\0" * 16000, b"#bundle\0" * 100):
        client._sock.sendto(datagram, remote.address)
    client.send_message("/stem/vocals/mute", 1)
    until(lambda: run.stem().mute)
    assert remote.counters.garbled == 5
    assert len(run.told) == 1


def test_a_flood_does_not_keep_it_from_ending(run):
    with Remote(run, lambda: run.status, port=0) as remote:
        client = SimpleUDPClient(*remote.address)
        for number in range(500):
            client.send_message("/stem/vocals/gain", -float(number % 80))
        client.send_message("/quit", [])
        client._sock.close()
        until(lambda: remote.counters.messages > 0)
    assert not remote.running


def test_quitting_from_its_own_thread(run):
    remote = Remote(run, lambda: run.status, port=0, tell=run.told.append)
    run.quit = remote.close
    remote.start()
    client = SimpleUDPClient(*remote.address)
    client.send_message("/quit", [])
    client._sock.close()
    until(lambda: not remote.running)
    assert remote.counters.messages == 1
    assert run.told == []
    remote.close()


def test_one_that_never_began_can_be_closed(run):
    Remote(run, lambda: run.status, port=0).close()


def test_ipv6(run):
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    try:
        remote = Remote(run, lambda: run.status, port=0, host="::1")
    except SettingsError:
        pytest.skip("no IPv6 loopback here")
    with remote:
        client = SimpleUDPClient(*remote.address)
        client.send_message("/dry", 1)
        until(lambda: run.mixer.state.dry)
        client._sock.close()


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ({"port": 70000}, "osc=70000 must be between 0 and 65535; try 0"),
        (
            {"port": 0, "host": "no.such.host.invalid"},
            "host=no.such.host.invalid must be an address of",
        ),
        ({"port": 0, "host": "192.0.2.1"}, "host=192.0.2.1 must be an address of this machine"),
    ],
)
def test_places_where_nothing_can_listen(run, where, told):
    with pytest.raises(SettingsError) as caught:
        Remote(run, lambda: run.status, **where)
    assert told in str(caught.value)


def test_a_port_that_is_taken_is_told_without_advising_the_host_that_was_given(run, remote):
    with pytest.raises(SettingsError) as caught:
        Remote(run, lambda: run.status, port=remote.address[1])
    port = remote.address[1]
    told = f"osc={port} must be a port that no other program has on 127.0.0.1; try 0 for any"
    assert told in str(caught.value)
    assert "try 127" not in str(caught.value)
