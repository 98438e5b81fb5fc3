"""The page's name on the network, as whoever looks for services finds it: on loopback alone."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue

import pytest

pytest.importorskip("uvicorn", reason="the page is an extra: pip install 'stemstream[page]'")

from live.support.page import TIMEOUT_SECONDS, Band, Page
from zeroconf import ServiceBrowser, ServiceInfo, ServiceStateChange, Zeroconf

from streamer.live.control.page.announce import SERVICE, announced_name
from streamer.live.control.page.server import PageServer, PageSettings

LOOPBACK, GROUP = "127.0.0.1", "224.0.0.251"
ADDED, REMOVED = ServiceStateChange.Added, ServiceStateChange.Removed


class Looking:
    """Somebody who looks for services on loopback, and hears which come and go."""

    def __init__(self, zeroconf: Zeroconf) -> None:
        self._zeroconf = zeroconf
        self._heard: SimpleQueue[tuple[ServiceStateChange, str]] = SimpleQueue()
        ServiceBrowser(zeroconf, SERVICE, handlers=[self._hear])

    def _hear(
        self, zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange
    ) -> None:
        self._heard.put((state_change, name))

    def next(self, wanted: ServiceStateChange) -> str:
        """Return the name of the next service that comes, or goes."""
        while True:
            change, name = self._heard.get(timeout=TIMEOUT_SECONDS)
            if change is wanted:
                return name

    def info(self, name: str) -> ServiceInfo:
        """Return what is announced of a service."""
        info = self._zeroconf.get_service_info(SERVICE, name)
        assert info is not None
        return info


@pytest.fixture
def looking() -> Iterator[Looking]:
    if not multicast_works():
        pytest.skip("this machine has no multicast on loopback")
    zeroconf = Zeroconf(interfaces=[LOOPBACK])
    yield Looking(zeroconf)
    zeroconf.close()


def multicast_works() -> bool:
    """Whether what is sent to the group on loopback comes back."""
    here = socket.inet_aton(LOOPBACK)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        try:
            one.setsockopt(
                socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(GROUP) + here
            )
            one.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, here)
            one.bind(("", 0))
            one.settimeout(1)
            one.sendto(b"?", (GROUP, one.getsockname()[1]))
            return one.recv(1) == b"?"
        except OSError:
            return False


@contextmanager
def announced(folder: Path, token: str | None = None) -> Iterator[tuple[Page, str]]:
    """A page that is announced, and the sentence that tells it."""
    band, told = Band(folder), SimpleQueue[str]()
    settings = PageSettings(0, token=token, announce=True)
    with PageServer(band, band.status, settings, told.put) as server:
        yield Page(band, server), told.get(timeout=TIMEOUT_SECONDS)
    assert told.empty()


def test_the_page_is_announced_without_its_token_and_says_goodbye(
    looking: Looking, tmp_path: Path
) -> None:
    with announced(tmp_path, token="our-rehearsal-room") as (there, told):
        name = looking.next(ADDED)
        info = looking.info(name)
        assert name == f"{announced_name().removesuffix('.local')}.{SERVICE}"
        assert (info.port, info.parsed_addresses()) == (there.port, [LOOPBACK])
        assert info.properties == {b"path": b"/"}
        assert told == f"the page is announced as http://{announced_name()}:{there.port}"
        # that name is let in, and still needs the token
        assert there.get("/", {"Host": f"{announced_name()}:{there.port}"})[0] == 401
    assert looking.next(REMOVED) == name


def test_a_second_run_takes_another_name_and_is_reached_by_it(
    looking: Looking, tmp_path: Path
) -> None:
    with announced(tmp_path / "one") as (one, _):
        first = looking.next(ADDED)
        with announced(tmp_path / "two") as (two, told):
            second = looking.next(ADDED)
            assert [looking.info(name).port for name in (first, second)] == [one.port, two.port]
            host = looking.info(second).server
            assert host not in (None, looking.info(first).server)
            place = f"{str(host).removesuffix('.')}:{two.port}"
            assert told == f"the page is announced as http://{place}"
            assert two.get("/", {"Host": place, "Origin": f"http://{place}"})[0] == 200
        assert looking.next(REMOVED) == second
        assert one.get("/", {"Host": f"{announced_name()}:{one.port}"})[0] == 200
    assert looking.next(REMOVED) == first


@pytest.mark.parametrize(
    ("machine", "name"),
    [
        ("Band-PC.home.arpa", "stemstream-band-pc.local"),
        ("José's laptop", "stemstream-jos-s-laptop.local"),
        ("???", "stemstream.local"),
        ("x" * 64, f"stemstream-{'x' * 49}.local"),
    ],
)
def test_a_name_that_dns_does_not_take_is_made_fit(machine: str, name: str) -> None:
    assert announced_name(machine) == name
    assert len(name.removesuffix(".local")) <= 60
