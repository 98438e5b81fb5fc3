"""Handle OSC datagrams, and make the messages for subscribers: no socket, no clock.

A subscriber gets the controls at once and whenever they change, each change of the status, and the
meters each time. A subscription ends after `KEEP_SECONDS`; subscribing again keeps it. Messages go
only to the machine that subscribed.

No datagram can raise an error or use up memory here. Bad ones are counted, and told once.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final, TypeAlias

from streamer.errors import SettingsError, StemstreamError
from streamer.live.control.commands import (
    Commands,
    UnknownAddressError,
    error_message,
    meter_messages,
    port_number,
    status_messages,
)
from streamer.live.control.controls import Controls
from streamer.live.control.osc import Message, OscError, build, parse
from streamer.live.status import Status

KEEP_SECONDS: Final = 30.0
MOST_SUBSCRIBERS: Final = 16
_MOST_TOLD: Final = 32

Sender: TypeAlias = tuple[Any, ...]
"""Host and port, and two more numbers in IPv6."""


@dataclass(frozen=True, slots=True)
class RemoteCounters:
    """Counts of what arrived: ``messages`` that were understood, and how many were ``refused``.

    ``unknown`` counts unknown addresses, ``garbled`` datagrams that are not OSC.
    """

    messages: int = 0
    refused: int = 0
    unknown: int = 0
    garbled: int = 0
    subscribers: int = 0


@dataclass
class _Subscriber:
    """When its subscription ends, and the last values sent to it, by address."""

    until_seconds: float
    sent: dict[str, tuple[Any, ...]] = field(default_factory=dict)


class OscSubscriptions:
    """The remote without its socket: datagrams in, datagrams out, time as an argument.

    Args:
        controls: the controls that messages change.
        status: returns the status of the run.
        tell: called with a sentence the first time something is wrong.
    """

    def __init__(
        self, controls: Controls, status: Callable[[], Status], tell: Callable[[str], None]
    ) -> None:
        self._status = status
        self._tell = tell
        self._told: set[str] = set()
        self._commands = Commands(controls, status)
        self._subscribers: dict[Sender, _Subscriber] = {}
        self._apart = controls.apart
        self._undone: list[tuple[Message, Sender, Future[list[Message]]]] = []
        self._counters = RemoteCounters()

    @property
    def counters(self) -> RemoteCounters:
        """What has arrived since the start."""
        return replace(self._counters, subscribers=len(self._subscribers))

    def receive(self, datagram: bytes, sender: Sender, now_seconds: float) -> list[bytes]:
        """Obey a datagram and return the answers to its sender. Never raises."""
        try:
            messages = parse(datagram)
        except OscError as error:
            self._count("garbled")
            self._tell_once("garbled", f"OSC: something from {sender[0]} is no OSC: {error}")
            return []
        return [
            build(answer.address, *answer.args)
            for message in messages
            for answer in self._answers(message, partial(self._act, message, sender, now_seconds))
        ]

    def push(self, now_seconds: float) -> list[tuple[bytes, Sender]]:
        """Return the messages for the subscribers now, and late answers; end old subscriptions.

        Never raises.
        """
        try:
            return [*self._answered_late(), *self._pushed(now_seconds)]
        except Exception as error:  # the remote outlives a mistake of ours
            self._tell_once("push", f"OSC: nothing is pushed ({error!r}); please report it")
            return []

    def _pushed(self, now_seconds: float) -> list[tuple[bytes, Sender]]:
        self._subscribers = {
            sender: one
            for sender, one in self._subscribers.items()
            if one.until_seconds > now_seconds
        }
        if not self._subscribers:
            return []
        status = self._status()
        controls = [Message(at, (value,)) for at, value in self._commands.readings().items()]
        if_changed = [*controls, *status_messages(status)]
        always = [build(one.address, *one.args) for one in meter_messages(status)]
        pushed: list[tuple[bytes, Sender]] = []
        for sender, subscriber in self._subscribers.items():
            news = [one for one in if_changed if subscriber.sent.get(one.address) != one.args]
            subscriber.sent.update((one.address, one.args) for one in news)
            pushed += [(build(one.address, *one.args), sender) for one in news]
            pushed += [(datagram, sender) for datagram in always]
        return pushed

    def missed(self, datagram: bytes, sender: Sender) -> None:
        """Tell that a message of `push` was not sent: it is news the next time, too."""
        if subscriber := self._subscribers.get(sender):
            for message in parse(datagram):
                subscriber.sent.pop(message.address, None)

    def _answered_late(self) -> list[tuple[bytes, Sender]]:
        answered: list[tuple[bytes, Sender]] = []
        undone, self._undone = self._undone, []
        for one in undone:
            message, sender, future = one
            if future.done():
                answers = self._answers(message, future.result)
                answered += [(build(answer.address, *answer.args), sender) for answer in answers]
            else:
                self._undone.append(one)
        return answered

    def _answers(self, message: Message, act: Callable[[], list[Message]]) -> list[Message]:
        try:
            answers = act()
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

    def _act(self, message: Message, sender: Sender, now_seconds: float) -> list[Message]:
        if self._apart.takes(message):
            future = self._apart.do_soon(message, lambda: self._commands.act(message))
            if future.done():
                return future.result()
            self._undone.append((message, sender, future))
            return []
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
