"""Switches the engine to what the ladder says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from streamer.live.overload.ladder import Ladder, Rung, make_rungs
from streamer.live.planning.prepare import Prepared
from streamer.models.separator import Bag
from streamer.pipeline.passes import Plan


class Switched(Protocol):
    """What can be switched: a `streamer.processor.Processor`, or the native engine."""

    def switch(self, plan: Plan, *, idle: bool = False) -> None:
        """Use another plan from the next window on; ``idle``: compute nothing, and give gaps."""


class Degrader:
    """Does less work while the model does not keep up, and more again later.

    All rungs have the delay of the first, and the same stems. Without ``adapt`` it
    stays at the first.
    """

    def __init__(self, prepared: Prepared, processor: Switched) -> None:
        smaller = prepared.smaller
        stand_ins = [(smaller.bag.name, smaller.timing)] if smaller is not None else []
        rungs: Sequence[Rung] = make_rungs(prepared.plan, stand_ins)
        bags: dict[str, Bag] = {prepared.bag.name: prepared.bag}
        if smaller is not None:
            bags[smaller.bag.name] = smaller.bag
        rate = prepared.bag.samplerate
        self._plans = [
            Plan.make(
                bags[rung.model],
                prepared.settings.model_copy(
                    update={
                        "hop": rung.plan.hop_frames / rate,
                        "lookahead": rung.plan.lookahead_frames / rate,
                        "crossfade": rung.plan.crossfade_frames / rate,
                        "shifts": rung.shifts,
                    }
                ),
            )
            for rung in rungs
        ]
        self._adapts = prepared.settings.adapt
        self._processor = processor
        self._ladder = Ladder(rungs)

    @property
    def rung(self) -> Rung:
        """The present rung."""
        return self._ladder.rung

    @property
    def index(self) -> int:
        """Its number, 0 for as planned."""
        return self._ladder.index

    def feed(self, now: float, compute_seconds: float, *, missed: bool) -> str | None:
        """Take the time of a window; return a sentence to tell if a step was taken, else None."""
        if not self._adapts:
            return None
        change = self._ladder.feed(now, compute_seconds, missed)
        if change is None:
            return None
        self._processor.switch(self._plans[change.index], idle=change.rung.dry)
        return change.told
