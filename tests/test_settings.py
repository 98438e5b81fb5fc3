import json
import pickle
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from streamer.batch.settings import BatchSettings
from streamer.checked import is_harmless
from streamer.errors import SettingsError
from streamer.evaluation.settings import EvalSettings
from streamer.live.settings import LiveSettings
from streamer.presets import PRESETS, Preset
from streamer.resolve import Environment, flag, resolve
from streamer.sentences import allowed
from streamer.settings import Settings
from streamer.train.settings import TrainSettings

FIELDS = list(Settings.model_fields)


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def refusal(flags=None, environ=None, config=None):
    with pytest.raises(SettingsError) as caught:
        resolve(flags or {}, environ or {}, config)
    assert caught.value.exit_code == 2
    return str(caught.value)


# what holds ------------------------------------------------------------------------------------


def test_defaults_are_those_of_the_fields():
    resolved = resolve({}, {})
    assert resolved.settings == Settings()
    assert resolved.origins == dict.fromkeys(FIELDS, "default")


@pytest.mark.parametrize(
    ("preset", "values"),
    [
        ("AUDIOPHILE", ("htdemucs_ft", 0.75, 4, "float32")),
        ("PRODUCTION", ("htdemucs_ft", 0.25, 2, "float32")),
        ("DEVELOPMENT", ("htdemucs", 0.15, 1, "int16")),
        ("FAST", ("htdemucs_quantized", 0.10, 0, "int16")),
    ],
)
@pytest.mark.parametrize("spelling", [str.upper, str.lower, str.title])
def test_presets(preset, values, spelling):
    resolved = resolve({"preset": spelling(preset)}, {})
    names = ("model", "overlap", "shifts", "sample_format")
    assert tuple(getattr(resolved.settings, name) for name in names) == values
    assert resolved.settings.preset == preset
    assert resolved.origins["preset"] == "flag --preset"
    assert [resolved.origins[name] for name in names] == [f"preset {preset}"] * 4
    assert resolved.settings == Settings(preset=spelling(preset))


def test_the_four_presets_are_all():
    assert set(get_args(Preset)) == set(PRESETS)


def test_one_precedence(tmp_path):
    config = tmp_path / "mine.toml"
    layers = [
        ("default", {}, {}, None, 1),
        ("preset AUDIOPHILE", {"preset": "AUDIOPHILE"}, {}, None, 4),
        (str(config), {"preset": "AUDIOPHILE"}, {}, config, 3),
        ("environment DEMUCS_SHIFTS", {"preset": "AUDIOPHILE"}, {"DEMUCS_SHIFTS": "2"}, config, 2),
        (
            "flag --shifts",
            {"preset": "AUDIOPHILE", "shifts": 9},
            {"DEMUCS_SHIFTS": "2"},
            config,
            9,
        ),
    ]
    config.write_text("shifts = 3\n")
    for origin, flags, environ, file, shifts in layers:
        resolved = resolve(flags, environ, file)
        assert resolved.settings.shifts == shifts
        assert resolved.origins["shifts"] == origin


SHIFTS = st.none() | st.integers(0, 4)


@given(flag_=SHIFTS, variable=SHIFTS, preset=st.none() | st.sampled_from(list(PRESETS)))
def test_the_first_that_gives_a_value_gives_it(flag_, variable, preset):
    environ = {} if variable is None else {"DEMUCS_SHIFTS": str(variable)}
    settings = resolve({"shifts": flag_, "preset": preset}, environ).settings
    layers = [flag_, variable, preset and PRESETS[preset]["shifts"], 1]
    assert settings.shifts == next(value for value in layers if value is not None)


def test_a_flag_that_is_none_was_not_given():
    assert resolve({"overlap": None}, {}).origins["overlap"] == "default"


def test_false_is_given():
    resolved = resolve({"dither": False}, {})
    assert resolved.settings.dither is False
    assert resolved.origins["dither"] == "flag --no-dither"


def test_settings_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        Settings().overlap = 0.5


def test_stems_are_a_list_or_words_with_commas():
    for given_ in ("vocals, bass", ["vocals", "bass"], ("vocals", "bass", "vocals")):
        assert resolve({"stems": given_}, {}).settings.stems == ("vocals", "bass")


def test_demucs_ranges_hold_for_flags():
    settings = resolve({"shifts": 10, "overlap": 0.99, "seed": 2**40}, {}).settings
    assert (settings.shifts, settings.overlap) == (10, 0.99)
    random.seed(settings.seed)  # what the seed stands for
    assert resolve({"overlap": 0}, {}).settings.overlap == 0


@pytest.mark.parametrize(
    ("flags", "named", "needed"),
    [
        ({}, (), None),
        ({"stems": "vocals,bass"}, ("vocals", "bass"), ("vocals", "bass")),
        ({"stems": "vocals", "residual": True}, ("vocals",), None),
        ({"stems": "other", "conserve": True}, ("other",), None),
        ({"two_stems": "vocals"}, ("vocals",), None),
        ({"two_stems": "vocals", "other_method": "minus"}, ("vocals",), ("vocals",)),
        ({"two_stems": "vocals", "other_method": "none"}, ("vocals",), ("vocals",)),
    ],
)
def test_which_stems_are_needed(flags, named, needed):
    settings = resolve(flags, {}).settings
    assert settings.named_stems == named
    assert settings.needed_stems == needed


def test_what_needs_the_whole_track_first():
    assert not Settings().needs_survey
    assert Settings(normalize="track").needs_survey
    assert Settings(loudness=-16).needs_survey
    assert Settings(loudness=0).needs_survey


# the environment -------------------------------------------------------------------------------


def test_each_variable_sets_its_field():
    environ = {
        "DEMUCS_MODEL": "mdx",
        "DEMUCS_OVERLAP": "0.5",
        "DEMUCS_SHIFTS": "4",
        "USE_FLOAT32": "true",
        "TORCH_NUM_THREADS": "3",
        "PATH": "elsewhere",
    }
    resolved = resolve({}, environ)
    wanted = {
        "model": ("mdx", "DEMUCS_MODEL"),
        "overlap": (0.5, "DEMUCS_OVERLAP"),
        "shifts": (4, "DEMUCS_SHIFTS"),
        "sample_format": ("float32", "USE_FLOAT32"),
        "torch_num_threads": (3, "TORCH_NUM_THREADS"),
    }
    for name, (value, variable) in wanted.items():
        assert getattr(resolved.settings, name) == value
        assert resolved.origins[name] == f"environment {variable}"
    assert set(Environment.model_fields) == set(wanted)


@pytest.mark.parametrize(
    ("word", "sample_format"),
    [("1", "float32"), ("YES", "float32"), ("on", "float32"), ("False", "int16"), ("0", "int16")],
)
def test_use_float32_takes_words_and_goes_before_the_preset(word, sample_format):
    for preset in PRESETS:
        settings = resolve({"preset": preset}, {"USE_FLOAT32": word}).settings
        assert settings.sample_format == sample_format


def test_an_empty_variable_is_not_set():
    variables = [field.alias for field in Environment.model_fields.values()]
    assert resolve({}, dict.fromkeys(variables, "")) == resolve({}, {})


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("DEMUCS_OVERLAP", "0.9", "must be between 0.1 and 0.75; try 0.25"),
        ("DEMUCS_OVERLAP", "0.09", "must be between 0.1 and 0.75; try 0.25"),
        ("DEMUCS_OVERLAP", "nan", "must be between 0.1 and 0.75; try 0.25"),
        ("DEMUCS_SHIFTS", "5", "must be a whole number between 0 and 4; try 1"),
        ("DEMUCS_SHIFTS", "-1", "must be a whole number between 0 and 4; try 1"),
        ("DEMUCS_SHIFTS", "two", "must be a whole number between 0 and 4; try 1"),
        ("USE_FLOAT32", "perhaps", "must be true or false; try true"),
        ("TORCH_NUM_THREADS", "0", "must be a whole number between 1 and 1024; try 4"),
        ("TORCH_NUM_THREADS", "100000", "must be a whole number between 1 and 1024; try 4"),
    ],
)
def test_a_variable_out_of_its_range_is_refused_with_the_range(variable, value, words):
    assert refusal(environ={variable: value}) == f"{variable}={value} {words}"


@pytest.mark.parametrize("end", [0.1, 0.75])
def test_the_ends_of_the_range_belong_to_it(end):
    assert resolve({}, {"DEMUCS_OVERLAP": str(end)}).settings.overlap == end


# the settings file -----------------------------------------------------------------------------


def test_the_file_in_the_current_folder_is_read(tmp_path):
    (tmp_path / "stemstream.toml").write_text(
        'preset = "fast"\nshifts = 2\nstems = ["vocals"]\ndither = false\n'
    )
    resolved = resolve({}, {})
    assert resolved.settings.model == "htdemucs_quantized"
    assert resolved.settings.shifts == 2
    assert resolved.settings.stems == ("vocals",)
    assert resolved.origins["shifts"] == "stemstream.toml"
    assert resolved.origins["preset"] == "stemstream.toml"
    assert resolved.origins["overlap"] == "preset FAST"


def test_a_named_file_is_read_instead(tmp_path):
    (tmp_path / "stemstream.toml").write_text("shifts = 2\n")
    other = tmp_path / "other.toml"
    other.write_text("overlap = 0.5\n")
    resolved = resolve({}, {}, other)
    assert resolved.settings.shifts == 1
    assert resolved.origins["overlap"] == str(other)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("overlpa = 0.5", "stemstream.toml: overlpa is no setting; try overlap"),
        ("two-stems = 'x'", "stemstream.toml: two-stems is no setting; try two_stems"),
        ("overlap = 1.5", "stemstream.toml: overlap=1.5 must be between 0 and 0.99; try 0.25"),
        ("format = 'wma'", "stemstream.toml: format=wma must be one of wav, flac, mp3"),
        ("shifts = 1\nseed = = 2", "stemstream.toml is no valid TOML: Invalid value (at line 2"),
        ("zzz = 1", "stemstream.toml: zzz is no setting; there are preset, model"),
    ],
)
def test_a_wrong_file_is_refused_by_name(tmp_path, text, words):
    (tmp_path / "stemstream.toml").write_text(text)
    assert refusal().startswith(words)


def test_a_file_that_cannot_be_read(tmp_path):
    assert "nowhere.toml cannot be read (No such file" in refusal(config=tmp_path / "nowhere.toml")
    assert "cannot be read" in refusal(config=tmp_path)
    (tmp_path / "latin.toml").write_bytes(b'out = "\xe4"\n')
    assert "UTF-8" in refusal(config=tmp_path / "latin.toml")


KINDS = [Settings, LiveSettings, EvalSettings, TrainSettings]
HARMFUL = {
    "": ["model", "repo", "trust_checkpoint", "out", "filename", "overwrite", "resume", "project"],
    "live": [
        "input",
        "output",
        "scene",
        "scenes",
        "record",
        "takes",
        "report",
        "osc",
        "metrics",
        "system",
        "midi",
        "midi_map",
        "page",
        "token",
        "announce",
        "host",
        "jack_name",
        "connect",
    ],
    "eval": [],
    "train": [
        "data",
        "validation",
        "cache",
        "teacher",
        "model",
        "repo",
        "trust_checkpoint",
        "out",
        "overwrite",
        "resume",
    ],
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_found_file_sets_sound_alone(tmp_path, kind):
    """What decides on trust, paths, models, hosts and devices needs a flag or a named file."""
    harmful = set(HARMFUL[""] + HARMFUL[kind.table]) & set(kind.model_fields)
    assert {n for n, field in kind.model_fields.items() if not is_harmless(field)} == harmful
    for name in harmful:
        table = f"[{kind.table}]\n" if kind.table else ""
        (tmp_path / "stemstream.toml").write_text(f"{table}{name} = 1\n")
        with pytest.raises(SettingsError) as caught:
            resolve({}, {}, kind=kind)
        assert str(caught.value) == (
            f"stemstream.toml: {name} may not be set by a file that only lies in the folder; "
            "give --config stemstream.toml if you trust the file"
        )


def test_a_new_field_is_not_set_by_a_found_file(tmp_path):
    class More(Settings):
        plugin: str = Field("", description="what nobody has thought about yet")

    (tmp_path / "stemstream.toml").write_text("shifts = 2\n")
    assert resolve({}, {}, kind=More).settings.shifts == 2
    (tmp_path / "stemstream.toml").write_text("plugin = 'evil.so'\n")
    with pytest.raises(SettingsError):
        resolve({}, {}, kind=More)


def test_a_file_that_is_named_may_trust(tmp_path):
    config = tmp_path / "stemstream.toml"
    config.write_text("trust_checkpoint = true\nmodel = 'mine.th'\n")
    assert resolve({}, {}, config).settings.trust_checkpoint


def test_the_environment_does_not_trust():
    environ = {"DEMUCS_MODEL": "mine.th", "TRUST_CHECKPOINT": "1", "DEMUCS_TRUST_CHECKPOINT": "1"}
    assert not resolve({}, environ).settings.trust_checkpoint
    assert "trust_checkpoint" not in Environment.model_fields


# what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("overlap", 1.0, "--overlap=1.0 must be between 0 and 0.99; try 0.25"),
        ("overlap", -0.1, "--overlap=-0.1 must be between 0 and 0.99; try 0.25"),
        ("overlap", float("nan"), "--overlap=nan must be between 0 and 0.99; try 0.25"),
        ("shifts", -1, "--shifts=-1 must be a whole number between 0 and 100; try 1"),
        ("shifts", 101, "--shifts=101 must be a whole number between 0 and 100; try 1"),
        ("shifts", 1.5, "--shifts=1.5 must be a whole number between 0 and 100; try 1"),
        ("window", 0, "--window=0 must be between 0.1 and 600; try 7.8"),
        ("window", 0.0001, "--window=0.0001 must be between 0.1 and 600; try 7.8"),
        ("window", float("inf"), "--window=inf must be between 0.1 and 600; try 7.8"),
        ("hop", 0, "--hop=0 must be over 0 and at most 600; try 0.25"),
        ("seed", -1, "--seed=-1 must be a whole number between 0 and 1e+15; try 0"),
        ("jobs", -1, "--jobs=-1 must be a whole number between 0 and 1024; try 0"),
        ("batch", -1, "--batch=-1 must be a whole number between 0 and 256; try 0"),
        ("batch", 257, "--batch=257 must be a whole number between 0 and 256; try 0"),
        ("torch_num_threads", 0, "--torch-num-threads=0 must be a whole number between 1 and 1024"),
        ("torch_num_threads", 1025, "--torch-num-threads=1025 must be a whole number between 1"),
        ("loudness", 1, "--loudness=1 must be between -70 and 0; try -16"),
        ("loudness", -71, "--loudness=-71 must be between -70 and 0; try -16"),
        ("mp3_bitrate", 31, "--mp3-bitrate=31 must be a whole number between 32 and 320; try 320"),
        ("mp3_bitrate", 321, "--mp3-bitrate=321 must be a whole number between 32 and 320"),
        ("mp3_preset", 1, "--mp3-preset=1 must be a whole number between 2 and 7; try 2"),
        ("mp3_preset", 8, "--mp3-preset=8 must be a whole number between 2 and 7; try 2"),
        (
            "preset",
            "fats",
            "--preset=FATS must be one of AUDIOPHILE, PRODUCTION, DEVELOPMENT, FAST",
        ),
        ("clip_mode", "clam", "--clip-mode=clam must be one of soft, rescale, clamp, none; try cl"),
        ("normalize", "peak", "--normalize=peak must be one of rms, track, none; try rms"),
        ("other_method", "x", "--other-method=x must be one of add, minus, none; try add"),
        ("format", "aiff", "--format=aiff must be one of wav, flac, mp3, ogg, opus, m4a, stem.mp4"),
        ("resampler", "sox", "--resampler=sox must be one of soxr, torchaudio; try soxr"),
        ("dither", "maybe", "--dither=maybe must be true or false; try true"),
        ("model", "", "--name= must not be empty; try auto"),
        ("stems", "", "--stems= must be one or more stems, with commas between; try vocals,bass"),
        ("stems", "vocals,,bass", "--stems=vocals,,bass must be one or more stems"),
        ("two_stems", "", "--two-stems= must not be empty; try vocals"),
        ("modle", "mdx", "modle is no setting; try model"),
        ("segment", 7.8, "segment is no setting; try window"),
    ],
)
def test_a_wrong_value_is_one_sentence_with_the_way_out(name, value, words):
    message = refusal({name: value})
    assert message.startswith(words)
    assert "\n" not in message


@pytest.mark.parametrize(
    "template",
    [
        "",
        "{track}",
        "{stem}{}",
        "{stem}{0}",
        "{stem}{name}",
        "{",
        "{stem",
        "{stem:d}",
        "{stem.x}",
        "{stem:.0}",
    ],
)
def test_a_filename_that_cannot_be_filled_in(template):
    assert "must hold {stem}" in refusal({"filename": template})


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{stem}/../x.{ext}", "must stay in the folder of --out"),
        ("../{stem}.{ext}", "must stay in the folder of --out"),
        ("/tmp/{stem}.{ext}", "must stay in the folder of --out"),
        ("{stem:>999999999}", "no field wider than 255"),
        ("{stem:>{track}}", "no field wider than 255"),
        ("{stem}\0", "no NUL character"),
    ],
)
def test_a_filename_that_leads_elsewhere_or_never_ends_says_so(template, words):
    assert words in refusal({"filename": template})
    assert "--filename" in refusal({"filename": template})


def test_a_stem_mp4_is_named_without_a_stem():
    for template in ("{track}", "{trackext}/{track}.{ext}", "one"):
        settings = resolve({"filename": template, "format": "stem.mp4"}, {}).settings
        assert settings.filename == template
    message = refusal({"filename": "{track} {stem}", "format": "stem.mp4"})
    assert "must not hold {stem}" in message
    assert "{track}, {trackext}, {ext}" in message


@pytest.mark.parametrize("template", ["{stem}", "{track}-{stem}.{ext}", "{trackext}/{{}}{stem:>9}"])
def test_a_filename_that_can(template):
    assert resolve({"filename": template}, {}).settings.filename == template


@pytest.mark.parametrize(
    ("flags", "way_out"),
    [
        (
            {"two_stems": "vocals", "stems": "bass"},
            "--two-stems and --stems name different outputs; give one of them",
        ),
        ({"two_stems": "vocals", "residual": True}, "try --stems and --residual"),
        (
            {"two_stems": "vocals", "conserve": True},
            "try --other-method=minus, which loses nothing",
        ),
        ({"residual": True, "conserve": True}, "give one of them"),
        ({"overwrite": True, "resume": True}, "give one of them"),
        ({"format": "stem.mp4", "stems": "vocals"}, "leave out --stems, or try --format=wav"),
        (
            {"format": "stem.mp4", "two_stems": "vocals"},
            "leave out --two-stems, or try --format=wav",
        ),
        ({"format": "stem.mp4", "residual": True}, "leave out --residual, or try --format=wav"),
        (
            {"conserve": True, "stems": "vocals,bass"},
            "and --stems=vocals,bass leaves that out; add other, or try --residual",
        ),
    ],
)
def test_what_excludes_each_other(flags, way_out):
    assert refusal(flags).endswith(way_out)
    for left_out in flags:
        fewer = {name: value for name, value in flags.items() if name != left_out}
        resolve(fewer, {})


def test_what_excludes_each_other_is_called_as_it_was_written(tmp_path):
    config = tmp_path / "mine.toml"
    config.write_text("resume = true\n")
    words = f"--overwrite replaces what {config}: resume keeps; give one of them"
    assert refusal({"overwrite": True}, config=config) == words
    with pytest.raises(SettingsError) as refused:
        Settings(overwrite=True, resume=True)
    assert str(refused.value) == "overwrite replaces what resume keeps; give one of them"


@pytest.mark.parametrize(
    ("kind", "flags", "sentence"),
    [
        (
            Settings,
            {"hop": 0.25, "overlap": 0.5},
            "--overlap and --hop are for windows of two kinds; give one of them",
        ),
        (
            EvalSettings,
            {"crossfade": 0.0, "overlap": 0.5},
            "--overlap and --crossfade are for windows of two kinds; give one of them",
        ),
        (
            Settings,
            {"out": "-", "overwrite": True},
            "--overwrite is for files, and --out=- writes none; leave out --overwrite",
        ),
        (
            Settings,
            {"out": "-", "filename": "{stem}.{ext}"},
            "--filename is for files, and --out=- writes none; leave out --filename",
        ),
        (
            EvalSettings,
            {"hops": "0.1"},
            "--hops is for the curve of SDR against delay; give --live too",
        ),
        (
            EvalSettings,
            {"live": True, "bss_eval": True},
            "--live never gives --bss-eval; leave out one of them",
        ),
        (
            TrainSettings,
            {"validation": "songs", "held_out": 0.2},
            "--held-out holds songs out, and --validation names others; give one of them",
        ),
        (
            TrainSettings,
            {"augment": False, "pitch": 0.5},
            "--pitch varies examples, and --augment is off; leave out --pitch",
        ),
    ],
)
def test_a_flag_that_does_nothing_beside_the_others_is_refused(tmp_path, kind, flags, sentence):
    with pytest.raises(SettingsError) as refused:
        resolve(flags, {}, kind=kind)
    assert str(refused.value) == sentence
    # a settings file may hold what other runs need
    config = tmp_path / "mine.toml"
    lines = (f"{name} = {json.dumps(value)}\n" for name, value in flags.items())
    config.write_text(f"[{kind.table}]\n" * bool(kind.table) + "".join(lines))
    resolve({}, {}, config, kind=kind)


# settings that are constructed in Python ---------------------------------------------------------

KINDS = [Settings, BatchSettings, LiveSettings, EvalSettings, TrainSettings]
ODD = [
    *(float("nan"), -1e9, 10**5000, True, b"", "", "\n", "x" * 5000, "\0", [], [None], {}, 1j),
    *(object(), np.zeros(2), ["a", 5], Path("x" * 9999), lambda: 0),
]


@pytest.mark.parametrize(
    ("kind", "given_", "words"),
    [
        (Settings, {"overlap": 5}, "overlap=5 must be between 0 and 0.99; try 0.25"),
        (Settings, {"jobs": 1.5}, "jobs=1.5 must be a whole number between 0 and 1024; try 0"),
        (Settings, {"overlop": 0.5}, "overlop is no setting; try overlap"),
        (Settings, {"format": "wave"}, "format=wave must be one of wav, .*; try wav"),
        (LiveSettings, {"blocksize": 1}, "blocksize=1 must be .* between 16 and 16384; try 256"),
        (LiveSettings, {"start": 9, "end": 2}, "end=2 must be after start=9 .*; try end=39"),
        (EvalSettings, {"hops": "x"}, "hops=x must be seconds between 0 and 600.*; try 0.1,.*"),
        (TrainSettings, {"ema": None}, "ema=none must be between 0 and 0.99999; try 0.999"),
    ],
)
def test_a_wrong_value_in_python_is_one_sentence_of_ours(kind, given_, words):
    with pytest.raises(SettingsError) as refused:
        kind(**given_)
    assert re.fullmatch(words, str(refused.value))
    assert refused.value.__suppress_context__, "a traceback shows no other error"


@pytest.mark.parametrize("kind", KINDS)
def test_any_value_of_any_field_is_taken_or_refused_in_one_line(kind):
    sentences = []
    for name in kind.model_fields:
        for odd in ODD:
            try:
                kind(**{name: odd})
            except SettingsError as refused:
                sentences.append((name, str(refused)))
    assert len(sentences) > 10 * len(kind.model_fields)
    for name, sentence in sentences:
        assert sentence.startswith((name, "the settings"))
        assert len(sentence.splitlines()) == 1
        assert len(sentence) < 400


def test_a_refusal_reaches_another_process_as_its_sentence():
    with pytest.raises(SettingsError) as refused:
        Settings(overlap=5)
    copied = pickle.loads(pickle.dumps(refused.value))
    assert (type(copied), str(copied)) == (SettingsError, str(refused.value))


# what others make of the fields ----------------------------------------------------------------


def test_every_field_has_help():
    for name, field in Settings.model_fields.items():
        assert field.description, name


def test_every_suggestion_is_a_value_that_is_taken():
    for name, field in Settings.model_fields.items():
        for example in field.examples or [field.default]:
            resolve({name: example}, {})


def test_every_range_can_be_said():
    assert allowed(Settings.model_fields["overlap"]) == "between 0 and 0.99"
    assert allowed(Settings.model_fields["other_method"]) == "one of add, minus, none"
    for model in (Settings, Environment):
        assert all(allowed(field) for field in model.model_fields.values())


def test_rows_for_a_table():
    rows = resolve({"preset": "fast", "stems": "vocals,bass", "dither": False}, {}).rows()
    assert [name for name, _, _ in rows] == FIELDS
    assert ("overlap", "0.1", "preset FAST") in rows
    assert ("stems", "vocals,bass", "flag --stems") in rows
    assert ("dither", "false", "flag --no-dither") in rows
    assert ("window", "none", "default") in rows


def test_flags_are_demucs_flags():
    assert flag("two_stems") == "--two-stems"
    assert flag("model") == "--name"
    assert flag("sample_format", "int24") == "--int24"
    assert flag("overwrite", True) == "--overwrite"


def test_importing_loads_neither_torch_nor_numpy():
    code = "import sys, streamer.settings; sys.exit(bool({'torch', 'numpy'} & set(sys.modules)))"
    # from the folder of the project, not from the empty one
    root = Path(__file__).parents[1]
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=root).returncode == 0
