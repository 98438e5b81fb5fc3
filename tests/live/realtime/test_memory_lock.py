"""Memory is locked where that is granted; in processes of their own, since it is all or nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from streamer.live.realtime import memory_lock

PROGRAM = """
import os, re, resource, sys
from pathlib import Path
from streamer.live.realtime import memory_lock

def locked():
    return 1024 * int(re.search("VmLck:\\\\s+(\\\\d+)", Path("/proc/self/status").read_text())[1])

if "bound" in sys.argv:
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (65536, 65536))
    if os.geteuid() == 0:
        os.setuid(65534)  # root may lock whatever the limit is
granted = memory_lock.is_granted()
before, first, second = locked(), memory_lock.lock(), memory_lock.lock()
room = bytearray(32_000_000)
held = [locked() >= len(room)]
for _ in range(first + second):
    memory_lock.unlock()
    held.append(locked() > 0)
print(granted, before, first, second, *held)
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what is locked")


def run(*arguments: str) -> list[str]:
    command = [sys.executable, "-c", PROGRAM, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.skipif(not memory_lock.is_granted(), reason="this user may not lock memory")
def test_what_is_there_and_what_will_be_is_locked_until_nobody_wants_it():
    assert run() == ["True", "0", "True", "True", "True", "True", "False"]


def test_with_a_small_limit_nothing_is_locked_and_new_memory_is_there():
    assert run("bound") == ["False", "0", "False", "False", "False"]
