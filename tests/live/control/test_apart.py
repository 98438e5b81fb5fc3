"""What waits for a disk: in its turn, and whoever asked may be gone."""

from __future__ import annotations

import threading
import time

import pytest

from streamer.errors import SinkError
from streamer.live.control.apart import Apart
from streamer.live.control.osc import Message


def test_what_is_asked_and_what_needs_no_disk_stays_where_it_is() -> None:
    apart = Apart()
    for address, args in (("/record", ()), ("/scene/list", ()), ("/dry", (1,))):
        assert not apart.takes(Message(address, args))
    for address, args in (
        ("/record", (1,)),
        ("/scene", ("a",)),
        ("/scene/recall", ("a",)),
        ("/scene/save", ("a",)),
        ("/scene/rename", ("a", "b")),
    ):
        assert apart.takes(Message(address, args))


def test_a_scene_that_is_recalled_waits_for_the_one_that_is_saved_and_for_no_take() -> None:
    apart, disk, done = Apart(), threading.Event(), []

    def act(name: str) -> list[Message]:
        disk.wait(10)
        done.append(name)
        return []

    take, save, recall = (
        Message("/record", (1,)),
        Message("/scene/save", "a"),
        Message("/scene", "b"),
    )
    apart.do(take, lambda: act("take"))
    apart.do(save, lambda: act("save"))
    assert apart.look(lambda: act("look")) is None, "the next time"
    last = apart.do(recall, lambda: act("recall"))
    assert not last.cancel()  # as where a page has gone
    disk.set()
    last.result(10)
    assert [name for name in done if name != "take"] == ["save", "recall"]
    looked = apart.look(lambda: 3)
    assert looked is not None
    assert looked.result(10) == 3
    apart.close()


def test_a_scene_that_waited_for_a_disk_for_too_long_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("streamer.live.control.apart.STALE_SECONDS", 0.05)
    apart, disk = Apart(), threading.Event()
    apart.look(lambda: disk.wait(10))
    late = apart.do(
        Message("/scene/recall", ("a",)), lambda: pytest.fail("in the middle of a song")
    )
    time.sleep(0.1)
    disk.set()
    with pytest.raises(SinkError, match="did not answer for too long; try again"):
        late.result(10)
    apart.close()


def test_the_end_waits_for_what_is_being_saved_and_leaves_no_thread() -> None:
    before = threading.active_count()
    apart, done = Apart(), []
    apart.look(lambda: time.sleep(0.1))
    apart.do(Message("/scene/save", ("a",)), lambda: time.sleep(0.1) or done.append("a") or [])
    apart.do(Message("/record", (1,)), list).result(10)
    apart.close()
    assert done == ["a"]
    until = time.monotonic() + 10
    while threading.active_count() > before:
        assert time.monotonic() < until
        time.sleep(0.001)
