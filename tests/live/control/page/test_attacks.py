"""Attacks on the page: each is refused, and the mix stays as it is."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest

pytest.importorskip("uvicorn", reason="the page is an extra: pip install 'stemstream[page]'")

from live.support.page import TIMEOUT_SECONDS, Page, page
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection

from streamer.live.control.page.clients import MOST_CLIENTS
from streamer.live.control.page.messages import LARGEST_BYTES
from streamer.live.control.page.pace import BURST, Pace
from streamer.live.control.page.roles import DESK, VIEWER, Role, Tokens

DRUMMER, SINGER = Role("listener", "drummer"), Role("listener", "singer")


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A page on this machine alone: no tokens."""
    with page(tmp_path_factory.mktemp("scenes")) as one:
        yield one


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A page for the whole room: every role has a token."""
    with page(tmp_path_factory.mktemp("scenes"), host="0.0.0.0") as one:
        yield one


@pytest.fixture(autouse=True)
def untouched(request: pytest.FixtureRequest) -> Iterator[None]:
    """No attack changes the sound, ends the run, or shows anything on its screen."""
    pages = [
        request.getfixturevalue(one) for one in request.fixturenames if one in ("alone", "room")
    ]
    before = [one.band.mixer.state for one in pages]
    captured = request.getfixturevalue("capfd")
    yield
    assert [one.band.mixer.state for one in pages] == before
    assert not any(one.band.ended or one.band.recorder.on for one in pages)
    assert captured.readouterr() == ("", "")


def refusal(there: Page, path: str = "/control", **options: Any) -> int:
    """The status with which a WebSocket is refused."""
    with pytest.raises(InvalidStatus) as refused, there.socket(path, **options):
        pass
    return refused.value.response.status_code


def end_of(client: ClientConnection) -> int:
    """Read until the connection is closed; return the code."""
    with pytest.raises(ConnectionClosed):
        read_on(client)
    assert client.close_code is not None
    return client.close_code


def read_on(client: ClientConnection) -> None:
    while True:
        client.recv(TIMEOUT_SECONDS)


def knock(there: Page, host: str, cookie: str = "") -> socket.socket:
    """Ask for a WebSocket, and never read it."""
    plain = socket.create_connection((there.host, there.port), TIMEOUT_SECONDS)
    lines = [
        "GET /control HTTP/1.1",
        f"Host: {host}",
        f"Origin: http://{host}",
        f"Cookie: {cookie}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Version: 13",
    ]
    plain.sendall("\r\n".join([*lines, "\r\n"]).encode())
    return plain


# Where a request comes from


HOSTS = (
    "evil.example:{port}",
    "127.0.0.1",
    "127.0.0.1:1",
    "127.0.0.2:{port}",
    "",
    "localhost.:{port}",
    "127.0.0.1:{port}@evil.example",
)


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_that_is_not_this_one_is_refused(alone: Page, host: str) -> None:
    host = host.format(port=alone.port)
    assert alone.get("/", {"Host": host})[0] == 421
    assert alone.get("/static/icon.svg", {"Host": host})[0] == 421
    with knock(alone, host) as plain:
        assert plain.recv(100).startswith(b"HTTP/1.1 421 ")


def test_two_hosts_and_none_are_refused(alone: Page) -> None:
    right = f"Host: 127.0.0.1:{alone.port}\r\n"
    for hosts in ("", right + right):
        with socket.create_connection((alone.host, alone.port)) as plain:
            plain.sendall(f"GET / HTTP/1.0\r\n{hosts}\r\n".encode())
            assert plain.recv(100).split()[1] in (b"421", b"400")


ORIGINS = (
    "http://evil.example",
    "https://127.0.0.1:{port}",
    "http://127.0.0.1",
    "http://127.0.0.1:1",
    "http://localhost:{port}",
    "null",
    None,
)


@pytest.mark.parametrize("origin", ORIGINS)
def test_another_origin_is_refused(alone: Page, origin: str | None) -> None:
    given = None if origin is None else origin.format(port=alone.port)
    assert refusal(alone, origin=given) == 403
    if given is not None:
        assert alone.get("/", {"Origin": given})[0] == 403


def test_localhost_is_this_machine(alone: Page) -> None:
    place = f"localhost:{alone.port}"
    assert alone.get("/", {"Host": place, "Origin": f"http://{place}"})[0] == 200


# Tokens and roles


def test_without_a_token_or_with_a_wrong_one_nothing_is_to_be_had(room: Page) -> None:
    wrong = {"Cookie": f"stemstream-{room.port}-desk=AAAAAAAAAAAAAAAAAAAAAA"}
    other_port = {"Cookie": room.cookie(DESK)["Cookie"].replace(f"-{room.port}-", "-1-")}
    for kept in ({}, wrong, other_port):
        for path in ("/", "/mix/singer", "/mix/nobody", "/qr/desk", "/qr/mix/singer"):
            assert room.get(path, kept)[0] == 401
        assert refusal(room, additional_headers=kept) == 401
        assert refusal(room, "/control?mix=singer", additional_headers=kept) == 401
    for path in ("/?token=", "/?token=wrong", "/mix/singer?token=wrong", "/?token=%00"):
        status, headers, _ = room.get(path)
        assert status == 401
        assert "set-cookie" not in headers


def test_a_token_is_kept_where_no_script_and_no_other_site_gets_at_it(room: Page) -> None:
    where = room.server.links.url(DESK).partition(f":{room.port}")[2]
    _, headers, text = room.get(where)
    kept = headers["set-cookie"].lower()
    assert all(one in kept for one in ("httponly", "samesite=strict", "path=/"))
    assert where.partition("=")[2] not in text
    assert room.get("/", room.cookie(DESK))[0] == 200


def test_the_token_of_one_role_gives_no_other(room: Page) -> None:
    singer, viewer = room.cookie(SINGER), room.cookie(VIEWER)
    assert refusal(room, additional_headers=singer) == 401
    assert refusal(room, "/control?mix=drummer", additional_headers=singer) == 401
    assert refusal(room, "/control?mix=singer", additional_headers=viewer) == 401
    for path in ("/", "/mix/drummer", "/qr/desk", "/qr/mix/drummer"):
        assert room.get(path, singer)[0] == 401
    assert room.get("/qr/desk", viewer)[0] == 401
    token = singer["Cookie"].partition("=")[2]
    forged = {"Cookie": f"stemstream-{room.port}-desk={token}"}
    assert refusal(room, additional_headers=forged) == 401


@pytest.mark.parametrize(
    "message",
    [
        {"set": "/stem/vocals/gain", "value": -6},
        {"set": "/master/gain", "value": -6},
        {"set": "/dry", "value": 1},
        {"set": "/record", "value": 1},
        {"set": "/scene/recall", "value": "verse"},
        {"set": "/listener/drummer/gain", "value": -6},
        {"set": "/listener/singer/../drummer/gain", "value": -6},
        {"set": "/listener/*/gain", "value": -6},
        {"act": "/scene/save", "value": "mine"},
        {"act": "/quit"},
    ],
    ids=str,
)
def test_a_page_sets_only_what_its_role_may(room: Page, message: dict[str, Any]) -> None:
    for role, path in ((SINGER, "/control?mix=singer"), (VIEWER, "/control")):
        with room.browser(path, additional_headers=room.cookie(role)) as browser:
            assert browser.state["role"] == role.kind
            assert "try one of the addresses in its state" in browser.refused(json.dumps(message))


def test_the_desk_ends_no_run_and_names_no_path(alone: Page) -> None:
    with alone.browser() as browser:
        for address in ("/quit", "/scene", "/subscribe", "/status", "/stem/*/mute"):
            for kind in ("set", "act"):
                asked = json.dumps({kind: address, "value": "/etc/passwd"})
                assert "a desk's page has no" in browser.refused(asked)
        for name in ("../verse", "/etc/passwd", "a/b", "..", ".", "", "a\0b", "con\\x"):
            browser.refused(json.dumps({"act": "/scene/save", "value": name}))
            browser.refused(json.dumps({"set": "/scene/recall", "value": name}))
    assert not [*alone.band.scenes.folder.rglob("*")]


def test_nobody_finds_one_token_from_another() -> None:
    tokens = Tokens("a-token-for-the-desk")
    roles = [DESK, VIEWER, SINGER, DRUMMER, Role("listener", "viewer"), Role("listener", "")]
    made = [tokens.token(role) for role in roles]
    assert len(set(made)) == len(roles)
    assert made == [Tokens("a-token-for-the-desk").token(role) for role in roles]
    for role in roles:
        given = [one for one, token in zip(roles, made, strict=True) if tokens.give(role, [token])]
        assert set(given) == {role, DESK}
        assert not tokens.give(role, ["", "\udcff", "\xe4"])


# Messages


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "1",
        "[" * 4000,
        '{"set":' * 500,
        '{"set": "/stem/vocals/gain", "value": NaN}',
        '{"set": "/stem/vocals/gain", "value": Infinity}',
        '{"set": "/stem/vocals/gain", "value": 1e999}',
        '{"set": "/stem/vocals/gain", "value": %s}' % ("9" * 3000),
        '{"set": "/stem/vocals/gain", "value": 13}',
        '{"set": "/stem/vocals/gain", "value": "-6"}',
        '{"set": "/stem/vocals/gain", "value": [-6]}',
        '{"set": "/stem/vocals/gain", "value": null}',
        '{"set": "/stem/vocals/gain"}',
        '{"set": "/stem/vocals/gain", "value": -6, "more": 1}',
        '{"set": 5, "value": -6}',
        '{"set": "stem", "value": -6}',
        '{"set": "/stem/vocals/mute", "value": 2}',
        '{"set": "/listener/singer/me", "value": "nobody"}',
        '{"set": "/listener/singer/more", "value": -1}',
        '{"set": "/%s", "value": -6}' % ("x" * 3000),
        '{"act": "/scene/save", "value": {"name": "x"}}',
        '{"act": "/scene/save", "value": ["a", "b", "c"]}',
        '{"act": "/scene/rename", "value": "a"}',
        '{"type": "state"}',
        b"\x00\xff",
        b'{"set": "/stem/vocals/gain", "value": -6}',
    ],
    ids=lambda text: str(text)[:40],
)
def test_what_is_no_message_is_refused_in_one_sentence(alone: Page, text: str | bytes) -> None:
    with alone.browser() as browser:
        sentence = browser.refused(text)
        assert len(sentence) < 300
        assert sentence.isprintable()


@pytest.mark.parametrize("parts", [1, 3])
def test_a_message_that_is_too_long_ends_the_connection(alone: Page, parts: int) -> None:
    with alone.socket() as client:
        text = " " * (LARGEST_BYTES // parts + 1)
        with suppress(ConnectionClosed):  # it may end before the last part is sent
            client.send(text if parts == 1 else [text] * parts)
        assert end_of(client) == 1009


def test_a_thousand_messages_a_second_end_the_connection(room: Page) -> None:
    frame = b"\x81\x82\0\0\0\0{}"  # a masked text
    with knock(room, f"127.0.0.1:{room.port}", room.cookie(VIEWER)["Cookie"]) as plain:
        assert plain.recv(12) == b"HTTP/1.1 101"
        plain.sendall(frame * 4000)
        assert b"\x03\xf0too many messages" in b"".join(iter(lambda: plain.recv(65536), b""))


def test_a_page_that_is_over_the_limit_for_a_moment_stays() -> None:
    pace = Pace(0.0)
    assert sum(pace.take(0.0) for _ in range(1000)) == BURST
    assert pace.take(1.0)
    assert not pace.is_over
    seconds = (n / 1000 for n in range(1000, 20_000))
    assert any(not pace.take(one) and pace.is_over for one in seconds)


# Connections


def test_one_page_too_many_is_sent_away_and_may_come_when_one_has_left(alone: Page) -> None:
    with ExitStack() as stack:
        for _ in range(MOST_CLIENTS - 1):
            silent = stack.enter_context(knock(alone, f"127.0.0.1:{alone.port}"))
            assert silent.recv(12) == b"HTTP/1.1 101"
        with alone.browser(), alone.socket() as late:
            assert end_of(late) == 1013
        with alone.browser():
            pass


def test_five_hundred_silent_connections_keep_nobody_out(alone: Page) -> None:
    with ExitStack() as stack:
        there = stack.enter_context(alone.browser())
        for _ in range(500):
            plain = stack.enter_context(socket.create_connection((alone.host, alone.port)))
            plain.sendall(b"GET / HTTP/1.1\r\nHost: ")
        assert alone.get("/")[0] == 200
        with alone.browser():
            there.refused("still here")


def test_rubbish_on_the_port_harms_nobody(alone: Page) -> None:
    linger = struct.pack("ii", 1, 0)  # cut off, not ended
    for rubbish in (b"\xff" * 50_000, b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01" * 99):
        with socket.create_connection((alone.host, alone.port)) as plain:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            plain.sendall(rubbish)
    assert alone.get("/", method="POST")[0] == 405
    assert alone.get("/")[0] == 200


# Files


@pytest.mark.parametrize(
    "path",
    [
        "/static/../server.py",
        "/static/%2e%2e/server.py",
        "/static/..%2fserver.py",
        "/static/%2e%2e%2f%2e%2e%2f%2e%2e%2fetc/passwd",
        "/static//etc/passwd",
        "/static/%00",
        "/static/",
        "/../../etc/passwd",
        "/mix/..%2f..%2fetc%2fpasswd",
        "/mix/nobody",
        "/qr/mix/../../desk",
        "/qr/listener",
        "/server.py",
    ],
)
def test_no_path_leads_out_of_the_page(alone: Page, path: str) -> None:
    assert alone.get(path)[0] == 404


def test_every_answer_is_headed_whatever_it_is(alone: Page, room: Page) -> None:
    for there, path, more in (
        (alone, "/", {}),
        (alone, "/static/nothing.js", {}),
        (alone, "/nowhere", {}),
        (alone, "/", {"Host": "evil.example"}),
        (alone, "/qr/desk", {}),
        (room, "/", {}),
        (room, room.server.links.url(DESK).partition(f":{room.port}")[2], {}),
    ):
        headers = {name.lower(): value for name, value in there.get(path, more)[1].items()}
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "server" not in headers
