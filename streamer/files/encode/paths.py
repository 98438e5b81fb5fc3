"""What the files of a track are called: a file for each stem, one stem.mp4, and a project."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from streamer.errors import ModelError, OutputExistsError, SettingsError
from streamer.files.decode.opening import STANDARD_INPUT
from streamer.files.folder import track_lock
from streamer.files.part import identity_of, sink_errors
from streamer.files.project.contents import ProjectTrack
from streamer.files.project.kinds import KINDS
from streamer.naming import FILENAME, PIPE, FileName, spelled_out, track_name
from streamer.settings import ProjectKind, Settings


def stem_paths(
    settings: Settings, model: str, source: str | Path, names: Sequence[str]
) -> dict[str, Path]:
    """Return the file of each stem, laid out as by `demucs`: ``out/model/track/stem.ext``.

    A stem.mp4 holds all stems. Standard output has no file.

    Raises:
        ModelError: the model's name cannot be the name of a folder.
        SettingsError: the names would lead out of that folder.
    """
    if settings.out == PIPE:
        return {}
    folder, fields = settings.out / _folder_name(model), _fields(source, settings.format)
    if settings.format == "stem.mp4":
        template = "{track}.{ext}" if settings.filename == FILENAME else settings.filename
        return dict.fromkeys(names, folder / _filled(template, fields))
    return {
        name: folder / _filled(settings.filename, {**fields, "stem": name})
        for name in map(FileName, names)
    }


@dataclass(frozen=True, slots=True)
class ProjectPlace:
    """Where a track's project goes, of which kind it is, and the file of each stem in it."""

    path: Path
    kind: ProjectKind
    stems: Mapping[str, Path]

    @property
    def tracks(self) -> list[ProjectTrack]:
        """The stems' files as seen from the project."""
        return [
            ProjectTrack(name, PurePath(os.path.relpath(path, self.path.parent)))
            for name, path in self.stems.items()
        ]

    def opened(self, files: Iterable[Path]) -> set[Path]:
        """Return which of these files the project opens that is there.

        Raises:
            SinkError: it cannot be read.
        """
        with sink_errors(self.path):
            told = KINDS[self.kind].files_of(self.path.read_bytes())
        opened = {spelled_out(str(self.path.parent / file)) for file in told}
        return {file for file in files if spelled_out(str(file)) in opened}


def project_place(
    settings: Settings, model: str, source: str | Path, stems: Mapping[str, Path]
) -> ProjectPlace | None:
    """Return where the project of these stems goes: beside them, called as the track.

    None where none is asked for.
    """
    if settings.project is None:
        return None
    suffix = KINDS[settings.project].suffix
    fields = _fields(source, suffix.removeprefix("."))
    # in the place of a stem, so that two tracks have two projects wherever they have two vocals
    name = _filled(settings.filename, {**fields, "stem": fields["track"]})
    name = name if name.endswith(suffix) else name + suffix
    return ProjectPlace(settings.out / _folder_name(model) / name, settings.project, stems)


def output_paths(
    settings: Settings, model: str, source: str | Path, names: Sequence[str]
) -> list[Path]:
    """Return all files of a track, a stem.mp4 once for each stem in it.

    Raises:
        ModelError: the model's name cannot be the name of a folder.
    """
    stems = stem_paths(settings, model, source, names)
    project = project_place(settings, model, source, stems)
    return [*stems.values(), *([project.path] if project else [])]


def _fields(source: str | Path, ext: str) -> dict[str, str]:
    """Return what a template is filled with, but for the stem."""
    track = "stdin" if str(source) == STANDARD_INPUT else track_name(source)
    return {"track": track, "trackext": Path(source).name.rpartition(".")[2], "ext": ext}


def _filled(template: str, fields: Mapping[str, str]) -> str:
    """Return the name that a template makes, which must not lead elsewhere: a song gave its name.

    The song ``etc.`` has no ending, so that ``{trackext}/{track}`` of it is ``/etc``.
    """
    name = template.format(**fields)
    if name.startswith("/") or ".." in name.split("/"):
        raise SettingsError(
            f"--filename '{template}' leads out of --out for the track {fields['track']}; "
            f"try --filename '{FILENAME}'"
        )
    return name


def refuse_inputs(inputs: Iterable[str | Path], outputs: Iterable[Path]) -> None:
    """Make sure that no output is also an input, even under another name or through a link.

    Raises:
        OutputExistsError: writing it would replace the input.
    """
    sources: dict[tuple[int, int], str | Path] = {}
    for source in inputs:
        try:
            status = os.fstat(0) if str(source) == STANDARD_INPUT else Path(source).stat()
        except (OSError, ValueError):
            continue  # it cannot be read either; that error comes later
        sources[identity_of(status)] = source
    for output in outputs:
        try:
            source = sources.get(identity_of(output.stat()), "")
        except (OSError, ValueError):
            continue  # nothing is there, or it cannot be written either
        if source:
            raise OutputExistsError(
                f"{output} is the input {source} itself and would be replaced; choose another "
                "folder with --out, or other names with --filename"
            )


def left_to_write(paths: Mapping[str, Path]) -> dict[str, Path]:
    """Return the missing files of a track, and clean up after killed runs.

    Raises:
        SinkError: another run is writing the track, or its folder cannot be read.
    """
    missing = {}
    with track_lock(paths.values()):
        for name, path in paths.items():
            with sink_errors(path):
                if not path.is_file():
                    missing[name] = path
    return missing


def _folder_name(model: str) -> FileName:
    """As demucs: the model's name, less what a folder cannot be called."""
    path = Path(model)
    file = path.suffix in (".safetensors", ".th")
    name = path.stem if file else model.removeprefix("hf://").replace("/", "_")
    try:
        return FileName(name)
    except ValueError as error:
        raise ModelError(f"the stems go to a folder named as the model: {error}") from None
