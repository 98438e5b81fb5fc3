"""Files that lie: they reach nothing else, end in one sentence, and take little memory."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile

from streamer.audio import Samples
from streamer.errors import SourceError
from streamer.files import open_source, stem_streams
from streamer.files.mp4_boxes import read_stem_names
from streamer.files.tags import read_tags

Tone = Callable[..., Samples]
Ffmpeg = Callable[..., bytes]

SDP = """v=0
o=- 0 0 IN IP4 127.0.0.1
s=song
c=IN IP4 127.0.0.1
t=0 0
m=audio 5004 RTP/AVP 0
"""
HLS = """#EXTM3U
#EXT-X-VERSION:3
#EXT-X-TARGETDURATION:2
#EXTINF:1.0,
secret.wav
#EXT-X-ENDLIST
"""
DASH = """<?xml version="1.0"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT1S">
<Period><AdaptationSet mimeType="audio/mp4"><Representation id="1" bandwidth="1">
<BaseURL>secret.wav</BaseURL></Representation></AdaptationSet></Period></MPD>
"""
REFERRING = {
    "SDP": SDP,
    "ffconcat": "ffconcat version 1.0\nfile secret.wav\n",
    "HLS": HLS,
    "DASH": DASH,
}


class Watch:
    """Looks, as fast as it can, which sockets this process has, and who reads a pipe."""

    def __init__(self, pipe: Path) -> None:
        self._pipe = pipe
        self.sockets: set[str] = set()
        self.was_read = False

    def look(self) -> None:
        for entry in Path("/proc/self/fd").iterdir():
            try:
                target = str(entry.readlink())
            except OSError:
                continue
            if target.startswith("socket:"):
                self.sockets.add(target)
        try:  # only while somebody has it open to read
            os.close(os.open(self._pipe, os.O_WRONLY | os.O_NONBLOCK))
            self.was_read = True
        except OSError:
            pass


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
@pytest.mark.parametrize("kind", list(REFERRING))
@pytest.mark.parametrize("name", ["song.mp3", "song.wav", "song.m4a"])
def test_a_song_opens_no_ports_and_no_other_files(
    tmp_path: Path, kind: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("secret.wav")
    (tmp_path / name).write_text(REFERRING[kind])
    caught: list[Exception] = []

    def open_it() -> None:
        for call in (lambda: open_source(tmp_path / name), lambda: read_tags(tmp_path / name)):
            try:
                call()
            except SourceError as error:
                caught.append(error)
        stem_streams(tmp_path / name)

    watch = Watch(tmp_path / "secret.wav")
    watch.look()
    before = set(watch.sockets)
    opening = threading.Thread(target=open_it, daemon=True)
    opening.start()
    while opening.is_alive():
        watch.look()
    assert watch.sockets == before
    assert not watch.was_read
    assert "is not audio that can be read" in str(caught[0])


def test_another_file_is_not_separated_by_ffconcat(tmp_path: Path, tone: Tone) -> None:
    soundfile.write(tmp_path / "secret.wav", tone(4000), 44100)
    (tmp_path / "song.mp3").write_text(REFERRING["ffconcat"])
    with pytest.raises(SourceError, match="is not audio"):
        open_source(tmp_path / "song.mp3")


def test_damaged_tags_do_not_keep_a_song_from_being_read(
    tmp_path: Path, tone: Tone, ffmpeg: Ffmpeg
) -> None:
    """mutagen raises struct.error at a cut MP4 atom, and IndexError at an Ogg page of no pieces."""
    soundfile.write(tmp_path / "a.wav", tone(9000), 44100)
    ffmpeg("-i", tmp_path / "a.wav", "-metadata", "title=T", tmp_path / "a.opus")
    data = bytearray((tmp_path / "a.opus").read_bytes())
    data[26] = 0
    (tmp_path / "a.opus").write_bytes(data)
    assert read_tags(tmp_path / "a.opus") == {}
    with pytest.raises(SourceError, match="is not audio"):
        open_source(tmp_path / "a.opus")


def test_a_seek_to_nowhere_is_one_sentence(tmp_path: Path, tone: Tone) -> None:
    path = tmp_path / "a.w64"
    soundfile.write(path, tone(3000), 44100, format="W64", subtype="PCM_16")
    data = bytearray(path.read_bytes())
    told = []
    for place in range(40, 120):
        path.write_bytes(data[:place] + b"\xff" + data[place + 1 :])
        try:
            with open_source(path) as source:
                sum(map(len, source.blocks()))
        except SourceError as error:
            told.append(str(error))
    assert told
    assert all("\n" not in sentence for sentence in told)


@pytest.mark.parametrize(
    "text", [b"[" * 100_000, b'{"stems": ' + b"[" * 50_000, b'{"stems": 3}', b"\xff", b'{"stems']
)
def test_a_deep_stem_box_is_no_traceback(tmp_path: Path, text: bytes) -> None:
    stem = struct.pack(">I4s", 8 + len(text), b"stem") + text
    udta = struct.pack(">I4s", 8 + len(stem), b"udta") + stem
    (tmp_path / "a.mp4").write_bytes(struct.pack(">I4s", 8 + len(udta), b"moov") + udta)
    assert read_stem_names(tmp_path / "a.mp4") == []


def test_a_box_that_ends_in_its_header_is_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(struct.pack(">I4s", 1, b"moov") + b"\0\0")
    assert read_stem_names(tmp_path / "a.mp4") == []


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_a_title_of_a_gigabyte_takes_no_gigabyte(tmp_path: Path) -> None:
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 2, 16000, 16000 * 16, 16, 64)
    title = struct.pack("<4sI4s4sI", b"LIST", 2_400_000_000, b"INFO", b"INAM", 1_200_000_000)
    data = struct.pack("<4sI", b"data", 24_000) + bytes(24_000)
    for order in ([fmt, title, data], [fmt, data, title]):
        body = b"WAVE" + b"".join(order)
        (tmp_path / "a.wav").write_bytes(struct.pack("<4sI", b"RIFF", len(body)) + body)
        code = (
            "import sys; from pathlib import Path; from streamer.files import open_source\n"
            "try:\n    print(sum(map(len, open_source(sys.argv[1]).blocks())))\n"
            "except Exception as error: print(type(error).__name__)\n"
            "print(Path('/proc/self/status').read_text().partition('VmHWM:')[2].split()[0])"
        )
        command = [sys.executable, "-c", code, str(tmp_path / "a.wav")]
        done = subprocess.run(command, capture_output=True, check=True, text=True)
        fate, peak = done.stdout.split()
        assert fate in ("1500", "SourceError")
        assert int(peak) < 600_000


def test_damaged_files_end_in_one_sentence_each(ffmpeg: Ffmpeg) -> None:
    """Two thousand of them: no traceback, no crash, no hang, no memory; see the bench."""
    bench = Path(__file__).parents[2] / "bench" / "mutations.py"
    if sys.platform != "linux":
        pytest.skip("looks at memory in /proc")
    command = [sys.executable, str(bench), "--files", "2000", "--seed", "1"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2000 files, 0 faults" in done.stdout


def test_a_codec_that_nothing_decodes_is_one_sentence(tmp_path: Path, tone: Tone) -> None:
    """A codec that nothing decodes: PyAV has no context for it."""
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(3000), 44100, subtype="PCM_16")
    data = bytearray(path.read_bytes())
    data[20:22] = b"\x99\x99"
    path.write_bytes(data)
    with pytest.raises(SourceError, match="convert it to FLAC"):
        open_source(path)
