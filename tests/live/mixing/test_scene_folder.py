"""Scenes by name: listed, recalled, saved and renamed, and never a path."""

from __future__ import annotations

import threading

import pytest
from live.support.desk import STEMS

from streamer.errors import SettingsError, SinkError
from streamer.live.mixing.mixer import Mixer
from streamer.live.mixing.scene import load_scene
from streamer.live.mixing.scene_folder import MOST_SCENES, SceneFolder, user_folder

PATHS = ["../out", "/etc/passwd", "a/b", "a\\b", "c:x"]


@pytest.fixture
def mixer():
    return Mixer(STEMS, {"PA": 8})


@pytest.fixture
def scenes(tmp_path, mixer):
    return SceneFolder(tmp_path / "scenes", mixer)


def told(call, *args, error=SettingsError):
    with pytest.raises(error) as caught:
        call(*args)
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def test_a_scene_is_saved_listed_and_recalled_by_its_name(scenes, mixer):
    assert (scenes.names, scenes.current) == ((), "")
    mixer.set_gain("bass", -7)
    scenes.save("verse")
    mixer.set_gain("bass", 0)
    scenes.save("Chorus 2")
    assert (scenes.names, scenes.current) == (("Chorus 2", "verse"), "Chorus 2")
    scenes.recall("verse")
    assert mixer.state.stems["bass"].gain_db == -7
    assert scenes.current == "verse"
    assert load_scene(scenes.folder / "verse.toml") == mixer.scene()


def test_saving_again_replaces_the_scene_and_leaves_nothing_else(scenes, mixer):
    for gain in (-1, -2):
        mixer.set_gain("bass", gain)
        scenes.save("verse")
    assert [path.name for path in scenes.folder.iterdir()] == ["verse.toml"]
    scenes.recall("verse")
    assert mixer.state.stems["bass"].gain_db == -2


def test_what_is_moved_after_a_save_is_not_taken_back(scenes, mixer):
    scenes.save("verse")
    mixer.set_gain("bass", -5)
    assert [scenes.follow() for _ in range(3)] == [None] * 3
    assert mixer.state.stems["bass"].gain_db == -5


def test_a_recalled_scene_is_followed_while_it_is_edited(scenes, mixer):
    scenes.save("verse")
    scenes.recall("verse")
    (scenes.folder / "verse.toml").write_text("[stems.bass]\ngain_db = -9.0\n")
    assert scenes.follow() is None  # it may still be being written
    assert scenes.follow() == "scene verse.toml loaded"
    assert mixer.state.stems["bass"].gain_db == -9


def test_a_scene_gets_another_name_and_is_still_the_one_that_plays(scenes):
    scenes.save("verse")
    scenes.rename("verse", "strophe")
    assert (scenes.names, scenes.current) == (("strophe",), "strophe")
    scenes.save("chorus")
    assert "must be a name that no scene has yet" in told(scenes.rename, "chorus", "strophe")
    assert "has no scene verse; it has chorus, strophe" in told(scenes.rename, "verse", "x")
    scenes.rename("chorus", "chorus")
    assert scenes.names == ("chorus", "strophe")


@pytest.mark.parametrize(
    "name",
    [*PATHS, "", ".", "..", ".hidden", "a\0b", "x" * 300, "\x1b[2J", "a\nb", None, 3, ["a"], b"a"],
)
def test_no_name_leads_out_of_the_folder(scenes, mixer, name):
    scenes.save("verse")
    outside = scenes.folder.parent / "out.toml"
    outside.write_text("master_db = -40.0")
    for call in (scenes.recall, scenes.save, lambda one: scenes.rename("verse", one)):
        assert "rename it" in told(call, name)
    assert "rename it" in told(scenes.rename, name, "other")
    assert scenes.names == ("verse",)
    assert mixer.state.master_db == 0
    assert sorted(path.name for path in scenes.folder.parent.iterdir()) == ["out.toml", "scenes"]


def test_a_scene_that_is_not_there_or_wrong_changes_nothing(scenes, mixer):
    assert told(scenes.recall, "verse").endswith("has no scene verse; save one first")
    scenes.save("verse")
    assert told(scenes.recall, "vers") == "the folder has no scene vers; try verse"
    (scenes.folder / "broken.toml").write_text("master_db = ")
    before = mixer.state
    assert "no valid TOML" in told(scenes.recall, "broken")
    assert mixer.state is before
    assert scenes.current == "verse"


def test_a_folder_that_takes_no_file_is_one_sentence(tmp_path, mixer):
    (tmp_path / "file").touch()
    scenes = SceneFolder(tmp_path / "file" / "scenes", mixer)
    assert "cannot be written: " in told(scenes.save, "verse", error=SinkError)
    assert (scenes.names, scenes.current) == ((), "")


def test_only_scenes_are_listed_and_not_too_many(scenes):
    scenes.folder.mkdir()
    for name in ["a.toml", ".b.toml", "c.txt", "d.toml.12345678abcdefab.part"]:
        (scenes.folder / name).touch()
    scenes.follow()
    assert scenes.names == ("a",)
    for number in range(MOST_SCENES + 5):
        (scenes.folder / f"scene {number}.toml").touch()
    scenes.follow()
    assert len(scenes.names) == MOST_SCENES
    scenes.save("zulu")
    scenes.recall("zulu")
    scenes.rename("zulu", "zz")
    assert scenes.current == "zz"


def test_following_waits_for_no_slow_disk(scenes, mixer):
    """The engine's thread follows; a remote's saves."""
    scenes.save("verse")
    scene, at_the_disk, let_go = mixer.scene(), threading.Event(), threading.Event()

    class SlowMixer:
        def scene(self):
            at_the_disk.set()
            assert let_go.wait(10)
            return scene

    slow = SceneFolder(scenes.folder, SlowMixer())
    saving = threading.Thread(target=slow.save, args=("verse",))
    saving.start()
    assert at_the_disk.wait(10)
    assert slow.follow() is None
    let_go.set()
    saving.join()
    assert slow.current == "verse"


def test_the_folder_of_ones_own(monkeypatch, tmp_path):
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert user_folder() == tmp_path / "stemstream" / "scenes"
    monkeypatch.setenv("XDG_DATA_HOME", "not/absolute")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_folder() == tmp_path / ".local" / "share" / "stemstream" / "scenes"


def test_a_save_on_a_disk_that_hangs_keeps_nobody_waiting(scenes, monkeypatch):
    scenes.save("verse")
    at_the_disk, disk = threading.Event(), threading.Event()

    def hang(*_):
        at_the_disk.set()
        disk.wait(30)

    monkeypatch.setattr("streamer.live.mixing.scene_folder.save_scene", hang)
    monkeypatch.setattr("streamer.live.mixing.scene_folder.BUSY_SECONDS", 0.05)
    saving = threading.Thread(target=scenes.save, args=("verse",))
    saving.start()
    assert at_the_disk.wait(10)
    for act, name in ((scenes.recall, "verse"), (scenes.load, "x.toml"), (scenes.save, "other")):
        assert "a scene is being saved" in told(act, name)
    assert saving.is_alive()
    disk.set()
    saving.join()
    scenes.recall("verse")
