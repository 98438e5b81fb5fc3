"""The facts about each model that need no weights.

The bags (which networks, which weights, which window) are read from the files inside the installed
demucs package, so they always agree with it.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final, Literal

from streamer.errors import ModelError
from streamer.models.weights.bags import BagFile, read_bag

Origin = Literal["hub", "embedded", "made", "none"]

FOUR_STEMS = ("drums", "bass", "other", "vocals")
SIX_STEMS = (*FOUR_STEMS, "guitar", "piano")

DEMUCS_LICENCE = (
    "code MIT; the author of Demucs has said that the published weights are for research use"
)
EMBEDDED_SHA256: Final[Mapping[str, str]] = {
    "htdemucs_mini": "db583e8e453bb5b625ad843df95d353496e1badb249eed5dce8cd9c66d136a0d",
    "mini_vocals": "e121a14cff362f0863e632957e20e96945dc6f510cfbbb96a2fe57edac38ca97",
    "rt_mini": "272b7e6a9cc4307194dd984fea158e53bd88194b28809035829163b6dc23403c",
    "rt_mini_fast": "0c34dc427d54c15a229a158a91152e2d269e3fcf11aff1dbfb53c1f7894273d4",
}
"""The digests of the networks' files that come with this package."""
MINI_LICENCE = "trained partly on MUSDB18, which is for education and non-commercial research"


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """The facts about a model.

    ``origin`` says where its weights come from: ``hub`` (fetched once), ``embedded`` (in this
    package), ``made`` (at load, from those of ``made_from``) or ``none`` (it has no weights).
    ``bag`` has the signatures of its networks. ``published_bytes`` is the approximate size of the
    download (None: not known). ``requires`` names further packages. A ``streaming`` model remembers
    the stream (`streamer.models.separator.Stride`).
    """

    name: str
    stems: tuple[str, ...]
    origin: Origin
    summary: str
    licence: str
    bag: BagFile
    published_bytes: int | None = None
    made_from: str | None = None
    requires: tuple[str, ...] = ()
    streaming: bool = False

    @property
    def networks(self) -> tuple[str, ...]:
        """The signatures of its networks; their weights are files of that name."""
        return self.bag.networks

    @property
    def weights(self) -> tuple[tuple[float, ...], ...] | None:
        """The bag's weights ``[network][source]``; None: all ones."""
        return self.bag.weights

    @property
    def window_seconds(self) -> float | None:
        """The seconds of audio that the bag wants its networks to see; None: their own."""
        return self.bag.window_seconds


def names() -> tuple[str, ...]:
    """Return the names of all models."""
    return tuple(_models())


def info(name: str) -> ModelInfo:
    """Return the facts about a model.

    Raises:
        ModelError: there is no model of that name.
    """
    try:
        return _models()[name]
    except KeyError:
        raise unknown_model(name) from None


def holder_of(signature: str) -> ModelInfo | None:
    """Return the first model of the hub that contains the network with this signature."""
    for model in _models().values():
        if model.origin == "hub" and signature in model.networks:
            return model
    return None


def unknown_model(name: str) -> ModelError:
    """Return the error for an unknown name."""
    known = names()
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]}? There are" if close else "there are"
    return ModelError(
        f"no model is named {name!r}; {hint} {', '.join(known)}, or give a .safetensors file"
    )


@cache
def _models() -> dict[str, ModelInfo]:
    return {model.name: model for model in (*_hub_models(), *_own_models())}


# The sizes come from a public half-precision copy of the same networks, rounded; None if we could
# not find the number.
def _hub_models() -> tuple[ModelInfo, ...]:
    return (
        _published("htdemucs", "Hybrid Transformer Demucs, the default of Demucs", 84_000_000),
        _published("htdemucs_ft", "htdemucs, one network fine-tuned for each stem", 336_000_000),
        _published(
            "htdemucs_6s", "htdemucs with guitar and piano too", 55_000_000, stems=SIX_STEMS
        ),
        _published("hdemucs_mmi", "Hybrid Demucs v3, retrained on more songs", 167_000_000),
        _published("mdx", "four networks, trained on MUSDB18-HQ only", 691_000_000),
        _published("mdx_extra", "four networks, trained on more songs"),
        _published("mdx_q", "mdx, quantized to a smaller download", requires=("diffq",)),
        _published(
            "mdx_extra_q", "mdx_extra, quantized to a smaller download", requires=("diffq",)
        ),
    )


def _published(
    name: str,
    summary: str,
    published_bytes: int | None = None,
    *,
    stems: tuple[str, ...] = FOUR_STEMS,
    requires: tuple[str, ...] = (),
) -> ModelInfo:
    bag = read_bag(resources.files("demucs") / "remote" / f"{name}.yaml")
    return ModelInfo(
        name, stems, "hub", summary, DEMUCS_LICENCE, bag, published_bytes, requires=requires
    )


def _live_models() -> tuple[ModelInfo, ...]:
    return (
        ModelInfo(
            "rt_mini",
            FOUR_STEMS,
            "embedded",
            "a small causal network for live stems, 23 ms behind, that comes with this package",
            MINI_LICENCE,
            BagFile(("rt_mini",)),
            4_422_392,
            streaming=True,
        ),
        ModelInfo(
            "rt_mini_fast",
            FOUR_STEMS,
            "embedded",
            "as rt_mini, 4 ms behind, and a little less good",
            MINI_LICENCE,
            BagFile(("rt_mini_fast",)),
            4_422_384,
            streaming=True,
        ),
    )


def _own_models() -> tuple[ModelInfo, ...]:
    htdemucs = read_bag(resources.files("demucs") / "remote" / "htdemucs.yaml")
    return (
        ModelInfo(
            "htdemucs_quantized",
            FOUR_STEMS,
            "made",
            "htdemucs, in bfloat16 where that is faster (measured: -47 to -49 dB)",
            DEMUCS_LICENCE,
            htdemucs,
            84_000_000,
            made_from="htdemucs",
        ),
        ModelInfo(
            "htdemucs_mini",
            FOUR_STEMS,
            "embedded",
            "a small Hybrid Transformer Demucs (1.9 M parameters) that comes with this package",
            MINI_LICENCE,
            BagFile(("htdemucs_mini",)),
            3_818_936,
        ),
        ModelInfo(
            "mini_duo",
            FOUR_STEMS,
            "embedded",
            "mini_vocals, then htdemucs_mini on what it leaves: better vocals",
            MINI_LICENCE,
            BagFile(("htdemucs_mini",), first="mini_vocals"),
            12_006_230,
        ),
        ModelInfo(
            "mini_vocals",
            ("vocals", "accompaniment"),
            "embedded",
            "vocals and the rest, by the vocals' network of Spleeter, made smaller",
            "MIT",
            BagFile(("mini_vocals",)),
            8_187_294,
        ),
        *_live_models(),
        ModelInfo(
            "passthrough",
            FOUR_STEMS,
            "none",
            "every stem is the mix: to try cabling, routing and latency",
            "MIT",
            BagFile(("passthrough",)),
        ),
    )
