"""The delay through a client of JACK, as `jack_iodelay` measures it."""

from __future__ import annotations

import re
import subprocess

import numpy as np
from live.support.servers import Server, wait_until

MOST_READINGS = 100
MEASURED = re.compile(r"^\s*([0-9.]+) frames", re.MULTILINE)


def connect(jack: Server, source: str, target: str) -> None:
    """Connect two ports, given by patterns, once they are there and their clients active."""

    def connected() -> bool:
        ports = (jack.call("jack_lsp") or "").splitlines()
        found = [one for name in (source, target) for one in ports if re.fullmatch(name, one)]
        return len(found) == 2 and jack.call("jack_connect", *found) is not None

    wait_until(connected)


def iodelay(jack: Server, taken: str, played: str, expected: float | None = None) -> float:
    """What jack_iodelay measures from a port that takes in to one that plays, in frames.

    A client that misses a cycle takes a period more for what is on its way. So on a busy machine
    many readings are too long; the ``expected`` one is waited for, `MOST_READINGS` readings long.
    """
    command = ("stdbuf", "-oL", "jack_iodelay")  # it would keep its lines to itself for long
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as meter:
        assert meter.stdout is not None
        try:
            connect(jack, "jack_delay:out", taken)
            connect(jack, played, "jack_delay:in")
            # the first ones are of before its own tones have come back
            measured: list[float] = []
            for line in meter.stdout:
                measured += map(float, MEASURED.findall(line))
                if expected is None:
                    done = len(measured) > 3 and np.ptp(measured[-3:]) < 0.5
                else:
                    near = measured and abs(measured[-1] - expected) < 0.5
                    done = near or len(measured) == MOST_READINGS
                if done:
                    return measured[-1]
        finally:
            meter.kill()
            wait_until(lambda: "jack_delay:" not in (jack.call("jack_lsp") or ""))
    raise AssertionError("jack_iodelay ended")
