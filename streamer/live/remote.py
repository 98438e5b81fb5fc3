"""OSC over UDP: one thread that hears commands and pushes what subscribers want to see.

::

    with Remote(session, session.status, port=9000) as remote: ...

`streamer.live.commands` says what the addresses mean. A subscriber gets the controls at once and
whenever they change, the status where it changed, and the meters, `PUSH_SECONDS` apart. It is
forgotten after `KEEP_SECONDS`; subscribing again keeps it on. Pushes go to the address that the
request came from, never to another machine.

Nothing that arrives here raises, waits or grows: rubbish is counted and told once, a flood is read
at a bounded rate, and a subscriber that does not read is not waited for.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Final, Self, TypeAlias

from streamer.errors import SettingsError, StemstreamError
from streamer.live.commands import (
    Commands,
    UnknownAddressError,
    error_message,
    meter_messages,
    port_number,
    status_messages,
)
from streamer.live.controls import Controls
from streamer.live.mixer import MixState
from streamer.live.osc import Message, OscError, build, parse
from streamer.live.status import Status

PUSH_SECONDS: Final = 0.1
KEEP_SECONDS: Final = 30.0
MOST_SUBSCRIBERS: Final = 16
_LARGEST_BYTES: Final = 8192  # of a datagram; the rest is cut off
_BURST: Final = 64  # datagrams read before the others have their turn
_PAUSE_SECONDS: Final = 0.005
_MOST_TOLD: Final = 32

_Sender: TypeAlias = tuple[Any, ...]  # (host, port), and two more numbers in IPv6


@dataclass(frozen=True, slots=True)
class RemoteCounters:
    """What has arrived: ``messages`` that meant something, and what was ``refused`` of them.

    ``unknown`` are addresses that mean nothing here, ``garbled`` datagrams that are no OSC.
    """

    messages: int = 0
    refused: int = 0
    unknown: int = 0
    garbled: int = 0
    subscribers: int = 0


@dataclass
class _Subscriber:
    """When it is forgotten, and what it was sent last, by address."""

    until_seconds: float
    sent: dict[str, tuple[Any, ...]] = field(default_factory=dict)


class Desk:
    """The remote without its socket: datagrams in, datagrams out, time as an argument.

    Args:
        controls: what the messages act on.
        status: gives a look at the run.
        tell: is given a sentence the first time something is wrong.
    """

    def __init__(
        self, controls: Controls, status: Callable[[], Status], tell: Callable[[str], None]
    ) -> None:
        self._controls = controls
        self._status = status
        self._tell = tell
        self._told: set[str] = set()
        self._commands = Commands(controls, status)
        self._subscribers: dict[_Sender, _Subscriber] = {}
        self._counters = RemoteCounters()

    @property
    def counters(self) -> RemoteCounters:
        """What has arrived since the start."""
        return replace(self._counters, subscribers=len(self._subscribers))

    def receive(self, datagram: bytes, sender: _Sender, now_seconds: float) -> list[bytes]:
        """Act on a datagram and return the answers to its sender. Never raises."""
        try:
            messages = parse(datagram)
        except OscError as error:
            self._count("garbled")
            self._tell_once("garbled", f"OSC: something from {sender[0]} is no OSC: {error}")
            return []
        return [
            build(answer.address, *answer.args)
            for message in messages
            for answer in self._answers(message, sender, now_seconds)
        ]

    def push(self, now_seconds: float) -> list[tuple[bytes, _Sender]]:
        """Return what the subscribers are sent now; forget those whose time is over.

        Never raises.
        """
        try:
            return self._pushed(now_seconds)
        except Exception as error:  # the remote outlives a mistake of ours
            self._tell_once("push", f"OSC: nothing is pushed ({error!r}); please report it")
            return []

    def _pushed(self, now_seconds: float) -> list[tuple[bytes, _Sender]]:
        self._subscribers = {
            sender: one
            for sender, one in self._subscribers.items()
            if one.until_seconds > now_seconds
        }
        if not self._subscribers:
            return []
        status = self._status()
        state: MixState = self._controls.mixer.state
        controls = [Message(at, (value,)) for at, value in self._commands.controls(state).items()]
        if_changed = [*controls, *status_messages(status)]
        always = [build(one.address, *one.args) for one in meter_messages(status)]
        pushed: list[tuple[bytes, _Sender]] = []
        for sender, subscriber in self._subscribers.items():
            news = [one for one in if_changed if subscriber.sent.get(one.address) != one.args]
            subscriber.sent.update((one.address, one.args) for one in news)
            pushed += [(build(one.address, *one.args), sender) for one in news]
            pushed += [(datagram, sender) for datagram in always]
        return pushed

    def _answers(self, message: Message, sender: _Sender, now_seconds: float) -> list[Message]:
        try:
            answers = self._act(message, sender, now_seconds)
        except UnknownAddressError as error:
            self._count("unknown")
            self._tell_once("unknown", f"OSC: {error}")
            return error_message(message.address, error)
        except StemstreamError as error:
            self._count("refused")
            self._tell_once(str(error), f"OSC: {error}")
            return error_message(message.address, error)
        except Exception as error:  # the remote outlives a mistake of ours
            self._count("refused")
            told = StemstreamError(f"this failed ({type(error).__name__}); please report it")
            self._tell_once(repr(error), f"OSC: {message.address}: {error!r}; please report it")
            return error_message(message.address, told)
        self._count("messages")
        return answers

    def _act(self, message: Message, sender: _Sender, now_seconds: float) -> list[Message]:
        if message.address not in ("/subscribe", "/unsubscribe"):
            return self._commands.act(message)
        target = (sender[0], port_number(message.args, sender[1]), *sender[2:])
        if message.address == "/unsubscribe":
            self._subscribers.pop(target, None)
            return []
        known = self._subscribers.get(target)
        if known is None and len(self._subscribers) == MOST_SUBSCRIBERS:
            raise SettingsError(
                f"there are {MOST_SUBSCRIBERS} subscribers already; "
                f"try again when one has been silent for {KEEP_SECONDS:g} s"
            )
        sent = known.sent if known else {}
        self._subscribers[target] = _Subscriber(now_seconds + KEEP_SECONDS, sent)
        return []

    def _count(self, what: str) -> None:
        self._counters = replace(self._counters, **{what: getattr(self._counters, what) + 1})

    def _tell_once(self, kind: str, sentence: str) -> None:
        if kind not in self._told and len(self._told) < _MOST_TOLD:
            self._told.add(kind)
            self._tell(sentence)


class Remote:
    """An OSC server on a thread of its own.

    Args:
        controls: what the messages act on, called from the thread.
        status: gives a look at the run, called from the thread.
        port: UDP port; 0 takes a free one.
        host: address to listen on; the default is heard on this machine alone.
        tell: is given a sentence the first time something is wrong.

    Raises:
        SettingsError: nothing can listen there.
    """

    def __init__(
        self,
        controls: Controls,
        status: Callable[[], Status],
        *,
        port: int,
        host: str = "127.0.0.1",
        tell: Callable[[str], None] = lambda _sentence: None,
    ) -> None:
        self._desk = Desk(controls, status, tell)
        self._socket = _listen(host, port)
        self._stop, self._stopped = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="stemstream-osc", daemon=True)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that it listens on."""
        host, port = self._socket.getsockname()[:2]
        return str(host), int(port)

    @property
    def running(self) -> bool:
        """Whether it listens."""
        return self._thread.is_alive()

    @property
    def counters(self) -> RemoteCounters:
        """What has arrived since the start."""
        return self._desk.counters

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def close(self) -> None:
        """Stop listening; a thread that has not begun never will."""
        self._stop.close()
        # a /quit that leads here is served on the thread itself
        if self._thread.ident is None:
            self._socket.close()
            self._stopped.close()
        elif self._thread is not threading.current_thread():
            self._thread.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()

    def _run(self) -> None:
        push_at = time.monotonic()
        with self._socket, self._stopped, selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_READ)
            selector.register(self._stopped, selectors.EVENT_READ)
            while True:
                ready = selector.select(max(push_at - time.monotonic(), 0))
                if any(key.fileobj is self._stopped for key, _ in ready):
                    return
                if ready:
                    self._receive()
                now = time.monotonic()
                if now >= push_at:
                    push_at = now + PUSH_SECONDS
                    self._push(now)

    def _receive(self) -> None:
        for _ in range(_BURST):
            try:
                datagram, sender = self._socket.recvfrom(_LARGEST_BYTES)
            except OSError:
                return
            for answer in self._desk.receive(datagram, sender, time.monotonic()):
                self._send(answer, sender)
        time.sleep(_PAUSE_SECONDS)

    def _push(self, now_seconds: float) -> None:
        for datagram, subscriber in self._desk.push(now_seconds):
            self._send(datagram, subscriber)

    def _send(self, datagram: bytes, target: _Sender) -> None:
        # who does not listen, or too slowly, misses something: that is UDP
        with contextlib.suppress(OSError):
            self._socket.sendto(datagram, target)


def _listen(host: str, port: int) -> socket.socket:
    if port not in range(65536):
        raise SettingsError(f"osc={port} must be between 0 and 65535; try 9000")
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        listening = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise SettingsError(
            f"osc: there is no address {host} on this machine ({error}); try 127.0.0.1"
        ) from None
    try:
        listening.bind(place)
    except OSError as error:
        listening.close()
        raise SettingsError(
            f"osc={port}: cannot listen on {host} ({error.strerror}); "
            "try another port, or 127.0.0.1"
        ) from None
    listening.setblocking(False)
    return listening
