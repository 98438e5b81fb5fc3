"""The page's server as browsers meet it: over its port, message by message."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

pytest.importorskip("uvicorn", reason="the page is an extra: pip install 'stemstream[page]'")

from live.support.desk import Switch
from live.support.page import SCHEMA, TIMEOUT_SECONDS, Page, page
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from streamer.errors import SettingsError
from streamer.live.control.page.messages import Error, plain, schema
from streamer.live.control.page.server import PageServer, PageSettings
from streamer.live.mixing.state import Scene
from streamer.live.status import DeviceState


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A page on this machine alone, without tokens."""
    with page(tmp_path_factory.mktemp("scenes")) as one:
        yield one


def test_the_schema_in_the_documents_is_that_of_the_messages() -> None:
    assert json.loads(json.dumps(schema())) == SCHEMA


def test_the_first_message_is_the_whole_state(here: Page) -> None:
    with here.browser() as browser:
        state = browser.state
        assert state["role"] == "desk"
        assert state["stems"] == list(here.band.mixer.stems)
        assert state["values"]["/stem/vocals/gain"] == 0
        assert state["values"]["/listener/drummer/me"] == "drums"
        assert {"/transport/position", *state["values"]} == set(state["writable"])
        assert [link["name"] for link in state["links"]] == ["desk", "drummer", "singer"]
        assert state["status"]["state"] == "running"
        assert browser.until("meters")["outputs"]["PA"][7] == [-6.0, -20.0]
        peaks = browser.until("peaks")
        assert len(peaks["stems"]["bass"]) >= 1


def test_a_link_with_any_token_leaves_nothing_in_a_browser(here: Page) -> None:
    for word in ("A" * 3900, "%E2%82%AC0"):  # as another site may send it
        status, headers, _ = here.get(f"/?token={word}")
        assert status == 200
        assert "set-cookie" not in headers


def test_a_file_name_that_is_not_utf8_can_be_told() -> None:
    told = json.loads(plain(Error(address="/scene/save", sentence="caf\udce9")))
    assert told["sentence"] == "caf\udce9"


def test_a_device_that_goes_is_told_to_every_page(tmp_path: Path) -> None:
    with page(tmp_path) as there, there.browser("/control?mix=singer") as singer:
        assert [one["state"] for one in singer.state["status"]["devices"]] == ["running"]
        (device,) = there.band.devices
        gone = replace(device, state=DeviceState.GONE, trouble="no such device", losses=1)
        there.band.devices = (gone,)
        status = singer.until("status", lambda one: one["devices"][0]["state"] == "gone")
    assert status["devices"] == [asdict(gone)]


def test_what_one_changes_all_see_with_who_it_was(here: Page) -> None:
    with here.browser() as one, here.browser() as other:
        one.set("/stem/vocals/gain", -6)
        assert one.value("/stem/vocals/gain") == (-6.0, one.state["id"])
        assert other.value("/stem/vocals/gain") == (-6.0, one.state["id"])
        here.band.mixer.set_gain("vocals", -3)  # a key, OSC or MIDI
        assert other.value("/stem/vocals/gain") == (-3.0, None)


def test_a_value_that_is_set_comes_back_as_it_holds(here: Page) -> None:
    with here.browser() as browser:
        for sent, holds in ((-500, -90), (0, 0), (0, 0)):
            browser.set("/master/gain", sent)
            assert browser.value("/master/gain") == (holds, browser.state["id"])


def test_scenes_are_saved_renamed_and_recalled_by_name(here: Page) -> None:
    with here.browser() as browser:
        browser.set("/stem/bass/gain", -20)
        browser.send(act="/scene/save", value="loud")
        browser.until("status", lambda one: "loud" in one["scenes"])
        browser.send(act="/scene/rename", value=["loud", "verse"])
        browser.until("status", lambda one: one["scenes"] == ["verse"])
        browser.set("/stem/bass/gain", 0)
        browser.set("/scene/recall", "verse")
        browser.until("values", lambda one: one["values"].get("/stem/bass/gain") == -20)


def test_a_listener_has_that_listeners_values_alone(here: Page) -> None:
    with here.browser("/control?mix=singer") as singer, here.browser() as desk:
        assert singer.state["role"] == "listener"
        assert all(one.startswith("/listener/singer/") for one in singer.state["values"])
        assert set(singer.state["values"]) == set(singer.state["writable"])
        assert singer.state["links"] == singer.state["acts"] == []
        desk.set("/stem/drums/mute", 1)
        singer.set("/listener/singer/more", 6)
        assert desk.value("/listener/singer/more")[0] == 6
        news = singer.until("values")
        assert set(news["values"]) == {"/listener/singer/more"}


def test_when_listeners_come_or_go_the_whole_state_comes_again(tmp_path: Path) -> None:
    with page(tmp_path) as there, there.browser() as browser:
        there.band.mixer.apply(Scene())
        state = browser.until("state")
        assert [link["name"] for link in state["links"]] == ["desk"]
        assert "/listener/singer/gain" not in state["values"]


def test_a_port_that_is_taken_is_told_before_anything_runs(here: Page) -> None:
    with pytest.raises(SettingsError, match=rf"page={here.port} must be a port that no other"):
        PageServer(here.band, here.band.status, PageSettings(here.port))


def test_it_ends_while_browsers_are_there_and_tells_them(tmp_path: Path) -> None:
    with page(tmp_path) as there, there.socket() as socket:
        there.server.close()
        with pytest.raises(ConnectionClosed) as ended:
            read_on(socket)
    assert ended.value.rcvd is not None
    assert ended.value.rcvd.code == 1012


def read_on(socket: ClientConnection) -> None:
    while True:
        socket.recv(TIMEOUT_SECONDS)


def test_a_disk_that_hangs_does_not_keep_the_page_from_ending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, disk = threading.Event(), threading.Event()

    def switch(*_: object) -> None:
        entered.set()
        disk.wait(60)

    monkeypatch.setattr(Switch, "switch", switch)
    with page(tmp_path) as there, there.browser() as browser:
        browser.set("/record", True)
        assert entered.wait(10)
        closing = threading.Thread(target=there.server.close)
        closing.start()
        closing.join(20)
        late = closing.is_alive()
        disk.set()
        closing.join()
    assert not late
