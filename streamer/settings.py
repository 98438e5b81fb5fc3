"""All settings of a separation, in one frozen and checked object.

The fields of `Settings` are the only place that knows the names, ranges, defaults and help of the
options. The command line, the error messages and the tables are made from them. `streamer.resolve`
gathers their values.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, TypeAlias

from pydantic import AfterValidator, BeforeValidator, ValidationInfo, model_validator

from streamer.checked import (
    MOST_COUNT,
    MOST_THREADS,
    Checked,
    Name,
    StemNames,
    StreamNumber,
    guarded,
    harmless,
    not_empty,
)
from streamer.naming import FIELDS, FILENAME, check_template, is_address
from streamer.presets import Preset, in_capitals, preset_values
from streamer.sentences import ConflictError

ResamplingEngine: TypeAlias = Literal["soxr", "torchaudio"]
Library: TypeAlias = Literal["torch", "openvino", "native"]
SampleFormat: TypeAlias = Literal["int16", "int24", "float32"]
Precision: TypeAlias = Literal["float32", "bfloat16", "float16"]
ProjectKind: TypeAlias = Literal["reaper"]

HOP_SECONDS: Final = 0.25
LOOKAHEAD_SECONDS: Final = 0.1
CROSSFADE_SECONDS: Final = 0.05
"""The defaults of live windows. The crossfade is never longer than hop and lookahead."""

MOST_BATCH: Final = 256


def _folder(value: object) -> object:
    """Keep a folder named "-", written "./-", apart from standard output."""
    if isinstance(value, str) and is_address(value):
        raise ValueError("must be a folder of this machine; batch alone writes to a store")
    is_folder = isinstance(value, str) and value != "-" and Path(value) == Path("-")
    return Path.cwd() / "-" if is_folder else value


def _filename(template: str, info: ValidationInfo) -> str:
    if template != FILENAME:
        check_template(template, one_file=info.data.get("format") == "stem.mp4")
    return template


# Settings that exclude each other, and the way out
_CONFLICTS: Final[Mapping[tuple[str, str], str]] = {
    ("two_stems", "stems"): "{two_stems} and {stems} name different outputs; give one of them",
    ("two_stems", "residual"): (
        "{two_stems} leaves no residual to write; try {stems} and {residual}"
    ),
    ("two_stems", "conserve"): (
        "{two_stems} writes no stem other for {conserve}; try {other_method}=minus, which loses "
        "nothing"
    ),
    ("residual", "conserve"): "{residual} writes what {conserve} gives to other; give one of them",
    ("overwrite", "resume"): "{overwrite} replaces what {resume} keeps; give one of them",
}


class StreamSettings(Checked):
    """The settings of any separation, of a file or live: the model, its windows, the stems.

    A preset fills in the values that are not given.
    """

    preset: Annotated[Preset | None, BeforeValidator(in_capitals)] = harmless(
        None,
        panel="Model",
        description="a set of values for model, overlap, shifts and sample format",
        examples=["PRODUCTION"],
    )
    model: Name = guarded(
        "auto",
        panel="Model",
        description="model, checkpoint file or hf:// address; auto is htdemucs where it can be "
        "had, else mini_duo, which comes with stemstream",
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
    device: Name = harmless(
        "auto", panel="Computing", description="cpu, cuda, cuda:1, mps; auto takes the fastest"
    )
    backend: Literal["auto", Library] = harmless(
        "auto",
        panel="Computing",
        description="what runs the model; auto takes what was measured to be fastest here",
    )
    precision: Precision | None = harmless(
        None,
        panel="Computing",
        description="numbers that the model computes in: float32 is exact, bfloat16 about 48 dB "
        "off and faster where the processor has it, float16 for GPUs [default: float32, of "
        "htdemucs_quantized bfloat16]",
        examples=["bfloat16"],
    )
    overlap: float = harmless(
        0.25,
        panel="Quality",
        ge=0,
        le=0.99,
        description="how much of a window the next one covers again",
    )
    shifts: int = harmless(
        1,
        panel="Quality",
        unit="N",
        ge=0,
        le=100,
        description="separate this many randomly shifted copies and average them",
    )
    window: float | None = harmless(
        None,
        panel="Quality",
        unit="SECONDS",
        ge=0.1,
        le=600,
        description="window length in seconds; shorter takes less memory",
        examples=[7.8],
    )
    hop: float | None = harmless(
        None,
        panel="Live windows",
        unit="SECONDS",
        gt=0,
        le=600,
        description="live windows instead of overlap: seconds from one window to the next",
        examples=[0.25],
    )
    lookahead: float | None = harmless(
        None,
        panel="Live windows",
        unit="SECONDS",
        ge=0,
        le=600,
        description="live windows: seconds that the model hears beyond what it gives; this, the "
        "hop and the time to compute are the delay",
        examples=[0.1],
    )
    crossfade: float | None = harmless(
        None,
        panel="Live windows",
        unit="SECONDS",
        ge=0,
        le=600,
        description="live windows: seconds over which one window blends into the next",
        examples=[0.05],
    )
    seed: int = harmless(
        0,
        panel="Quality",
        unit="N",
        ge=0,
        le=MOST_COUNT,
        description="start of the random numbers (shifts, dither)",
    )
    torch_num_threads: int | None = harmless(
        None,
        panel="Computing",
        unit="N",
        ge=1,
        le=MOST_THREADS,
        description="threads that a model may use",
        examples=[4],
    )
    stems: StemNames = harmless(
        None, panel="Stems", description="make only these stems", examples=["vocals,bass"]
    )
    two_stems: Annotated[str | None, AfterValidator(not_empty)] = harmless(
        None,
        panel="Stems",
        unit="STEM",
        description="make this stem and everything but it",
        examples=["vocals"],
    )
    other_method: Literal["add", "minus", "none"] = harmless(
        "add",
        panel="Stems",
        description="make everything but the stem by adding the others, by taking it from the mix, "
        "or not at all",
    )
    normalize: Literal["rms", "track", "none"] = harmless(
        "rms",
        panel="Quality",
        description="level that the model hears: even by running RMS, or over the whole track (as "
        "demucs, reads it twice); undone behind it",
    )
    clip_mode: Literal["soft", "rescale", "clamp", "none"] = harmless(
        "soft", panel="Sound", description="keep stems under full scale"
    )
    loudness: float | None = harmless(
        None,
        panel="Sound",
        unit="LUFS",
        ge=-70,
        le=0,
        description="bring the mix to this loudness in LUFS, all stems by one gain",
        examples=[-16],
    )
    residual: bool = harmless(
        False, panel="Stems", description="also give what the stems leave of the mix"
    )
    conserve: bool = harmless(
        False,
        panel="Stems",
        description="give what the stems leave of the mix to the stem other, so that they add up "
        "to it; a stem.mp4 does so without being told",
    )
    sample_format: Literal[SampleFormat, "source"] = harmless(
        "int16",
        panel="Sound",
        description="samples in the files; source keeps the depth of the song's own (16 bits of a "
        "song in a lossy format)",
    )
    dither: bool = harmless(
        True, panel="Sound", description="add TPDF dither to 16 and 24 bit samples"
    )
    resampler: ResamplingEngine = harmless(
        "soxr", panel="Quality", description="what converts sample rates"
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_in_preset(cls, given: dict[str, Any]) -> dict[str, Any]:
        return {**preset_values(given.get("preset")), **given}

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        for both, sentence in _CONFLICTS.items():
            if all(getattr(self, name, None) for name in both):
                raise ConflictError(sentence)
        if self.conserve and self.stems and "other" not in self.stems:
            raise ConflictError(
                "{conserve} gives what is left to the stem other, and {stems}="
                f"{','.join(self.stems)} leaves that out; add other, or try {{residual}}"
            )
        return self

    def idle(self, asked: Container[str]) -> str | None:
        """See `Checked.idle`."""
        if "overlap" in asked and self.live_windows:
            names = ("hop", "lookahead", "crossfade")
            live = next(name for name in names if getattr(self, name) is not None)
            return f"{{overlap}} and {{{live}}} are for windows of two kinds; give one of them"
        return super().idle(asked)

    @property
    def live_windows(self) -> bool:
        """Whether windows are live (with hop and lookahead), or overlap like Demucs's."""
        return any(one is not None for one in (self.hop, self.lookahead, self.crossfade))

    @property
    def named_stems(self) -> tuple[str, ...]:
        """The stems that the settings name: the model must have them."""
        return self.stems or ((self.two_stems,) if self.two_stems else ())

    @property
    def needed_stems(self) -> tuple[str, ...] | None:
        """The stems that the model must make for the wanted ones; None: all of them."""
        adds_up = self.two_stems and self.other_method == "add"
        needs_all = adds_up or self.residual or self.conserve
        return None if needs_all else self.named_stems or None

    @property
    def needs_survey(self) -> bool:
        """Whether the whole track must be read once before it can be separated."""
        return self.normalize == "track" or self.loudness is not None


class Settings(StreamSettings):
    """The settings of a separation of files.

    Raises:
        SettingsError: a value or a name is wrong; one sentence.
    """

    stream: StreamNumber = harmless(None, panel="Song", unit="N")
    jobs: int = harmless(
        0,
        panel="Computing",
        unit="N",
        ge=0,
        le=MOST_THREADS,
        description="windows separated in parallel; takes more memory",
    )
    batch: int = harmless(
        0,
        panel="Computing",
        unit="N",
        ge=0,
        le=MOST_BATCH,
        description="windows that go through the model together; 0: as many as a GPU has memory "
        "for, on a CPU one",
    )
    out: Annotated[Path, BeforeValidator(_folder)] = guarded(
        Path("separated"),
        panel="Files",
        unit="FOLDER",
        description="folder to write to, or - for standard output",
    )
    format: Literal["wav", "flac", "mp3", "ogg", "opus", "m4a", "stem.mp4", "raw"] = harmless(
        "wav",
        panel="Files",
        description="kind of the files; stem.mp4 is one file for DJ software, raw is for --out -",
    )
    filename: Annotated[str, AfterValidator(_filename)] = guarded(
        FILENAME,
        panel="Files",
        description=f"names of the files; fields: {', '.join(FIELDS)}",
    )
    mp3_bitrate: int = harmless(
        320, panel="Files", unit="KBPS", ge=32, le=320, description="kbit/s of an MP3"
    )
    mp3_preset: int = harmless(
        2, panel="Files", ge=2, le=7, description="MP3 encoder: 2 is best, 7 is fastest"
    )
    overwrite: bool = guarded(False, panel="Files", description="replace files that exist")
    resume: bool = guarded(
        False,
        panel="Files",
        description="go on: keep the files that are there, make those that are missing",
    )
    project: ProjectKind | None = guarded(
        None,
        panel="Files",
        unit="DAW",
        description="also write a project that opens the stems side by side; they are 24-bit "
        "Broadcast Waves then, with one gain for all",
        examples=["reaper"],
    )

    @model_validator(mode="before")
    @classmethod
    def _suit_what_opens_it(cls, given: dict[str, Any]) -> dict[str, Any]:
        """DJ software plays the stems of a stem.mp4 alone; in a DAW they keep their balance."""
        splits = any(given.get(name) for name in ("stems", "two_stems", "residual"))
        if given.get("format") == "stem.mp4" and not splits:
            given = {"conserve": True, **given}
        if given.get("project") is not None:
            given = {"sample_format": "int24", "clip_mode": "rescale", **given}
        return given

    @model_validator(mode="after")
    def _fit_project(self) -> Self:
        for name, value in {"format": "wav", "clip_mode": "rescale"}.items():
            if self.project is not None and getattr(self, name) != value:
                raise ConflictError(f"{{project}} needs {{{name}}}={value}; leave out {{{name}}}")
        if self.project is not None and self.out == Path("-"):
            raise ConflictError("{project} opens files; give {out} a folder instead of -")
        return self

    @model_validator(mode="after")
    def _fit_files(self) -> Self:
        given = [name for name in ("stems", "two_stems", "residual") if getattr(self, name)]
        if self.format == "stem.mp4" and given:
            raise ConflictError(
                "{format}=stem.mp4 holds exactly the stems of the model; leave out "
                f"{' and '.join(f'{{{name}}}' for name in given)}, or try {{format}}=wav"
            )
        return self

    def idle(self, asked: Container[str]) -> str | None:
        """See `Checked.idle`."""
        for name in ("filename", "overwrite", "resume"):
            if name in asked and getattr(self, name) and self.out == Path("-"):
                return f"{{{name}}} is for files, and {{out}}=- writes none; leave out {{{name}}}"
        return super().idle(asked)
