"""What a run looks like from the page, and what a page may do to it: no socket, no clock.

The meaning of an address lies in `streamer.live.control.commands`, as for every remote. Here lies
which addresses a role sees and changes, and what has changed since the last look. What is not
listed here cannot be done from the page: ending the run, and whatever takes a path.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from streamer.errors import SettingsError
from streamer.live.control.commands import Commands, dbfs
from streamer.live.control.controls import Controls
from streamer.live.control.osc import Message
from streamer.live.control.page import messages
from streamer.live.control.page.messages import Act, Link, Meters, Peaks, Set, State
from streamer.live.control.page.roles import Role
from streamer.live.control.values import Reading
from streamer.live.mixing.levels import printable
from streamer.live.status import WAVE_RATE, DeviceStatus, Status, Waves

ACTS: Final = ("/scene/save", "/scene/rename", "/midi/learn")
"""What the desk may do that is no value."""
CLOCK: Final = "/transport/position"
"""It moves by itself: the status tells it, and no news does."""


class ForbiddenError(SettingsError):
    """The address is not for this role, or not there at all."""


@dataclass(frozen=True)
class News:
    """What has changed since the last look. ``by`` is the page that set a value, by address."""

    values: Mapping[str, Reading]
    by: Mapping[str, int]
    status: Status | None
    """The run's status, where there is another one: with its meters."""


class RunView:
    """A run as pages see it.

    Args:
        controls: what messages change.
        status: gives a look at the run.
    """

    def __init__(self, controls: Controls, status: Callable[[], Status]) -> None:
        self._controls, self._status = controls, status
        self._commands, self._apart = Commands(controls, status), controls.apart
        self._values = self._readings()
        self._set: dict[str, tuple[int, Reading]] = {}
        self._seen: Status | None = None

    @property
    def listeners(self) -> tuple[str, ...]:
        """The names of those who have a mix of their own, in the scene's order."""
        return tuple(self._controls.mixer.state.listeners)

    def knows(self, role: Role) -> bool:
        """Return whether there is such a page."""
        return role.kind != "listener" or role.listener in self.listeners

    def state(self, role: Role, client: int, links: Iterable[Link] = ()) -> State:
        """Return everything that a role sees, as of the last look."""
        values = self.seen_by(role, self._values)
        writable = [one for one in self._writable() if _may_set(role, one)]
        return State(
            id=client,
            role=role.kind,
            listener=role.listener or None,
            stems=tuple(self._controls.mixer.stems),
            values=dict(values),
            writable=tuple(writable),
            acts=ACTS if role.kind == "desk" else (),
            links=tuple(links),
            status=self.status(),
        )

    def seen_by(self, role: Role, values: Mapping[str, Reading]) -> Mapping[str, Reading]:
        """Return which of some values a role sees."""
        if role.kind != "listener":
            return values
        return {one: value for one, value in values.items() if _belongs_to(role, one)}

    async def obey(self, role: Role, message: Set | Act, client: int) -> None:
        """Do what a client says; what may wait for a disk holds up nobody else.

        Raises:
            ForbiddenError: its role may not do that, or there is no such address.
            StemstreamError: it cannot be done; nothing has changed.
        """
        if isinstance(message, Act):
            if role.kind != "desk" or message.act not in ACTS:
                raise _forbidden(role, message.act)
            await self._act(Message(message.act, message.arguments))
            return
        if message.set not in self._writable() or not _may_set(role, message.set):
            raise _forbidden(role, message.set)
        await self._act(Message(message.set, (message.value,)))
        if message.set != CLOCK:
            [now] = self._commands.act(Message(message.set, ()))
            self._set[message.set] = client, now.args[0]

    async def _act(self, message: Message) -> None:
        if self._apart.takes(message):
            # not asyncio's own threads, for which the end of its loop waits
            await asyncio.wrap_future(self._apart.do(message, lambda: self._commands.act(message)))
        else:
            self._commands.act(message)

    def look(self) -> News:
        """Return what has changed since the last call."""
        status = self._status()
        set_now, self._set = self._set, {}
        before, self._values = self._values, self._readings()
        # what a page set is told though it did not change: another may have set it back meanwhile,
        # and that page shows it already
        changed = {
            address: value
            for address, value in self._values.items()
            if before.get(address) != value or address in set_now
        }
        fresh = status if status is not self._seen else None
        self._seen = status
        by = {one: who for one, (who, value) in set_now.items() if changed.get(one) == value}
        return News(changed, by, fresh)

    def status(self) -> messages.Status:
        """Return how the run is now, but for its meters."""
        status = self._status()
        return messages.Status(
            state=status.state.value,
            reason=status.reason.value,
            detail=status.detail,
            model=status.model,
            samplerate=status.samplerate,
            delay_seconds=status.delay_seconds,
            load=status.load,
            dry_share=status.dry_share,
            xruns=status.xruns,
            dropped_frames=status.dropped_frames,
            deadline_misses=status.deadline_misses,
            device_losses=status.device_losses,
            devices=tuple(map(_device, status.devices)),
            clips={port: tuple(counts) for port, counts in status.clips.items()},
            song_seconds=status.song_seconds,
            song_length_seconds=status.song_length_seconds,
            scenes=tuple(self._controls.scenes.names),
            recording=status.recording,
            recording_seconds=status.recording_seconds if status.recording_on else None,
            recording_left_seconds=status.recording_left_seconds,
        )

    def _readings(self) -> dict[str, Reading]:
        readings = self._commands.readings()
        readings.pop(CLOCK, None)
        return readings

    def _writable(self) -> list[str]:
        clock = [] if self._controls.transport is None else [CLOCK]
        return [*self._values, *clock]


def meters_message(status: Status) -> Meters:
    """Return the meters of a status as pages get them."""
    return Meters(
        stems={stem: _rounded(dbfs(meter)) for stem, meter in status.stems.items()},
        outputs={
            port: tuple(_rounded(dbfs(meter)) for meter in meters)
            for port, meters in status.outputs.items()
        },
    )


def peaks_message(waves: Waves) -> Peaks:
    """Return peaks as pages get them."""
    stems = {stem: tuple(round(peak, 3) for peak in peaks) for stem, peaks in waves.peaks.items()}
    return Peaks(start=waves.first, rate=WAVE_RATE, stems=stems)


def _device(one: DeviceStatus) -> messages.Device:
    return messages.Device(
        name=one.name,
        hostapi=one.hostapi,
        input_channels=one.input_channels,
        output_channels=one.output_channels,
        state=one.state.value,
        trouble=one.trouble,
        losses=one.losses,
    )


def _rounded(levels: tuple[float, float]) -> tuple[float, float]:
    # a tenth of a dB is less than a pixel, and half of the bytes
    return round(levels[0], 1), round(levels[1], 1)


def _belongs_to(role: Role, address: str) -> bool:
    return address.startswith(f"/listener/{role.listener}/")


def _may_set(role: Role, address: str) -> bool:
    return role.kind == "desk" or (role.kind == "listener" and _belongs_to(role, address))


def _forbidden(role: Role, address: str) -> ForbiddenError:
    whose = f"the page of {role.listener}" if role.kind == "listener" else f"a {role.kind}'s page"
    return ForbiddenError(
        f"{whose} has no {printable(address)}; try one of the addresses in its state"
    )
