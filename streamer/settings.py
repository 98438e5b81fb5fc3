"""Everything that a separation can be told, in one frozen and checked object.

::

    resolved = resolve({"overlap": 0.5})
    resolved.settings.overlap            # 0.5
    resolved.origins["overlap"]          # "flag --overlap"

A value comes from the first of these that gives it: flag, environment, settings file, preset,
default. The fields of `Settings` are the only place that knows the names, ranges, defaults and help
of the options: the command line, the error messages and the tables are made from them.
"""

from __future__ import annotations

import difflib
import os
import string
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Final, Literal, Self, TypeAlias, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic.fields import FieldInfo

from streamer.errors import SettingsError

Preset: TypeAlias = Literal["AUDIOPHILE", "PRODUCTION", "DEVELOPMENT", "FAST"]
ResamplingEngine: TypeAlias = Literal["soxr", "torchaudio"]

PRESETS: Final[Mapping[Preset, Mapping[str, object]]] = {
    "AUDIOPHILE": {
        "model": "htdemucs_ft",
        "overlap": 0.75,
        "shifts": 4,
        "sample_format": "float32",
    },
    "PRODUCTION": {
        "model": "htdemucs_ft",
        "overlap": 0.25,
        "shifts": 2,
        "sample_format": "float32",
    },
    "DEVELOPMENT": {
        "model": "htdemucs",
        "overlap": 0.15,
        "shifts": 1,
        "sample_format": "int16",
    },
    "FAST": {
        "model": "htdemucs_quantized",
        "overlap": 0.10,
        "shifts": 0,
        "sample_format": "int16",
    },
}
CONFIG_FILE: Final = "stemstream.toml"
"""The settings file that is read where it stands in the current folder."""

FILENAME_FIELDS: Final = ("track", "trackext", "stem", "ext")


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def _names(value: object) -> object:
    """Make a list of "vocals, bass"."""
    return [name.strip() for name in value.split(",")] if isinstance(value, str) else value


def _distinct(names: tuple[str, ...] | None) -> tuple[str, ...] | None:
    if names is None:
        return None
    if not names or not all(names):
        raise ValueError("must be one or more stems, with commas between")
    return tuple(dict.fromkeys(names))


def _named(name: str | None) -> str | None:
    if name == "":
        raise ValueError("must not be empty")
    return name


def _filename(template: str) -> str:
    try:
        template.format(**dict.fromkeys(FILENAME_FIELDS, ""))
        fields = {field for _, field, _, _ in string.Formatter().parse(template)} - {None}
    except (ValueError, LookupError, AttributeError):
        fields = set()
    if "stem" not in fields or not fields.issubset(FILENAME_FIELDS):
        allowed = ", ".join(f"{{{field}}}" for field in FILENAME_FIELDS)
        raise ValueError(f"must hold {{stem}}, and of such fields only {allowed}")
    return template


# What excludes each other, and the way out
_CONFLICTS: Final[Mapping[tuple[str, str], str]] = {
    ("two_stems", "stems"): "two_stems and stems name different outputs; give one of them",
    ("two_stems", "residual"): "two_stems leaves no residual to write; try stems and residual",
    ("two_stems", "conserve"): (
        "two_stems writes no stem other for conserve; try other_method=minus, which loses nothing"
    ),
    ("residual", "conserve"): "residual writes what conserve gives to other; give one of them",
    ("overwrite", "resume"): "overwrite replaces what resume keeps; give one of them",
}


class _Checked(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


Name: TypeAlias = Annotated[str, AfterValidator(_named)]


class Settings(_Checked):
    """What a separation is told. A preset fills in whatever is not given beside it.

    Raises:
        pydantic.ValidationError: a value is out of its range; `resolve` says it in one sentence.
    """

    preset: Annotated[Preset | None, BeforeValidator(_upper)] = Field(
        None,
        description="a set of values for model, overlap, shifts and sample format",
        examples=["PRODUCTION"],
    )
    model: Name = Field(
        "auto",
        description="model, checkpoint file or hf:// address; auto is htdemucs where it can be "
        "had, else the one that comes with stemstream",
    )
    repo: Path | None = Field(
        None, description="folder with models of your own", examples=["models"]
    )
    trust_checkpoint: bool = Field(
        False, description="load checkpoints that can run code (pickles); only from who you trust"
    )
    device: Name = Field("auto", description="cpu, cuda, cuda:1, mps; auto takes the fastest")
    overlap: float = Field(
        0.25, ge=0, le=0.99, description="how much of a window the next one covers again"
    )
    shifts: int = Field(
        1, ge=0, le=100, description="separate so many randomly shifted copies and average them"
    )
    segment: float | None = Field(
        None,
        gt=0,
        description="window length in seconds; shorter takes less memory",
        examples=[7.8],
    )
    seed: int = Field(0, ge=0, description="start of the random numbers (shifts, dither)")
    jobs: int = Field(0, ge=0, description="windows separated in parallel; takes more memory")
    torch_num_threads: int | None = Field(
        None, ge=1, description="threads that a model may use", examples=[4]
    )
    stems: Annotated[tuple[str, ...] | None, BeforeValidator(_names), AfterValidator(_distinct)] = (
        Field(None, description="write only these stems", examples=["vocals,bass"])
    )
    two_stems: Annotated[str | None, AfterValidator(_named)] = Field(
        None, description="write this stem and everything but it", examples=["vocals"]
    )
    other_method: Literal["add", "minus", "none"] = Field(
        "add",
        description="make everything but the stem by adding the others, by taking it from the mix, "
        "or not at all",
    )
    normalize: Literal["rms", "track", "none"] = Field(
        "rms",
        description="level that the model hears: even by running RMS, or over the whole track (as "
        "demucs, reads it twice); undone behind it",
    )
    clip_mode: Literal["soft", "rescale", "clamp", "none"] = Field(
        "soft", description="keep stems under full scale"
    )
    loudness: float | None = Field(
        None,
        ge=-70,
        le=0,
        description="bring the mix to this loudness in LUFS, all stems by one gain",
        examples=[-16],
    )
    residual: bool = Field(False, description="also write what the stems leave of the mix")
    conserve: bool = Field(
        False, description="give what the stems leave of the mix to the stem other"
    )
    out: Path = Field(Path("separated"), description="folder to write to, or - for standard output")
    filename: Annotated[str, AfterValidator(_filename)] = Field(
        "{track}/{stem}.{ext}",
        description=f"names of the files; fields: {', '.join(FILENAME_FIELDS)}",
    )
    format: Literal["wav", "flac", "mp3", "ogg", "opus", "m4a", "stem.mp4", "raw"] = Field(
        "wav",
        description="kind of the files; stem.mp4 is one file for DJ software, raw is for --out -",
    )
    sample_format: Literal["int16", "int24", "float32"] = Field(
        "int16", description="samples in the files"
    )
    dither: bool = Field(True, description="add TPDF dither to 16 and 24 bit samples")
    mp3_bitrate: int = Field(320, ge=32, le=320, description="kbit/s of an MP3")
    mp3_preset: int = Field(2, ge=2, le=7, description="MP3 encoder: 2 is best, 7 is fastest")
    overwrite: bool = Field(False, description="replace files that exist")
    resume: bool = Field(False, description="leave out tracks whose files are all there")
    resampler: ResamplingEngine = Field("soxr", description="what converts sample rates")

    @model_validator(mode="before")
    @classmethod
    def _fill_in_preset(cls, given: dict[str, Any]) -> dict[str, Any]:
        return {**_preset_values(given.get("preset")), **given}

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        for both, sentence in _CONFLICTS.items():
            if all(getattr(self, name) for name in both):
                raise ValueError(sentence)
        if self.format == "stem.mp4" and (self.stems or self.two_stems or self.residual):
            raise ValueError(
                "format=stem.mp4 holds exactly the stems of the model; "
                "leave out stems, two_stems and residual, or try format=wav"
            )
        if self.conserve and self.stems and "other" not in self.stems:
            raise ValueError(
                f"conserve gives what is left to the stem other, and stems={','.join(self.stems)} "
                "leaves that out; add other, or try residual"
            )
        return self

    @property
    def named_stems(self) -> tuple[str, ...]:
        """The stems that are called by name: the model must have them."""
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


class Environment(_Checked):
    """The environment variables that are read (the aliases), for the fields of `Settings`.

    They keep to a range where everything works well; flags and files may go beyond.
    """

    model: str | None = Field(None, alias="DEMUCS_MODEL")
    overlap: float | None = Field(None, alias="DEMUCS_OVERLAP", ge=0.1, le=0.75)
    shifts: int | None = Field(None, alias="DEMUCS_SHIFTS", ge=0, le=4)
    sample_format: Annotated[
        bool | None, AfterValidator(lambda wanted: "float32" if wanted else "int16")
    ] = Field(None, alias="USE_FLOAT32", examples=["true"])
    torch_num_threads: int | None = Field(None, alias="TORCH_NUM_THREADS", ge=1)


@dataclass(frozen=True)
class Resolved:
    """Settings, and where each value came from, by field in the order of the fields.

    An origin reads "flag --overlap", "environment DEMUCS_OVERLAP", "stemstream.toml", "preset FAST"
    or "default".
    """

    settings: Settings
    origins: Mapping[str, str]

    def rows(self) -> list[tuple[str, str, str]]:
        """Return name, value and origin of every field, as words for a table."""
        return [
            (name, shown(getattr(self.settings, name)), origin)
            for name, origin in self.origins.items()
        ]


@dataclass(frozen=True)
class _Given:
    """One layer's value for a field, and how its user wrote the field."""

    value: object
    origin: str
    written: str


def resolve(
    flags: Mapping[str, object],
    environ: Mapping[str, str] = os.environ,
    config: Path | None = None,
) -> Resolved:
    """Return the settings that hold, and the origin of each.

    ``flags`` are fields of `Settings`; None is a flag that was not given. ``config`` is a settings
    file in TOML; without one, `CONFIG_FILE` in the current folder is read where there is one.

    Raises:
        SettingsError: a value or a name is wrong, or the settings file cannot be read.
    """
    given = {**_from_file(config), **_from_environment(environ), **_from_flags(flags)}
    try:
        settings = Settings.model_validate({name: one.value for name, one in given.items()})
    except ValidationError as error:
        written = {name: one.written for name, one in given.items()}
        raise _in_one_sentence(error, Settings, written) from None
    origins = dict.fromkeys(Settings.model_fields, "default")
    origins.update(dict.fromkeys(_preset_values(settings.preset), f"preset {settings.preset}"))
    origins.update({name: one.origin for name, one in given.items()})
    return Resolved(settings, origins)


def flag(name: str, value: object = None) -> str:
    """Return how the command line writes a field, or one value of it."""
    if name == "model":
        return "--name"
    if name == "sample_format" and value is not None:
        return f"--{value}"
    return f"--{'no-' if value is False else ''}{name.replace('_', '-')}"


def _from_flags(flags: Mapping[str, object]) -> dict[str, _Given]:
    flags = {name: value for name, value in flags.items() if value is not None}
    _refuse_unknown(flags)
    return {
        name: _Given(value, f"flag {flag(name, value)}", flag(name))
        for name, value in flags.items()
    }


def _from_environment(environ: Mapping[str, str]) -> dict[str, _Given]:
    variables = {field.alias or name: name for name, field in Environment.model_fields.items()}
    # a variable that is set to nothing is not set
    found = {variable: environ[variable] for variable in variables if environ.get(variable)}
    try:
        values = Environment.model_validate(found)
    except ValidationError as error:
        raise _in_one_sentence(error, Environment, {}) from None
    return {
        name: _Given(getattr(values, name), f"environment {variable}", variable)
        for variable, name in variables.items()
        if variable in found
    }


def _from_file(config: Path | None) -> dict[str, _Given]:
    path = config or Path(CONFIG_FILE)
    if config is None and not os.path.isfile(path):  # noqa: PTH113 (False where one may not look)
        return {}
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is no valid TOML: {error}; mend that line") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path} is no text in UTF-8; save it as UTF-8") from None
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be read ({error.strerror}); give --config a settings file in TOML"
        ) from None
    _refuse_unknown(values, f"{path}: ")
    return {name: _Given(value, str(path), f"{path}: {name}") for name, value in values.items()}


def _refuse_unknown(values: Mapping[str, object], place: str = "") -> None:
    known = list(Settings.model_fields)
    for name in values:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            way_out = f"try {close[0]}" if close else f"there are {', '.join(known)}"
            raise SettingsError(f"{place}{name} is no setting; {way_out}")


def _preset_values(preset: object) -> Mapping[str, object]:
    name = _upper(preset)
    return next((values for known, values in PRESETS.items() if known == name), {})


def _in_one_sentence(
    error: ValidationError, model: type[BaseModel], written: Mapping[str, str]
) -> SettingsError:
    """Say the first thing that is wrong in the words "name=value must be ...; try ..."."""
    first = error.errors(include_url=False)[0]
    own_words = first.get("ctx", {}).get("error")
    if not first["loc"]:
        return SettingsError(str(own_words))
    known_as = {field.alias or name: name for name, field in model.model_fields.items()}
    called = str(first["loc"][0])
    name = known_as[called]
    field = model.model_fields[name]
    must = own_words or f"must be {allowed(field)}"
    value = shown(first["input"])
    return SettingsError(
        f"{written.get(name, called)}={value} {must}; try {_example(field, name, value)}"
    )


def allowed(field: FieldInfo) -> str:
    """Return in words what a field may be: "a whole number between 0 and 100"."""
    kind = _kind(field)
    if kind is bool:
        return "true or false"
    if kind not in (int, float):
        choices = get_args(kind)
        return f"one of {', '.join(choices)}" if get_origin(kind) is Literal else "text"
    low, over, high = (
        next((getattr(rule, limit) for rule in field.metadata if hasattr(rule, limit)), None)
        for limit in ("ge", "gt", "le")
    )
    whole = "a whole number " if kind is int else ""
    if high is not None:
        return f"{whole}between {low:g} and {high:g}"
    return f"{whole}over {over:g}" if over is not None else f"{whole}from {low:g} up"


def _example(field: FieldInfo, name: str, wrong: str) -> str:
    """Return a value that would do: the choice that was nearly named, else a usual one."""
    setting = Settings.model_fields[name]
    usual = [*(field.examples or ()), *(setting.examples or ()), setting.default]
    choices = get_args(_kind(field)) if get_origin(_kind(field)) is Literal else ()
    return shown([*difflib.get_close_matches(wrong, choices, n=1), *usual][0])


def _kind(field: FieldInfo) -> Any:
    """Return the type of a field, "or None" left away."""
    kinds = get_args(field.annotation)
    return kinds[0] if NoneType in kinds else field.annotation


def shown(value: object) -> str:
    """Return a value as a settings file or a flag would have it."""
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)
