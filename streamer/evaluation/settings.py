"""What an evaluation is told, beyond the separation that it judges."""

from __future__ import annotations

from collections.abc import Container
from typing import Annotated, ClassVar, Self

from pydantic import BeforeValidator, model_validator

from streamer.checked import MOST_COUNT, harmless
from streamer.sentences import ConflictError
from streamer.settings import StreamSettings


def _list_of_seconds(value: object) -> object:
    """Make a list of "0.1,0.2"."""
    words = value.split(",") if isinstance(value, str) else value
    try:
        seconds = tuple(float(word) for word in words)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        seconds = ()
    if not seconds or not all(0 <= one <= 600 for one in seconds):
        raise ValueError("must be seconds between 0 and 600, with commas between")
    return tuple(dict.fromkeys(seconds))


Grid = Annotated[tuple[float, ...], BeforeValidator(_list_of_seconds)]


class EvalSettings(StreamSettings):
    """What an evaluation is told.

    The defaults of the grid are multiples of one hop: many of its windows are then the same ones,
    which the model separates once.

    Raises:
        SettingsError: a value or a name is wrong; one sentence.
    """

    table: ClassVar[str] = "eval"

    songs: int | None = harmless(
        None,
        panel="What is scored",
        unit="N",
        ge=1,
        le=MOST_COUNT,
        description="score only this many songs, the first ones",
        examples=[10],
    )
    seconds: float | None = harmless(
        None,
        panel="What is scored",
        gt=0,
        le=MOST_COUNT,
        description="score this many seconds from the middle of each song",
        examples=[10],
    )
    bss_eval: bool = harmless(
        True,
        panel="What is scored",
        description="also give SDR, SIR and SAR of BSS Eval v4, which takes its time; --live never "
        "does",
    )
    live: bool = harmless(
        False,
        panel="SDR against delay",
        description="score live windows of several lengths, hops and lookaheads",
    )
    windows: Grid = harmless(
        (2.0, 4.0),
        panel="SDR against delay",
        unit="SECONDS",
        description="with --live: window lengths in seconds",
    )
    hops: Grid = harmless(
        (0.1, 0.2, 0.4),
        panel="SDR against delay",
        unit="SECONDS",
        description="with --live: hops in seconds",
    )
    lookaheads: Grid = harmless(
        (0.0, 0.1, 0.2, 0.4, 1.0),
        panel="SDR against delay",
        unit="SECONDS",
        description="with --live: lookaheads in seconds",
    )

    @model_validator(mode="after")
    def _fit_grid(self) -> Self:
        for name, several in {"hop": "hops", "lookahead": "lookaheads"}.items():
            if self.live and getattr(self, name) is not None:
                raise ConflictError(f"{{live}} tries many, not one {{{name}}}; try {{{several}}}")
        if self.live and not (all(self.windows) and all(self.hops)):
            raise ConflictError("{windows} and {hops} must be over 0; try 0.1")
        return self

    def idle(self, asked: Container[str]) -> str | None:
        """See `Checked.idle`."""
        if self.live:
            called = "bss_eval" in asked and self.bss_eval
            return "{live} never gives {bss_eval}; leave out one of them" if called else None
        for name in ("windows", "hops", "lookaheads"):
            if name in asked:
                return f"{{{name}}} is for the curve of SDR against delay; give {{live}} too"
        return super().idle(asked)
