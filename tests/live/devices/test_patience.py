"""A call that does not return is given up, and cleans up after itself when it returns after all."""

from __future__ import annotations

import threading

import pytest

from streamer.live.devices.patience import NoAnswerError, in_time

SOON, LONG = 0.05, 10.0


@pytest.mark.parametrize("fails", [False, True])
def test_who_was_given_up_gives_back_what_nobody_takes(fails):
    answers, given_back = threading.Event(), threading.Event()

    def call():
        answers.wait(LONG)
        if fails:
            raise ValueError

    with pytest.raises(NoAnswerError, match="does not answer; restart it"):
        in_time(call, "test", SOON, late=given_back.set)
    assert not given_back.is_set()
    answers.set()
    assert given_back.wait(LONG)


def test_what_is_taken_is_not_given_back():
    given_back = threading.Event()
    assert in_time(lambda: 5, "test", LONG, late=given_back.set) == 5
    with pytest.raises(ZeroDivisionError):
        in_time(lambda: 1 / 0, "test", LONG, late=given_back.set)
    assert not given_back.is_set()
