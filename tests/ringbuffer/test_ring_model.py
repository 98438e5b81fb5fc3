"""Any sequence of calls on a `Ring` does what it does to a deque of frames."""

from collections import deque

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ringbuffer import Ring

LENGTHS = st.integers(0, 40)


class RingAgainstDeque(RuleBasedStateMachine):
    @initialize(
        capacity=st.integers(1, 33),
        channels=st.integers(1, 8),
        start=st.sampled_from([0, 1, 2**32 - 7, 2**62]),
    )
    def make(self, capacity, channels, start):
        self.ring = Ring(capacity, channels)
        self.ring.reset(start)
        self.frames = deque()
        self.start = start
        self.next_value = 0

    @property
    def end(self):
        return self.start + len(self.frames)

    def block(self, frames):
        values = np.arange(self.next_value, self.next_value + frames * self.ring.channels)
        self.next_value += values.size
        return (values % 2**24).astype(np.float32).reshape(frames, self.ring.channels)

    def check(self, out, count, expected):
        assert count == len(expected)
        assert [tuple(frame) for frame in out[:count]] == expected
        assert np.isnan(out[count:]).all()

    def empty(self, frames):
        return np.full((frames, self.ring.channels), np.nan, np.float32)

    @rule(frames=LENGTHS)
    def write(self, frames):
        samples = self.block(frames)
        fits = min(frames, self.ring.capacity_frames - len(self.frames))
        assert self.ring.write(samples) == fits
        self.frames.extend(tuple(frame) for frame in samples[:fits])

    @rule(frames=LENGTHS)
    def read(self, frames):
        out = self.empty(frames)
        count = self.ring.read(out)
        taken = [self.frames.popleft() for _ in range(min(frames, len(self.frames)))]
        self.start += len(taken)
        self.check(out, count, taken)

    @rule(ahead=LENGTHS, frames=LENGTHS)
    def peek(self, ahead, frames):
        out = self.empty(frames)
        count = self.ring.peek(self.start + ahead, out)
        self.check(out, count, list(self.frames)[ahead : ahead + frames])

    @rule(behind=st.integers(1, 40), frames=LENGTHS)
    def peek_at_released(self, behind, frames):
        with pytest.raises(ValueError, match="not yet released"):
            self.ring.peek(self.start - behind, self.empty(frames))

    @rule(ahead=st.integers(-40, 40))
    def release(self, ahead):
        self.ring.release(self.start + ahead)
        for _ in range(min(max(ahead, 0), len(self.frames))):
            self.frames.popleft()
            self.start += 1

    @rule(start=st.integers(0, 2**62))
    def reset(self, start):
        self.ring.reset(start)
        self.frames.clear()
        self.start = start

    @invariant()
    def counts_agree(self):
        ring = self.ring
        assert (ring.start_frame, ring.end_frame) == (self.start, self.end)
        assert ring.readable_frames == len(self.frames)
        assert ring.writable_frames == ring.capacity_frames - len(self.frames)


RingAgainstDeque.TestCase.settings = settings(
    max_examples=300, stateful_step_count=40, deadline=None
)
TestRingAgainstDeque = RingAgainstDeque.TestCase
