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

import contextlib
import hashlib
import json
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final

from streamer.batch.engine import Engine, Made, Outcome, Task
from streamer.batch.manifest import Manifest, Row, State
from streamer.batch.places import Place, place_of
from streamer.batch.songs import HERE, Song, look
from streamer.batch.store import Seen
from streamer.errors import (
    OutputExistsError,
    SettingsError,
    SinkError,
    SourceError,
    StemstreamError,
)
from streamer.files import output_paths
from streamer.naming import FILENAME, spelled_out
from streamer.settings import Settings

MOST_TRIES: Final = 3
"""How often a song is begun whose worker is lost in the middle of it."""
_SOUNDLESS: Final = {"out", "overwrite", "resume", "jobs", "batch", "torch_num_threads"}
"""Settings that change no sample of a stem."""


def settings_digest(settings: Settings) -> str:
    """Return a digest of what decides how stems sound and what their files are called."""
    deciding = set(Settings.model_fields) - _SOUNDLESS  # and none of a job's own
    values = settings.model_dump(mode="json", include=deciding)
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def made_before(manifest: Manifest, settings: Settings) -> Made | None:
    """Return what the model made with these settings in an earlier run; None where it never ran.

    Where nothing is left to be done, nobody needs to load the model to know that.

    Raises:
        SinkError: the table cannot be used.
    """
    found = manifest.made(settings_digest(settings))
    return None if found is None else Made(*found)


class Job:
    """The songs of a run, each with its row.

    ``kept`` need nothing done, ``in_hand`` are those that workers have, and ``notes`` has what
    there is to tell of songs that were done.

    With ``keep_folders`` stems lie in folders as the songs did; with ``retry_failed`` songs that
    failed are tried again, though nothing has changed. ``place`` is where the stems go, by default
    the folder of the settings.

    Many parameters: each is a wish of the user's, or what the job works with.

    Raises:
        SettingsError: two songs would be written to the same files, or all songs lie where the
            stems go.
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
        place: Place | None = None,
    ) -> None:
        self._settings, self._manifest, self._made = settings, manifest, made
        self._place = place or place_of(str(settings.out))
        self._sound = settings_digest(settings)
        self._known = manifest.rows()
        songs = self._outside(songs)
        self._folders = {
            song.source: song.folder if keep_folders else HERE for song in songs if not song.problem
        }
        self.rows: dict[str, Row] = {}
        self._tasks: deque[str] = deque()
        self._copies: dict[str, list[str]] = {}
        self._told: deque[Row] = deque()
        self._problems = {song.source: song.problem for song in songs}
        self.in_hand = 0
        self.notes: dict[str, tuple[str, ...]] = {}
        self._refuse_collisions()
        for song in songs:
            self._take_up(song, retry_failed=retry_failed)
        self.kept = sum(row.state is not State.WAITING for row in self.rows.values())

    @property
    def waiting(self) -> bool:
        """Whether a song is to be done, so that an engine is needed."""
        return self.kept < len(self.rows)

    def remember(self) -> None:
        """Write down what is to be done, and what has changed of songs that are done."""
        self._manifest.put(*self.rows.values())
        self._manifest.put_made(self._sound, self._made.model, self._made.stems)

    def run(self, engine: Engine) -> Iterator[Row]:
        """Do what is to be done; yield the row of each song when it is done or has failed.

        Nothing is written before.
        """
        self.remember()
        self._gather_copies()
        for outcome in engine.run(self._next):
            self._finish(outcome)
            yield from self._taken()
        yield from self._taken()

    def _taken(self) -> Iterator[Row]:
        while self._told:
            yield self._told.popleft()

    # What is to be done

    def _outside(self, songs: Sequence[Song]) -> list[Song]:
        """Return the songs that are no stems of an earlier run.

        Raises:
            SettingsError: there is none.
        """
        left = [song for song in songs if not self._place.holds(song.source)]
        if songs and not left:
            raise SettingsError(
                f"all songs lie in the folder of --out, {self._settings.out}, where they count as "
                "stems; give another --out"
            )
        return left

    def _paths(self, source: str) -> tuple[str, ...]:
        below = self._settings.model_copy(update={"out": Path(self._folders[source])})
        paths = output_paths(below, self._made.model, source, self._made.stems)
        return tuple(dict.fromkeys(map(self._place.join, paths)))

    def _refuse_collisions(self) -> None:
        writers: dict[str, str] = {}
        for source in self._folders:
            for path in self._paths(source):
                if other := writers.get(path):
                    raise SettingsError(
                        f"{other} and {source} would both be written to {path}; try "
                        "--keep-folders, or --filename '{track}.{trackext}/{stem}.{ext}'"
                    )
                writers[path] = source
        self._place.refuse_inputs(self._folders, writers)

    def _take_up(self, song: Song, *, retry_failed: bool) -> None:
        source = song.source
        old, sound = self._known.get(spelled_out(source)), self._sound
        old = old and replace(old, source=source)
        new = Row(source, settings=sound, outputs=old.outputs if old is not None else ())
        known = Seen() if old is None else Seen(old.bytes, old.modified_ns, old.content)
        new = replace(new, **asdict(look(song, known)))
        same = old is not None and (old.content, old.settings) == (new.content, sound)
        if old is not None and same:
            # what cannot be read has no content: it may have changed, but it fails as before
            done = old.state is State.DONE and bool(new.content) and self._are_there(old)
            in_the_way = self._settings.overwrite and old.exit_code == SinkError.exit_code
            failed = old.state is State.FAILED and not (retry_failed or in_the_way)
            if done or failed:
                new = replace(old, bytes=new.bytes, modified_ns=new.modified_ns)
        if old is not None and old.state is State.RUNNING:
            new = replace(new, tries=old.tries)
        self.rows[source] = new

    def _gather_copies(self) -> None:
        """Leave each content to one song; the others with it get copies of its files."""
        firsts: dict[str, str] = {}
        # a project in one folder with its stems names no song
        alike = self._settings.project is None or self._settings.filename == FILENAME
        for row in sorted(self.rows.values(), key=lambda row: row.state is not State.DONE):
            if alike and row.content and row.state in (State.WAITING, State.DONE):
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
            if problem := self._problems[source]:
                self._settle(self._failed(row, problem, SourceError.exit_code))
                continue
            try:
                ours = self._begin(row)
            except StemstreamError as error:
                self._settle(self._failed(row, str(error), error.exit_code))
                continue
            self.in_hand += 1
            return Task(source, self._place.join(self._folders[source]), replace=ours)
        return None

    def _begin(self, row: Row) -> bool:
        """Note that a song is begun, and so that its files are ours; return whether to replace any.

        A worker that was lost with the song may be alive, and write them at any moment.

        Raises:
            OutputExistsError: a file is there that no run of this job wrote.
        """
        paths = self._paths(row.source)
        there = [path for path in paths if self._place.stands(path)]
        ours, now = (set(map(spelled_out, each)) for each in (row.outputs, paths))
        strangers = [path for path in there if spelled_out(path) not in ours]
        if strangers and not self._settings.overwrite:
            raise OutputExistsError(
                f"{strangers[0]} exists, and this job did not write it; --overwrite replaces it"
            )
        # with earlier settings it may have written others; they stay its own
        others = (
            path
            for path in row.outputs
            if spelled_out(path) not in now and self._place.stands(path)
        )
        outputs = (*paths, *others)
        begun = replace(row, state=State.RUNNING, tries=row.tries + 1, outputs=outputs)
        self.rows[row.source] = begun
        self._manifest.put(begun)
        return bool(there) or row.tries > 0 or self._settings.overwrite

    def _finish(self, outcome: Outcome) -> None:
        self.in_hand -= 1
        row = self.rows[outcome.task.source]
        if outcome.lost and row.tries < MOST_TRIES:
            self._tasks.append(row.source)
        elif outcome.error:
            self._settle(self._failed(row, outcome.error, outcome.exit_code))
        else:
            self.notes[row.source] = outcome.notes
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
        copies = self._copies.pop(first.source, [])
        if copies and first.state is State.FAILED and first.exit_code == SinkError.exit_code:
            # what its own files met says nothing of theirs
            head, *self._copies[copies[0]] = copies
            self._tasks.append(head)
            return
        for source in copies:
            row = self.rows[source]
            if first.state is not State.DONE:
                self._settle(self._failed(row, first.error, first.exit_code))
                continue
            try:
                ours = self._begin(row)
                self._place.copy(self._paths(first.source), self._paths(source), replace=ours)
            except StemstreamError as error:
                self._settle(self._failed(row, str(error), error.exit_code))
            else:
                made = self.rows[source]
                self._settle(replace(made, state=State.DONE, seconds=first.seconds, error=""))

    def _are_there(self, row: Row) -> bool:
        paths = self._paths(row.source)
        before = row.outputs[: len(paths)]
        return [*map(spelled_out, before)] == [*map(spelled_out, paths)] and all(
            map(self._place.has, paths)
        )

    def _failed(self, row: Row, error: str, exit_code: int) -> Row:
        # its own are those of an earlier run, and what a broken upload has left; one that somebody
        # else wrote since the song was begun counts as its own, too: nobody can tell it from these
        left = row.outputs
        with contextlib.suppress(SinkError):  # nobody can tell: they may all be there
            left = tuple(path for path in row.outputs if self._place.stands(path))
        return replace(row, state=State.FAILED, error=error, exit_code=exit_code, outputs=left)
