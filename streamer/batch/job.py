"""A job: which songs are to be done, and what became of them; it goes on where the last run ended.

::

    with open_manifest(folder) as manifest:
        job = Job(find_songs(words), settings, manifest, made=engine.start())
        for row in job.run(engine):      # each song, when it is done or has failed
            ...

A song is done if its row says so, nothing about it has changed, and its files are there. All others
are done again, over this job's own files and no others. The same content is separated once, and
copied for the other songs that have it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import stat
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from streamer.batch.engine import Engine, Made, Outcome, Task
from streamer.batch.manifest import Manifest, Row, State
from streamer.batch.songs import Song
from streamer.errors import OutputExistsError, SettingsError, SinkError, StemstreamError
from streamer.files import refuse_inputs, stem_paths
from streamer.files.folder import track_lock
from streamer.files.part import PartFile, sink_errors, stands
from streamer.settings import Settings

MOST_TRIES: Final = 3
"""How often a song is begun whose worker is lost in the middle of it."""
_SOUNDLESS: Final = {"out", "overwrite", "resume", "jobs", "batch", "torch_num_threads"}
"""Settings that change no sample of a stem."""


def settings_digest(settings: Settings) -> str:
    """Return a digest of what decides how stems sound and what their files are called."""
    values = settings.model_dump(mode="json", exclude=_SOUNDLESS)
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


class Job:
    """The songs of a run, each with its row. ``kept`` are those of which nothing is to be done.

    With ``keep_folders`` stems lie in folders as the songs did; with ``retry_failed`` songs that
    failed are tried again, though nothing has changed.

    Many parameters: each is a wish of the user's, or what the job works with.

    Raises:
        SettingsError: two songs would be written to the same files.
        OutputExistsError: a stem would replace a song.
        SinkError: the table cannot be used.
    """

    def __init__(
        self,
        songs: Sequence[Song],
        settings: Settings,
        manifest: Manifest,
        *,
        made: Made,
        keep_folders: bool = False,
        retry_failed: bool = False,
    ) -> None:
        self._settings, self._manifest, self._made = settings, manifest, made
        self._known = manifest.rows()
        self._outs = {
            str(song.path): settings.out / song.folder if keep_folders else settings.out
            for song in songs
            if not song.path.absolute().is_relative_to(settings.out.absolute())
        }
        self.rows: dict[str, Row] = {}
        self._tasks: deque[str] = deque()
        self._copies: dict[str, list[str]] = {}
        self._told: deque[Row] = deque()
        self._refuse_collisions()
        for source in self._outs:
            self._take_up(source, retry_failed=retry_failed)
        self.kept = sum(row.state is not State.WAITING for row in self.rows.values())

    def run(self, engine: Engine) -> Iterator[Row]:
        """Do what is to be done; yield the row of each song when it is done or has failed.

        Nothing is written before.
        """
        self._manifest.put(*self.rows.values())
        self._gather_copies()
        for outcome in engine.run(self._next):
            self._finish(outcome)
            yield from self._taken()
        yield from self._taken()

    def _taken(self) -> Iterator[Row]:
        while self._told:
            yield self._told.popleft()

    # What is to be done

    def _paths(self, source: str) -> tuple[str, ...]:
        settings = self._settings.model_copy(update={"out": self._outs[source]})
        paths = stem_paths(settings, self._made.model, source, self._made.stems)
        return tuple(dict.fromkeys(map(str, paths.values())))

    def _refuse_collisions(self) -> None:
        writers: dict[str, str] = {}
        for source in self._outs:
            for path in self._paths(source):
                if other := writers.get(path):
                    raise SettingsError(
                        f"{other} and {source} would both be written to {path}; try "
                        "--keep-folders, or --filename '{track}.{trackext}/{stem}.{ext}'"
                    )
                writers[path] = source
        refuse_inputs(list(self._outs), map(Path, writers))

    def _take_up(self, source: str, *, retry_failed: bool) -> None:
        old, sound = self._known.get(source), settings_digest(self._settings)
        new = Row(source, settings=sound, outputs=old.outputs if old is not None else ())
        try:
            status = Path(source).stat()
            new = replace(new, bytes=status.st_size, modified_ns=status.st_mtime_ns)
            if old is not None and (old.bytes, old.modified_ns) == (new.bytes, new.modified_ns):
                new = replace(new, content=old.content)
            if not new.content and stat.S_ISREG(status.st_mode):
                with Path(source).open("rb") as file:
                    new = replace(new, content=hashlib.file_digest(file, "sha256").hexdigest())
        except OSError:
            pass  # whoever opens it tells why it cannot be read
        same = old is not None and (old.content, old.settings) == (new.content, sound)
        if old is not None and same and new.content:
            done = old.state is State.DONE and _are_there(old, self._paths(source))
            if done or (old.state is State.FAILED and not retry_failed):
                new = replace(old, bytes=new.bytes, modified_ns=new.modified_ns)
        if old is not None and old.state is State.RUNNING:
            new = replace(new, tries=old.tries)
        self.rows[source] = new

    def _gather_copies(self) -> None:
        """Leave each content to one song; the others with it get copies of its files."""
        firsts: dict[str, str] = {}
        for row in sorted(self.rows.values(), key=lambda row: row.state is not State.DONE):
            if row.content and row.state in (State.WAITING, State.DONE):
                first = firsts.setdefault(row.content, row.source)
                if first != row.source and row.state is State.WAITING:
                    self._copies.setdefault(first, []).append(row.source)
                    continue
            if row.state is State.WAITING:
                self._tasks.append(row.source)
        for first in list(self._copies):
            if self.rows[first].state is State.DONE:
                self._copy(self.rows[first])

    # Doing it

    def _next(self) -> Task | None:
        while self._tasks:
            source = self._tasks.popleft()
            row = self.rows[source]
            try:
                ours = self._begin(row)
            except StemstreamError as error:
                self._settle(_failed(row, str(error), error.exit_code))
                continue
            return Task(source, self._outs[source], replace=ours)
        return None

    def _begin(self, row: Row) -> bool:
        """Note that a song is begun, and so that its files are ours; return whether some are there.

        Raises:
            OutputExistsError: a file is there that no run of this job wrote.
        """
        paths = self._paths(row.source)
        there = [path for path in paths if stands(Path(path))]
        strangers = [path for path in there if path not in row.outputs]
        if strangers and not self._settings.overwrite:
            raise OutputExistsError(
                f"{strangers[0]} exists, and this job did not write it; --overwrite replaces it"
            )
        begun = replace(row, state=State.RUNNING, tries=row.tries + 1, outputs=paths)
        self.rows[row.source] = begun
        self._manifest.put(begun)
        return bool(there) or self._settings.overwrite

    def _finish(self, outcome: Outcome) -> None:
        row = self.rows[outcome.task.source]
        if outcome.lost and row.tries < MOST_TRIES:
            self._tasks.append(row.source)
        elif outcome.error:
            self._settle(_failed(row, outcome.error, outcome.exit_code))
        else:
            seconds, elapsed = outcome.seconds, outcome.elapsed_seconds
            self._settle(
                replace(row, state=State.DONE, seconds=seconds, elapsed_seconds=elapsed, error="")
            )

    def _settle(self, row: Row) -> None:
        """Keep what became of a song, and give its copies the same."""
        self.rows[row.source] = row
        self._manifest.put(row)
        self._told.append(row)
        self._copy(row)

    def _copy(self, first: Row) -> None:
        for source in self._copies.pop(first.source, ()):
            row = self.rows[source]
            if first.state is not State.DONE:
                self._settle(_failed(row, first.error, first.exit_code))
                continue
            try:
                ours = self._begin(row)
                _copy_files(first.outputs, self._paths(source), overwrite=ours)
            except StemstreamError as error:
                self._settle(_failed(row, str(error), error.exit_code))
            else:
                made = self.rows[source]
                self._settle(replace(made, state=State.DONE, seconds=first.seconds, error=""))


def _are_there(row: Row, paths: tuple[str, ...]) -> bool:
    return row.outputs == paths and all(Path(path).is_file() for path in paths)


def _failed(row: Row, error: str, exit_code: int) -> Row:
    # it wrote nothing: its own are only those of an earlier run
    left = tuple(path for path in row.outputs if Path(path).is_file())
    return replace(row, state=State.FAILED, error=error, exit_code=exit_code, outputs=left)


def _copy_files(sources: Sequence[str], targets: Sequence[str], *, overwrite: bool) -> None:
    """Copy files; they appear when all are whole.

    Raises:
        SinkError: one cannot be read or written.
    """
    parts: list[PartFile] = []
    try:
        with track_lock(map(Path, targets)):
            for source, target in zip(sources, map(Path, targets), strict=True):
                parts.append(PartFile(target, overwrite=overwrite))
                with sink_errors(target), Path(source).open("rb") as file:
                    shutil.copyfileobj(file, parts[-1].file)
            for part in parts:
                with sink_errors(part.target):
                    part.publish()
    except SinkError:
        for part in parts:
            part.retract()
        raise
    finally:
        for part in parts:
            part.discard()
