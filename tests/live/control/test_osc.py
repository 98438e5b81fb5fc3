import contextlib
import logging
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pythonosc.osc_bundle_builder import OscBundleBuilder
from pythonosc.osc_message_builder import build_msg

from streamer.live.control.osc import Message, OscError, build, matches, parse


def bundle(*contents, at=0):
    builder = OscBundleBuilder(at)
    for content in contents:
        builder.add_content(content)
    return builder.build()


@pytest.mark.parametrize(
    "args",
    [(), (1,), (-1.5,), ("a b",), (True, False, None), (2**40,), ([1, [2.0]], "x"), (b"blob",)],
)
def test_messages_of_python_osc(args):
    assert parse(build_msg("/a/b", list(args)).dgram) == [Message("/a/b", args)]


def test_numbers_fit_their_types():
    assert parse(build("/x", 2**31 - 1, 2**31, -1, 0.5, "é")) == [
        Message("/x", (2**31 - 1, 2**31, -1, 0.5, "é"))
    ]
    assert b",ihifs" in build("/x", 2**31 - 1, 2**31, -1, 0.5, "é")


def test_words_that_are_no_text_are_sent_all_the_same():
    assert parse(build("/x", "a\udcff"))[0].args == ("a?",)


def test_bundles_are_taken_apart_and_need_not_wait():
    inner = bundle(build_msg("/b", [2]), build_msg("/c"), at=2e9)
    assert [one.address for one in parse(bundle(build_msg("/a"), inner).dgram)] == [
        "/a",
        "/b",
        "/c",
    ]
    assert parse(bundle().dgram) == []


def nested(depth):
    packet = build("/deep")
    for _ in range(depth):
        packet = b"#bundle\0" + b"\0" * 8 + len(packet).to_bytes(4, "big") + packet
    return packet


RUBBISH = [
    b"",
    b"\0",
    b"hello",
    b"/no/end",
    b"/a\0\0,i\0\0",
    b"/a\0\0,s\0\0abcd",
    b"/a\0\0,b\0\0\x7f\xff\xff\xff",
    b"/a\0\0,I\0\0",
    b"/a\0\0,]\0\0",
    b"/a\0\0,[\0\0",
    b"/a\0\0xx\0\0",
    b"/\xff\0\0",
    b"/a\0\0,m\0\0\1",
    b"/" + b"a" * 500 + b"\0" * 4,
    b"/a\0\0," + b"T" * 300 + b"\0\0\0",
    b"#bundle\0",
    b"#bundle\0" + b"\0" * 8 + b"\0\0\0\0",
    b"#bundle\0" + b"\0" * 8 + b"\xff\xff\xff\xff",
    b"#bundle\0" + b"\0" * 8 + b"\0\0\0\x08/a",
    nested(50),
]


@pytest.mark.parametrize("datagram", RUBBISH)
def test_rubbish_is_one_kind_of_error(datagram, caplog):
    with caplog.at_level(logging.DEBUG), pytest.raises(OscError):
        parse(datagram)
    assert not caplog.records


@given(st.binary(max_size=64).map(lambda data: b"/a\0\0," + data))
@settings(max_examples=300)
def test_any_bytes_are_messages_or_that_error(datagram):
    with contextlib.suppress(OscError):
        parse(datagram)


def test_four_thousand_damaged_datagrams_are_messages_or_that_error():
    draw = random.Random(0)
    sound = [
        build("/stem/vocals/gain", -3.5),
        build("/scene", "a.toml", 1, True),
        bundle(build_msg("/a", [1, [2.0]]), bundle(build_msg("/b", [b"x"]))).dgram,
        build("/subscribe", 9001),
    ]
    for _ in range(4000):
        data = bytearray(draw.choice(sound))
        for _ in range(draw.randint(1, 4)):
            at = draw.randrange(len(data) + 1)
            data[at : at + draw.randint(0, 4)] = draw.randbytes(draw.randint(0, 8))
        with contextlib.suppress(OscError):
            assert all(isinstance(one, Message) for one in parse(bytes(data)))


@given(st.data())
def test_a_message_that_lost_some_bytes(data):
    whole = bundle(build_msg("/stem/vocals/gain", [1.0, "a", [3]]), build_msg("/b", [b"x"])).dgram
    at = data.draw(st.integers(0, len(whole) - 1))
    broken = whole[:at] + data.draw(st.binary(max_size=4)) + whole[at + 1 :]
    with contextlib.suppress(OscError):
        parse(broken)


@pytest.mark.parametrize(
    ("pattern", "address", "fits"),
    [
        ("/stem/*/mute", "/stem/vocals/mute", True),
        ("/stem/*/mute", "/stem/vocals/gain", False),
        ("/stem/*", "/stem/vocals/mute", False),
        ("/*/*/*", "/stem/vocals/mute", True),
        ("/stem/v*s/*", "/stem/vocals/mute", True),
        ("/stem/*o*/mute", "/stem/vocals/mute", True),
        ("/stem/?ass/mute", "/stem/bass/mute", True),
        ("/stem/?/mute", "/stem/bass/mute", False),
        ("/stem?bass/mute", "/stem/bass/mute", False),
        ("/stem/{bass,drums}/mute", "/stem/drums/mute", True),
        ("/stem/{bass,drums}/mute", "/stem/vocals/mute", False),
        ("/stem/{b,ba}{ss,s}/mute", "/stem/bass/mute", True),
        ("/stem/[a-c]ass/mute", "/stem/bass/mute", True),
        ("/stem/[!a-c]ass/mute", "/stem/bass/mute", False),
        ("/stem/[xb-]ass/mute", "/stem/bass/mute", True),
        ("/stem/[!x]ass/mute", "/stem/bass/mute", True),
        ("/stem[!x]bass/mute", "/stem/bass/mute", False),
        ("/stem/[ba", "/stem/[ba", True),
        ("/stem/***/mut**", "/stem/bass/mute", True),
        ("/stem/**?/mute", "/stem/bass/mute", True),
        ("/stem/.*/mute", "/stem/vocals/mute", False),
        ("/dry", "/dry", True),
        ("/dr", "/dry", False),
        ("/dry?", "/dry", False),
        ("", "", True),
    ],
)
def test_patterns(pattern, address, fits):
    assert matches(pattern, address) is fits


def test_patterns_made_to_be_slow():
    # with backtracking, each of these would go on for ever
    for evil in ("*?" * 60, "{,}" * 40, "{o,oo}" * 20, "[!x]*" * 24, "*" * 127):
        assert not matches(f"/stem/{evil}/x", f"/stem/{'o' * 40}/gain")
