import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.errors import SettingsError, SinkError
from streamer.live.mixing.mixer import Mixer
from streamer.live.mixing.routes import Place, Route, parse_route
from streamer.live.mixing.scene import SceneFile, dump_scene, load_scene, save_scene
from streamer.live.mixing.state import Listener, Scene, Send, StemState

BAND = """
master_db = -3
fallback = "silence"

[routes]
front = ["vocals=1,2", "drums=1,2@-3"]
"the drummer" = ["mix-drums=3,4", "PA:vocals=3,4@-6"]

[stems.vocals]
gain_db = -2.5
mute = true
solo = false
pan = 0.25

[stems.drums]
gain_db = -inf
"""

EXPECTED = Scene(
    stems={"vocals": StemState(-2.5, True, False, 0.25), "drums": StemState(-90)},
    routes=(
        Route("vocals", (1, 2), listener="front"),
        Route("drums", (1, 2), "", -3, "front"),
        Route("mix-drums", (3, 4), listener="the drummer"),
        Route("vocals", (3, 4), "PA", -6, "the drummer"),
    ),
    master_db=-3,
    fallback="silence",
)


@pytest.fixture
def band(tmp_path):
    path = tmp_path / "band.toml"
    path.write_text(BAND)
    return path


@pytest.fixture
def mixer():
    return Mixer(["drums", "bass", "other", "vocals"], {"PA": 8}, [parse_route("mix=7,8")])


def edit(path, text):
    """Write as an editor does, and make sure that the time is another one."""
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text(text)
    os.utime(path, ns=(before + 1_000_000, before + 1_000_000))


def told_by(call, *args, error=SettingsError):
    with pytest.raises(error) as caught:
        call(*args)
    told = str(caught.value)
    assert "\n" not in told
    return told


# files -----------------------------------------------------------------------------------------


def test_a_scene_file(band):
    assert load_scene(band) == EXPECTED


@pytest.mark.parametrize(
    ("text", "scene"),
    [
        ("master_db = 0", Scene()),
        ('routes = ["vocals=1,2"]', Scene(routes=(Route("vocals", (1, 2)),))),
        ("routes = []", Scene(routes=())),
        ("[stems.bass]", Scene({"bass": StemState()})),
        ("[stems.bass]\nmute = 1", Scene({"bass": StemState(mute=True)})),
    ],
)
def test_what_is_left_out_is_at_its_default(band, text, scene):
    band.write_text(text)
    assert load_scene(band) == scene


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "the scene is empty"),
        ("# nothing yet", "the scene is empty"),
        ("master_db = ", "this is no valid TOML: Invalid value (at end of document); mend that"),
        ("a = 1\na = 2", "this is no valid TOML"),
        ("master = 1", "master is nothing a scene knows; try master_db"),
        ("zzz = 1", "zzz is nothing a scene knows; there are stems, routes, master_db, fallback"),
        ("master_db = 40", "master_db=40 must be a number of dB up to 12"),
        ("master_db = nan", "master_db=nan must be a number of dB"),
        ('fallback = "wet"', "fallback=wet must be dry or silence; try dry"),
        ("fallback = [1]", "fallback=1 must be dry or silence"),
        ("stems = 1", "stems=1 must be a table; try [stems]"),
        ("[stems]\nvocals = -3", "stems.vocals=-3 must be a table; try [stems.vocals]"),
        ("[stems.vocals]\ngain = -3", "stems.vocals.gain is nothing a scene knows; try gain_db"),
        ('[stems.vocals]\ngain_db = "3"', "stems.vocals.gain_db=3 must be a number of dB"),
        ("[stems.vocals]\npan = 2", "stems.vocals.pan=2 must be a number between -1"),
        ("[stems.vocals]\nmute = 2", "stems.vocals.mute=2 must be 0 or 1"),
        ('[stems.vocals]\nsolo = "yes"', "stems.vocals.solo=yes must be 0 or 1"),
        ("routes = 3", 'routes must be a list of routes; try ["vocals=1,2"]'),
        ("[routes]\nme = [1]", "routes.me must be a list of routes"),
        ('[routes]\nme = ["vocals"]', "route vocals must be a source and its channels"),
        ("x = " + "[" * 10_000, "TOML"),
        ("master_db = " + "1" * 5000, "TOML"),
    ],
)
def test_a_wrong_file(band, text, told):
    band.write_text(text)
    sentence = told_by(load_scene, band)
    assert told in sentence
    assert sentence.startswith(f"{band}: ") or len(str(band)) > 60
    assert len(sentence) < 300


def test_files_that_are_none(tmp_path):
    assert "No such file" in told_by(load_scene, tmp_path / "gone.toml")
    assert "is no scene file" in told_by(load_scene, tmp_path)
    assert "is no file name" in told_by(load_scene, type(tmp_path)("a\0b"))
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert "is no scene file" in told_by(load_scene, pipe)
    large = tmp_path / "large"
    large.touch()
    os.truncate(large, 2 << 20)
    assert "is no scene file" in told_by(load_scene, large)
    latin = tmp_path / "latin"
    latin.write_bytes(b"# \xe4")
    assert "UTF-8" in told_by(load_scene, latin)


LISTENERS = """
[routes]
drummer = ["mix-drums=3,4"]

[listeners.drummer]

[listeners.singer]
output = "PA:5,6"
me = "vocals"
more_db = 3
gain_db = -1.5
stems.drums = { gain_db = -6.0 }
stems.bass = { mute = true }
"""


def test_a_scene_with_listeners(band):
    band.write_text(LISTENERS)
    assert load_scene(band).listeners == {
        "drummer": Listener(),
        "singer": Listener(
            Place((5, 6), "PA"),
            gain_db=-1.5,
            me="vocals",
            more_db=3,
            stems={"drums": Send(-6), "bass": Send(mute=True)},
        ),
    }


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("listeners = 1", "listeners=1 must be a table; try [listeners]"),
        ("[listeners]\nme = 3", "listeners.me=3 must be a table; try [listeners.me]"),
        ("[listeners.me]\ngain = 3", "listeners.me.gain is nothing a scene knows; try gain_db"),
        ("[listeners.me]\nmore_db = -1", "more_db=-1 must be a number of dB from 0 to 12; try 6"),
        ("[listeners.me]\nme = 1", "listeners.me.me=1 must be the name of a stem"),
        ("[listeners.me]\noutput = 3", "listeners.me.output=3 must be one or two channels; try"),
        ('[listeners.me]\noutput = "a=1"', "listeners.me.output=a=1 must be one or two channels"),
        ('[listeners.me]\noutput = "0"', "must name one channel (mono) or two different ones"),
        ("[listeners.me.stems]\nbass = 1", "listeners.me.stems.bass=1 must be a table"),
        ("[listeners.me.stems.bass]\npan = 1", "listeners.me.stems.bass.pan is nothing a scene"),
        ('[listeners."../x"]', "listeners: '../x' must be a plain name"),
        ('[listeners."the drummer"]', "must be a name without spaces and any of #*,?[]{}; rename"),
        ('[listeners."a*"]', "listeners: a* must be a name without spaces"),
    ],
)
def test_a_wrong_listener_in_a_file(band, text, told):
    band.write_text(text)
    assert told in told_by(load_scene, band)


NAMES = st.text(max_size=8)
PEOPLE = st.from_regex(r"[a-zäñ0-9_-]{1,8}", fullmatch=True)
GAINS = st.floats(-90, 12)


@given(
    st.builds(
        Scene,
        st.dictionaries(
            NAMES, st.builds(StemState, GAINS, st.booleans(), st.booleans(), st.floats(-1, 1))
        ),
        st.none()
        | st.lists(
            st.builds(
                Route,
                st.sampled_from(["vocals", "mix-bass"]),
                st.sampled_from([(1,), (3, 4)]),
                st.sampled_from(["", 'a "b" \\ c', "ALSA:x = y"]),
                GAINS,
                NAMES,
            )
        ).map(lambda routes: tuple(sorted(routes, key=lambda route: route.listener))),
        GAINS,
        st.sampled_from([None, "dry", "silence"]),
        st.dictionaries(
            PEOPLE,
            st.builds(
                Listener,
                st.none() | st.builds(Place, st.just((3, 4)), st.sampled_from(["", "A:b c"])),
                GAINS,
                st.sampled_from(["", "vocals"]),
                st.floats(0, 12),
                st.dictionaries(NAMES, st.builds(Send, GAINS, st.booleans()), max_size=2),
            ),
            max_size=2,
        ),
    )
)
def test_a_saved_scene_is_read_back_the_same(tmp_path_factory, scene):
    path = tmp_path_factory.getbasetemp() / "saved.toml"
    save_scene(path, scene)
    assert load_scene(path) == scene


def test_saving_replaces_the_old_file_as_a_whole(band, mixer):
    mixer.set_gain("vocals", -3)
    save_scene(band, mixer.scene())
    assert load_scene(band) == mixer.scene()
    assert [path.name for path in band.parent.iterdir()] == ["band.toml"]


def test_saving_where_one_cannot(tmp_path):
    (tmp_path / "file").touch()
    told = told_by(save_scene, tmp_path / "file" / "scene.toml", Scene(), error=SinkError)
    assert "cannot be written" in told


def test_a_scene_is_written_for_people():
    scene = replace(EXPECTED, stems={"vocals": StemState(-2.5, True)})
    assert dump_scene(scene).splitlines() == [
        "master_db = -3",
        'fallback = "silence"',
        "",
        "[routes]",
        'front = ["vocals=1,2", "drums=1,2@-3"]',
        '"the drummer" = ["mix-drums=3,4", "PA:vocals=3,4@-6"]',
        "",
        "[stems.vocals]",
        "gain_db = -2.5",
        "mute = true",
        "solo = false",
        "pan = 0.0",
    ]


# while it plays --------------------------------------------------------------------------------


def test_an_edited_scene_is_loaded_once_it_is_at_rest(band, mixer):
    scene = SceneFile(band)
    scene.recall(mixer)
    assert mixer.state.stems["vocals"].gain_db == -2.5
    assert scene.follow(mixer) is None
    edit(band, BAND.replace("-2.5", "-7"))
    assert scene.follow(mixer) is None  # it may still be being written
    assert mixer.state.stems["vocals"].gain_db == -2.5
    assert scene.follow(mixer) == "scene band.toml loaded"
    assert mixer.state.stems["vocals"].gain_db == -7
    assert scene.follow(mixer) is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("master_db = ", "no valid TOML"),
        ("", "the scene is empty"),
        ("[stems.guitar]\nmute = true", "the model has no stem guitar"),
        ('routes = ["vocals=9,10"]', "needs channel 10"),
    ],
)
def test_a_wrong_edit_is_told_once_and_the_scene_before_stays(band, mixer, text, told):
    scene = SceneFile(band)
    scene.recall(mixer)
    before = mixer.state
    edit(band, text)
    sentences = [scene.follow(mixer) for _ in range(5)]
    [sentence] = filter(None, sentences)
    assert told in sentence
    assert str(band) in sentence
    assert sentence.endswith("; the scene before stays")
    assert mixer.state is before
    edit(band, BAND.replace("-2.5", "-7"))
    assert [scene.follow(mixer) for _ in range(3)] == [None, "scene band.toml loaded", None]


def test_a_file_that_is_away_for_a_moment_is_no_change(band, mixer):
    scene = SceneFile(band)
    scene.recall(mixer)
    before = mixer.state
    aside = band.rename(band.with_name("aside"))
    assert [scene.follow(mixer) for _ in range(3)] == [None] * 3
    aside.rename(band)
    assert [scene.follow(mixer) for _ in range(3)] == [None] * 3
    assert mixer.state is before


def test_a_file_that_is_emptied_and_then_written_is_one_change(band, mixer):
    scene = SceneFile(band)
    scene.recall(mixer)
    seen = []
    edit(band, "")
    seen.append(scene.follow(mixer))
    edit(band, "master_db = -1")
    seen += [scene.follow(mixer), scene.follow(mixer)]
    assert seen == [None, None, "scene band.toml loaded"]


def test_recalling_a_scene_that_does_not_fit(band, mixer):
    before = mixer.state
    band.write_text("[stems.guitar]")
    told = told_by(SceneFile(band).recall, mixer)
    assert told.startswith(f"{band}: the model has no stem guitar")
    assert mixer.state is before


def test_the_scenes_in_the_docs(tmp_path):
    mixer = Mixer(["drums", "bass", "other", "vocals"], {"PA": 8})
    page = (Path(__file__).parents[3] / "docs" / "mixing.md").read_text("utf-8")
    path = tmp_path / "docs.toml"
    with_listeners, whole = (part.split("```")[0] for part in page.split("```toml\n")[1:])
    path.write_text(with_listeners)
    SceneFile(path).recall(mixer)
    assert mixer.state.listeners["drummer"].more_db == 4
    assert mixer.state.listeners["singer"].stems["bass"] == Send(mute=True)
    path.write_text(whole)
    SceneFile(path).recall(mixer)
    assert mixer.state.stems["vocals"] == StemState(-2, pan=0.25)
    assert {route.listener for route in mixer.state.routes} == {"front", "drummer"}
