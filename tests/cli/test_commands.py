"""The other commands, the help, and what starting costs."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli import commands
from streamer import models
from streamer.errors import DeviceError
from streamer.presets import PRESETS
from streamer.resolve import flag
from streamer.sentences import shown
from streamer.settings import Settings

Run = Callable[..., Any]


def words(text: str) -> str:
    """Return a text without its frames and line breaks."""
    return " ".join(re.sub("[^ -~]", " ", text).split())


def test_presets(stemstream: Run) -> None:
    outcome = stemstream("presets")
    assert outcome.code == 0
    for name, values in PRESETS.items():
        line = next(line for line in outcome.out.splitlines() if name in line)
        assert line.split()[1:] == [str(value) for value in values.values()]


def test_presets_show_where_values_come_from(
    stemstream: Run, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (elsewhere / "mine.toml").write_text("jobs = 3\n")
    monkeypatch.setenv("DEMUCS_SHIFTS", "4")
    out = stemstream("presets", "--show", "--preset", "FAST", "--config", "mine.toml").out
    rows = dict(line.strip().split(maxsplit=1) for line in out.splitlines())
    assert set(rows) == {"setting", *Settings.model_fields}
    assert rows["jobs"].split(maxsplit=1) == ["3", "mine.toml"]
    assert rows["shifts"].split(maxsplit=1) == ["4", "environment DEMUCS_SHIFTS"]
    assert rows["overlap"].split(maxsplit=1) == ["0.1", "preset FAST"]
    assert rows["clip_mode"].split(maxsplit=1) == ["soft", "default"]


def test_models(stemstream: Run) -> None:
    outcome = stemstream("models")
    assert outcome.code == 0
    for name in models.names():
        line = next(line for line in outcome.out.splitlines() if line.strip().startswith(name))
        assert " ".join(models.info(name).stems[:4]) in line
        assert re.search(r"\[[123]\]", line)
    for name in models.names():
        assert models.info(name).licence in outcome.out
    assert len(outcome.out.splitlines()) < 30
    assert re.search(r"htdemucs_mini is in .*htdemucs_mini\.safetensors", outcome.out)


@pytest.mark.parametrize("command", ["path", "download"])
def test_embedded_weights_are_here(command: str, stemstream: Run) -> None:
    outcome = stemstream("models", command, "htdemucs_mini")
    assert outcome.code == 0
    assert Path(outcome.out.strip()).is_file()


@pytest.mark.parametrize(
    ("command", "model", "said"),
    [
        ("path", "htdemucs", "stemstream models download htdemucs"),
        ("path", "passthrough", "has no weights"),
        ("path", "htdemux", "did you mean htdemucs"),
        ("download", "htdemucs", "the hub cannot be reached"),
        ("download", "passthrough", "has no weights"),
        ("download", "htdemux", "did you mean htdemucs"),
    ],
)
def test_weights_that_cannot_be_had(command: str, model: str, said: str, stemstream: Run) -> None:
    outcome = stemstream("models", command, model)
    assert outcome.code == 5
    assert said in outcome.complaint
    assert outcome.out == ""


def test_doctor(stemstream: Run) -> None:
    outcome = stemstream("doctor")
    assert outcome.code == 0, outcome.out
    assert outcome.err == ""
    marks = {line[4:].split("  ")[0].strip(): line.split()[0] for line in outcome.out.splitlines()}
    for part in ("machine", "torch", "demucs", "numba", "soundfile", "av", "soxr", "devices"):
        assert marks[part] == "ok"
    assert marks["embedded models"] == "ok"
    assert marks["larger models"] == "-"
    assert marks["hub"] == "-"
    assert "stemstream models download" in outcome.out


def test_help_tells_every_flag_with_its_default(
    stemstream: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    outcome = stemstream("separate", "--help")
    assert outcome.code == 0
    told = words(outcome.out)
    for name, field in Settings.model_fields.items():
        assert flag(name) in told
        if field.default is not None and not isinstance(field.default, bool):
            assert f"[default: {shown(field.default)}]" in told, name
    assert "one of soft, rescale, clamp, none" in told


@pytest.mark.parametrize(
    ("words_of_it", "default"),
    [
        (("bench", "inference"), "[default: 1,2,4]"),
        (("latency",), "[default: 1,2]"),
        (("train",), "[default: 0]"),
    ],
)
def test_help_hides_no_default(
    words_of_it: tuple[str, ...], default: str, stemstream: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    assert default in words(stemstream(*words_of_it, "--help").out)


@pytest.mark.parametrize("asked", [(), ("--help",), ("-h",)])
def test_overview(asked: tuple[str, ...], stemstream: Run) -> None:
    outcome = stemstream(*asked)
    assert outcome.code == 0
    told = words(outcome.out)
    for command in ("separate", "demo", "models", "presets", "doctor"):
        assert command in told
    assert "130 after Ctrl-C" in told


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (("separat",), "No such command 'separat'"),
        (("separate",), "Missing argument 'INPUT'"),
        (("separate", "--overlapp", "1", "a.wav"), "No such option: --overlapp"),
        (("models", "download"), "Missing argument 'MODEL'"),
        (("separate", "a.wav", "--shifts"), "requires an argument"),
    ],
)
def test_wrong_command_lines(wrong: tuple[str, ...], said: str, stemstream: Run) -> None:
    outcome = stemstream(*wrong)
    assert outcome.code == 2
    assert said in outcome.complaint
    assert "--help`" in outcome.complaint
    assert len(outcome.err.splitlines()) == 1


def loaded_by(statement: str) -> set[str]:
    code = f"{statement}; import sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    return set(done.stdout.split())


def test_importing_streamer_loads_nothing_heavy() -> None:
    heavy = {"torch", "sounddevice", "numba", "soundfile", "av", "demucs", "numpy", "pydantic"}
    assert not loaded_by("import streamer") & heavy


def test_the_commands_load_neither_torch_nor_the_engine() -> None:
    loaded = loaded_by("from cli.commands import program; program([])")
    assert not loaded & {"torch", "sounddevice", "numba", "demucs"}


def test_a_command_loads_no_other_one() -> None:
    loaded = loaded_by("from cli.commands import program; program(['-v', 'separate'])")
    homes = {home.split(":")[0] for _panel, home in commands.COMMANDS.values()}
    assert loaded & homes == {"cli.separate"}


class Broken:
    """A backend with a fault of ours in it."""

    def __init__(self, *_: object) -> None:
        raise ZeroDivisionError("no")


COMMANDS = (
    *("separate", "live", "devices", "plan", "latency", "eval", "train", "demo", "presets"),
    *("doctor", "models", "models path", "models download", "bench", "bench inference"),
)


@pytest.mark.parametrize("command", COMMANDS)
def test_verbose_is_taken_before_and_after_the_name_of_every_command(
    command: str, stemstream: Run
) -> None:
    first, *rest = command.split()
    for words in (["-v", first, *rest], [first, "--verbose", *rest], [first, *rest, "-v"]):
        assert stemstream(*words, "--help").code == 0, words


@pytest.mark.parametrize("words", [("-v", "devices"), ("devices", "--verbose")])
def test_verbose_shows_where_an_error_came_from_wherever_it_stands(
    words: tuple[str, ...], stemstream: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.devices.MachineBackend", Broken)
    outcome = stemstream(*words)
    assert outcome.code == 1
    assert "Traceback" in outcome.err
    assert "what `stemstream devices --verbose` shows" in outcome.err


def test_the_overview_groups_the_commands_and_begins_with_separate_and_live(
    stemstream: Run,
) -> None:
    told = words(stemstream("--help").out)
    commands = [one for one in COMMANDS if " " not in one]
    order = sorted(commands, key=lambda one: told.index(f" {one} "))
    assert order[:2] == ["separate", "live"]
    for panel in ("Stems", "Before live", "Models", "First steps"):
        assert f" {panel} " in told


def panel_above(text: str, flag: str) -> str:
    """Return the title of the part of a help text that shows a flag."""
    before = text[: text.index(f" {flag} ")]
    return re.findall(r"╭─ ([A-Z][\w ]*) ─", before)[-1]


@pytest.mark.parametrize(("command", "panel"), [("separate", "Computing"), ("train", "Training")])
def test_a_flag_that_two_commands_share_stands_in_the_panel_of_each(
    command: str, panel: str, stemstream: Run
) -> None:
    assert panel_above(stemstream(command, "--help").out, "--batch") == panel


def test_the_hint_to_use_verbose_names_the_command_that_was_run(
    stemstream: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.devices.MachineBackend", Broken)
    outcome = stemstream("devices", "--json")
    assert outcome.code == 1
    assert "Traceback" not in outcome.err
    assert "what `stemstream devices --verbose` shows" in outcome.err


def test_doctor_does_not_advise_to_see_doctor(
    stemstream: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise DeviceError("PortAudio does not start (no); see `stemstream doctor`")

    monkeypatch.setattr("cli.doctor.PortAudioBackend", refuse)
    out = stemstream("doctor").out
    assert {"PortAudio", "start", "(no)"} <= set(words(out).split())  # a narrow cell breaks lines
    assert "see `stemstream doctor`" not in words(out)


def test_windows_is_told_the_way_out(stemstream: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "win32")
    outcome = stemstream("doctor")
    assert outcome.code == 1
    assert "Linux and macOS" in outcome.complaint
