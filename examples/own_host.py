"""A host of your own, here for karaoke: ``python examples/own_host.py song.wav karaoke.wav``.

Blocks go in and as many frames come out, ``latency_frames`` later. A plugin works the same way.
"""

import sys

import soundfile

import streamer

BLOCK_FRAMES = 512
BACKING = ("drums", "bass", "other")


def sing_along(song, out, **options):
    with soundfile.SoundFile(song) as source, streamer.Processor(**options) as p:
        p.prepare(source.samplerate, BLOCK_FRAMES, source.channels)
        form = {"samplerate": source.samplerate, "channels": source.channels, "subtype": "FLOAT"}
        with soundfile.SoundFile(out, "w", **form) as sink:
            for block in source.blocks(BLOCK_FRAMES, dtype="float32", always_2d=True):
                stems = p.process(block)
                sink.write(sum(stems[name] for name in BACKING))
            for stems in p.flush():  # what is still inside
                sink.write(sum(stems[name] for name in BACKING))
        return p.latency_frames


if __name__ == "__main__":
    print(sing_along(*sys.argv[1:3], model="rt_mini", hop=512 / 44100), "frames of delay")
