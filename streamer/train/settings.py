"""Everything that a training can be told, in one frozen and checked object."""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal

from pydantic import BeforeValidator, Field

from streamer.checked import (
    MOST_COUNT,
    MOST_THREADS,
    Checked,
    Name,
    guarded,
    harmless,
    panel_of,
)


def _several(value: object) -> object:
    """Make a list of one value, and of none."""
    if value is None:
        return ()
    return [value] if isinstance(value, str | Path) else value


def _numbers(value: object) -> object:
    """Make a list of "0.7, 0.3"."""
    return value.split(",") if isinstance(value, str) else value


Share = Annotated[float, Field(ge=0, le=1)]

FREE_TO_CHANGE: Final = frozenset(
    ("bss_every", "cache", "out", "overwrite", "patience", "resume", "torch_num_threads", "workers")
)
"""Settings that may differ when a run goes on: the losses do not depend on them."""


class TrainSettings(Checked):
    """What a training is told; those called a share of the examples are probabilities.

    Raises:
        SettingsError: a value or a name is wrong; one sentence.
    """

    table: ClassVar[str] = "train"

    data: Annotated[tuple[Path, ...], BeforeValidator(_several)] = guarded(
        (),
        panel="Songs",
        unit="FOLDER",
        description="folder of songs with their stems; may be given several times",
        examples=["songs"],
    )
    mixing: Annotated[tuple[Share, ...] | None, BeforeValidator(_numbers)] = harmless(
        None,
        panel="Songs",
        unit="SHARES",
        description="how much of what is heard comes from each --data, with commas; without it "
        "each song has the same chance",
        examples=["0.7,0.3"],
    )
    validation: Path | None = guarded(
        None,
        panel="Songs",
        unit="FOLDER",
        description="folder of songs to judge by; without it some of the first --data are held out",
        examples=["held-out"],
    )
    held_out: float = harmless(
        0.1,
        panel="Songs",
        unit="SHARE",
        ge=0.01,
        le=0.9,
        description="share of the songs of the first --data to judge by",
    )
    cache: Path | None = guarded(
        None,
        panel="Songs",
        unit="FOLDER",
        description="folder for the decoded songs, 0.7 MB a second of music; without it OUT/cache",
    )
    model: Name = guarded(
        "htdemucs_mini", panel="Model", description="model to start from, or checkpoint file"
    )
    repo: Path | None = guarded(
        None,
        panel="Model",
        unit="FOLDER",
        description="folder with models of your own",
        examples=["models"],
    )
    trust_checkpoint: bool = guarded(
        False,
        panel="Model",
        description="load checkpoints that can run code (pickles); only from who you trust",
    )
    from_scratch: bool = harmless(
        False, panel="Training", description="forget what the model has learnt: random weights"
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = harmless(
        "auto", panel="Computing", description="what computes; auto takes the fastest"
    )
    devices: int = harmless(
        1,
        panel="Computing",
        unit="N",
        ge=1,
        le=MOST_THREADS,
        description="how many GPUs (or processes on the CPU)",
    )
    precision: Literal["float32", "bfloat16"] = harmless(
        "float32",
        panel="Computing",
        description="arithmetic of the network; bfloat16 is faster on most GPUs",
    )
    torch_num_threads: int | None = harmless(
        None,
        panel="Computing",
        unit="N",
        ge=1,
        le=MOST_THREADS,
        description="threads that the network may use",
        examples=[2],
    )
    workers: int = harmless(
        1,
        panel="Computing",
        unit="N",
        ge=0,
        le=64,
        description="processes that make examples; 0: between the steps",
    )
    learning_rate: float = harmless(
        3e-4, panel="Training", gt=0, le=1000, description="of AdamW, at its highest"
    )
    weight_decay: float = harmless(0.0, panel="Training", ge=0, le=1, description="of AdamW")
    batch: int = harmless(
        4, panel="Training", unit="N", ge=1, le=4096, description="examples a step and device"
    )
    accumulate: int = harmless(
        1, panel="Training", unit="N", ge=1, le=4096, description="batches added up to one step"
    )
    window: float = harmless(
        10.0, panel="Quality", unit="SECONDS", ge=0.1, le=600, description="seconds of an example"
    )
    epochs: int = harmless(
        50,
        panel="Training",
        unit="N",
        ge=1,
        le=MOST_COUNT,
        description="validations, and what lies between them",
    )
    epoch_steps: int | None = harmless(
        None,
        panel="Training",
        unit="N",
        ge=1,
        le=MOST_COUNT,
        description="steps of an epoch; without it as many as hear all the music once",
        examples=[200],
    )
    warmup: int = harmless(
        100,
        panel="Training",
        unit="STEPS",
        ge=0,
        le=MOST_COUNT,
        description="steps over which the learning rate rises",
    )
    clip_norm: float = harmless(
        1.0,
        panel="Training",
        gt=0,
        le=MOST_COUNT,
        description="norm of the gradient over which it is scaled down",
    )
    ema: float = harmless(
        0.999,
        panel="Training",
        ge=0,
        le=0.99999,
        description="decay of the moving average of the weights; 0: none",
    )
    average: int = harmless(
        0,
        panel="Training",
        unit="EPOCHS",
        ge=0,
        le=100,
        description="at the end, try the mean weights of this many best epochs too; 0: do not",
    )
    patience: int = harmless(
        0,
        panel="Training",
        unit="EPOCHS",
        ge=0,
        le=MOST_COUNT,
        description="stop after this many epochs without a better one; 0: never",
    )
    bss_every: int = harmless(
        10,
        panel="Training",
        unit="EPOCHS",
        ge=0,
        le=MOST_COUNT,
        description="epochs from one measurement of SIR and SAR to the next, which take as long as "
        "the music; 0: none, not of the best at the end either",
    )
    loss: Literal["l1", "sdr"] = harmless(
        "l1",
        panel="Training",
        description="what is made small: L1 on the waveform, or minus the SDR in dB",
    )
    stft_loss: float = harmless(
        0.0,
        panel="Training",
        ge=0,
        le=100,
        description="weight of the spectral loss beside that one",
    )
    teacher: Annotated[tuple[Name, ...], BeforeValidator(_several)] = guarded(
        (),
        panel="Training",
        unit="MODEL",
        description="model whose stems are learnt beside the true ones; of several, each hears "
        "what those before it left",
        examples=["mini_duo"],
    )
    teacher_share: Share = harmless(
        0.5,
        panel="Training",
        unit="SHARE",
        description="how much the teacher's stems count; the true ones are the rest",
    )
    settle: float = harmless(
        0.0,
        panel="Training",
        ge=0,
        le=60,
        description="seconds at the start of each example that do not count: a causal network "
        "has heard nothing yet",
    )
    drop_highest: float = harmless(
        0.0,
        panel="Training",
        unit="SHARE",
        ge=0,
        le=0.5,
        description="share of a batch's stems to leave out, the worst of it",
    )
    seed: int = harmless(
        0, panel="Quality", unit="N", ge=0, le=MOST_COUNT, description="start of the random numbers"
    )
    augment: bool = harmless(True, panel="Augmentation", description="vary the examples")
    remix: Share = harmless(
        0.7,
        panel="Augmentation",
        unit="SHARE",
        description="examples whose stems are of different songs",
    )
    mixup: Share = harmless(
        0.0,
        panel="Augmentation",
        unit="SHARE",
        description="stems to which one of its kind is added",
    )
    pitch: Share = harmless(
        0.2, panel="Augmentation", unit="SHARE", description="shifted by up to 2 semitones"
    )
    tempo: Share = harmless(
        0.2, panel="Augmentation", unit="SHARE", description="played at 0.8 to 1.2 of their tempo"
    )
    equalizer: Share = harmless(
        0.2,
        panel="Augmentation",
        unit="SHARE",
        description="stems with another balance of frequencies",
    )
    reverb: Share = harmless(
        0.1, panel="Augmentation", unit="SHARE", description="stems put in a room"
    )
    gain: Share = harmless(
        0.8,
        panel="Augmentation",
        unit="SHARE",
        description="stems with another level, of 0.25 to 1.25",
    )
    channel_swap: Share = harmless(
        0.5, panel="Augmentation", unit="SHARE", description="stems with left and right exchanged"
    )
    polarity: Share = harmless(
        0.5, panel="Augmentation", unit="SHARE", description="stems turned upside down"
    )
    formants: Share = harmless(
        0.0,
        panel="Augmentation",
        unit="SHARE",
        description="with formants moved by up to 15%: other voices",
    )
    drive: Share = harmless(0.0, panel="Augmentation", unit="SHARE", description="stems overdriven")
    compressor: Share = harmless(
        0.0, panel="Augmentation", unit="SHARE", description="stems with less dynamics"
    )
    doubling: Share = harmless(
        0.0,
        panel="Augmentation",
        unit="SHARE",
        description="stems with a second take, a little later and off",
    )
    width: Share = harmless(
        0.0, panel="Augmentation", unit="SHARE", description="stems made wider or narrower"
    )
    codec: Share = harmless(
        0.0, panel="Augmentation", unit="SHARE", description="stems that were MP3 of 48 to 128 kb/s"
    )
    limiter: Share = harmless(
        0.0, panel="Augmentation", unit="SHARE", description="mixtures with their peaks limited"
    )
    late_start: Share = harmless(
        0.0, panel="Augmentation", unit="SHARE", description="mixtures that begin in silence"
    )
    out: Path = guarded(
        Path("trained"), panel="Files", unit="FOLDER", description="folder to write to"
    )
    overwrite: bool = guarded(False, panel="Files", description="replace what a run left there")
    resume: bool = guarded(False, panel="Files", description="go on where the run there stopped")

    @property
    def cache_folder(self) -> Path:
        """Where the decoded songs are kept."""
        return self.cache or self.out / "cache"

    def idle(self, asked: Container[str]) -> str | None:
        """See `Checked.idle`."""
        if "held_out" in asked and self.validation is not None:
            return "{held_out} holds songs out, and {validation} names others; give one of them"
        if "teacher_share" in asked and not self.teacher:
            return "{teacher_share} is the share of a {teacher}, and none is named; name one"
        for name, field in type(self).model_fields.items():
            varies = panel_of(field) == "Augmentation" and getattr(self, name)
            if name in asked and varies and not self.augment:
                return f"{{{name}}} varies examples, and {{augment}} is off; leave out {{{name}}}"
        return super().idle(asked)
