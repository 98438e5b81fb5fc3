"""What a live run can be told: flags, environment and the table [live] of a settings file."""

from __future__ import annotations

import json
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from cli.live import MEANINGLESS
from cli.options import with_settings
from streamer.errors import SettingsError
from streamer.live.settings import LiveSettings
from streamer.resolve import resolve

runner = CliRunner()


def from_flags(*words: str) -> LiveSettings:
    """The settings that the flags of `stemstream live` make."""
    seen: list[LiveSettings] = []

    def command(*, extra: Annotated[str, typer.Option()] = "", flags: dict[str, object]) -> None:
        seen.append(resolve(flags, environ={}, kind=LiveSettings).settings)

    app = typer.Typer()
    app.command()(with_settings(LiveSettings, MEANINGLESS)(command))
    result = runner.invoke(app, [*words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return seen[0]


def from_file(tmp_path, text: str, **flags: Any) -> LiveSettings:
    config = tmp_path / "settings.toml"
    config.write_text(text)
    return resolve(flags, environ={}, config=config, kind=LiveSettings).settings


def test_without_flags_the_settings_are_the_defaults():
    assert from_flags() == LiveSettings()


@pytest.mark.parametrize(
    ("words", "field", "value"),
    [
        (["--input", "USB"], "input", "USB"),
        (["--output", "a", "--output", "b"], "output", ("a", "b")),
        (["--route", "vocals=1,2", "--route", "mix=3"], "route", ("vocals=1,2", "mix=3")),
        (["--window", "2"], "window", 2.0),
        (["--latency", "0.5"], "latency", 0.5),
        (["--no-adapt"], "adapt", False),
        (["--input-channels", "3,4"], "input_channels", (3, 4)),
        (["--fallback", "silence"], "fallback", "silence"),
    ],
)
def test_a_flag_sets_its_field(words, field, value):
    assert getattr(from_flags(*words), field) == value


def test_every_field_is_a_flag_or_means_nothing_live():
    made = with_settings(LiveSettings, MEANINGLESS)(lambda *, flags: None)
    names = set(made.__signature__.parameters)
    assert names >= set(LiveSettings.model_fields) - set(MEANINGLESS)
    assert not names & set(MEANINGLESS)


def test_the_table_goes_before_what_holds_for_all(tmp_path):
    text = """
        model = "htdemucs"
        sample_format = "int16"
        out = "stems"

        [live]
        sample_format = "int24"
        latency = 0.8
        output = ["a", "b"]
    """
    settings = from_file(tmp_path, text)
    assert (settings.model, settings.sample_format) == ("htdemucs", "int24")
    assert (settings.latency, settings.output) == (0.8, ("a", "b"))
    assert from_file(tmp_path, text, latency=0.5).latency == 0.5
    config = tmp_path / "settings.toml"
    assert str(resolve({}, environ={}, config=config).settings.out) == "stems"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[live]\nlatncy = 1", r"\[live\] latncy is no setting; try latency"),
        ("latency = 1", "latency is no setting"),
        ("live = 3", r"live must be a table; write \[live\] above it"),
        ("[live]\nblocksize = 1", "blocksize=1 must be a whole number between 16 and 16384"),
    ],
)
def test_what_a_file_has_wrong_is_said(tmp_path, text, sentence):
    with pytest.raises(SettingsError, match=sentence):
        from_file(tmp_path, text)


@pytest.mark.parametrize(
    ("given", "ports", "sentence"),
    [
        ({"token": "our-rehearsal-room"}, ["page"], "--token is for the page; name its port"),
        ({"announce": True}, ["page"], "--announce is for the page; name its port"),
        ({"host": "::"}, ["page", "osc", "metrics"], "--host is for open ports; name one"),
    ],
)
def test_a_flag_that_would_do_nothing_without_a_port_is_refused(tmp_path, given, ports, sentence):
    for port in ports:
        assert resolve({"host": "0.0.0.0", **given, port: "0"}, environ={}, kind=LiveSettings)
    with pytest.raises(SettingsError) as refused:
        resolve(given, environ={}, kind=LiveSettings)
    assert str(refused.value).startswith(f"{sentence} with --{ports[0]}")
    # a settings file may hold what other runs need
    ((name, value),) = given.items()
    assert getattr(from_file(tmp_path, f"[live]\n{name} = {json.dumps(value)}\n"), name) == value


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_a_page_for_this_machine_alone_is_not_announced(tmp_path, host):
    with pytest.raises(SettingsError, match=rf"--host={host} is this machine alone; add --host 0"):
        resolve({"page": 0, "announce": True, "host": host}, environ={}, kind=LiveSettings)
    assert from_file(tmp_path, "[live]\nannounce = true\npage = 0\n").is_local


@pytest.mark.parametrize(
    "flags",
    [{"latency": 0}, {"osc": -1}, {"samplerate": 7999}, {"fallback": "wet"}, {"duration": -1}],
)
def test_values_out_of_range_are_refused_with_what_would_do(flags):
    with pytest.raises(SettingsError, match=r"must be .*; try "):
        resolve(flags, environ={}, kind=LiveSettings)
