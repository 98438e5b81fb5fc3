"""OSC messages from datagrams and back, and address patterns, safe against any bytes.

python-osc reads and writes the messages. This module makes sure that foreign bytes never cost more
than their length: no deep recursion, no regular expression made from them, no log. Bundles are
taken apart and obeyed at once, whatever their time tag says.

Source: the OSC 1.0 specification, https://opensoundcontrol.stanford.edu/spec-1_0.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from pythonosc.osc_message import OscMessage, ParseError
from pythonosc.osc_message_builder import OscMessageBuilder

from streamer.naming import MOST_NAME_BYTES

_BUNDLE: Final = b"#bundle\0"
_BUNDLE_HEAD_BYTES: Final = 16  # "#bundle", NUL, time tag
_DEEPEST: Final = 8
LONGEST_ADDRESS: Final = 2 * MOST_NAME_BYTES + 64
"""In bytes: room for a listener and a stem, and what stands around them."""
_MOST_ARGUMENTS: Final = 64
_KNOWN_TYPES: Final = frozenset(b",ihfdsbrmtTFN[]")


class OscError(ValueError):
    """A datagram is not OSC."""


@dataclass(frozen=True, slots=True)
class Message:
    """An address and its arguments."""

    address: str
    args: tuple[Any, ...]


def parse(datagram: bytes) -> list[Message]:
    """Return the messages of a datagram: one, or all of a bundle.

    Raises:
        OscError: it is not OSC.
    """
    return list(_messages(datagram, 0))


def build(address: str, *args: str | float) -> bytes:
    """Return a message with these arguments as a datagram: int32 or int64, float32, string."""
    # a file name may have bytes that are not UTF-8
    sent = [
        one.encode("utf-8", "replace").decode() if isinstance(one, str) else one for one in args
    ]
    builder = OscMessageBuilder(address)
    for one in sent:
        # older versions of python-osc take 2 ** 31 for an int32
        long = isinstance(one, int) and not -(2**31) <= one < 2**31
        builder.add_arg(one, builder.ARG_TYPE_INT64 if long else None)
    return bytes(builder.build().dgram)


def is_pattern(address: str) -> bool:
    """Return whether an address is a pattern that can match several."""
    return any(sign in address for sign in "*?[{")


def matches(pattern: str, address: str) -> bool:
    """Return whether an address pattern matches this address.

    ``*`` matches any characters, ``?`` one, ``[a-c]`` and ``[!a-c]`` one of a set, ``{a,b}`` one of
    some words. Only words can match a slash.
    """
    # all places in the address where the pattern read so far can end: no backtracking
    ends = {0}
    for sign, words in _tokens(pattern):
        ends = {end for start in ends for end in _steps(sign, words, address, start)}
    return len(address) in ends


def _messages(packet: bytes, depth: int) -> Iterator[Message]:
    if not packet.startswith(_BUNDLE):
        yield _message(packet)
        return
    if depth == _DEEPEST or len(packet) < _BUNDLE_HEAD_BYTES:
        raise OscError("a bundle is cut off or nested too deeply")
    at = _BUNDLE_HEAD_BYTES
    while at < len(packet):
        size = int.from_bytes(packet[at : at + 4], "big")
        at += 4
        if not 0 < size <= len(packet) - at:
            raise OscError("a bundle is cut off")
        yield from _messages(packet[at : at + size], depth + 1)
        at += size


def _message(packet: bytes) -> Message:
    if not packet.startswith(b"/"):
        raise OscError("an address must start with a slash")
    # python-osc logs a warning for each unknown type, and reads on at a wrong place
    types_at = (packet.find(b"\0") // 4 + 1) * 4
    types = packet[types_at:].split(b"\0", 1)[0]
    if not _KNOWN_TYPES.issuperset(types):
        raise OscError("an argument has an unknown type")
    if packet.find(b"\0") > LONGEST_ADDRESS or len(types) > _MOST_ARGUMENTS:
        raise OscError("a message is too long")
    try:
        message = OscMessage(packet)
    except (ParseError, ValueError, LookupError, OverflowError):
        raise OscError("a message is cut off or garbled") from None
    return Message(message.address, tuple(message.params))


def _tokens(pattern: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Split a pattern into signs; sets and words come with their content."""
    closing = {"[": "]", "{": "}"}
    at = 0
    while at < len(pattern):
        sign = pattern[at]
        end = pattern.find(closing[sign], at) if sign in closing else -1
        if end < 0:
            if sign == "*":  # several in a row mean the same as one
                at += len(pattern[at:]) - len(pattern[at:].lstrip("*")) - 1
            yield sign if sign in "*?" else "", (sign,)
            at += 1
            continue
        inside = pattern[at + 1 : end]
        yield sign, tuple(inside.split(",")) if sign == "{" else (inside,)
        at = end + 1


def _steps(sign: str, words: tuple[str, ...], address: str, start: int) -> Iterator[int]:
    if sign == "*":
        slash = address.find("/", start)
        yield from range(start, (len(address) if slash < 0 else slash) + 1)
    elif sign in ("", "{"):
        yield from (start + len(word) for word in words if address.startswith(word, start))
    elif address[start : start + 1] not in ("", "/") and (
        sign == "?" or _in_set(words[0], address[start])
    ):
        yield start + 1


def _in_set(content: str, character: str) -> bool:
    negated = content.startswith("!")
    content = content[negated:]
    found = False
    at = 0
    while at < len(content):
        if content[at + 1 : at + 2] == "-" and at + 2 < len(content):
            found |= content[at] <= character <= content[at + 2]
            at += 3
        else:
            found |= content[at] == character
            at += 1
    return found != negated
