"""A model of your own: ``python examples/own_model.py song.wav`` splits middle and sides."""

import sys

import numpy as np
import soundfile

import streamer
from streamer.models import Bag, Member


class MidSide:
    names, samplerate, channels, window_frames = ("middle", "sides"), 44100, 2, 44100

    def input_frames(self, window_frames):
        return window_frames

    def __call__(self, windows, kept=slice(None)):
        middle = windows.mean(axis=-1, keepdims=True).repeat(2, axis=-1)
        return np.stack([middle, windows - middle], axis=1)[:, :, kept]


song, samplerate = soundfile.read(sys.argv[1], dtype="float32", always_2d=True)
bag = Bag("mid_side", [Member(MidSide(), (1.0, 1.0))], MidSide.names, 44100, 2)
with streamer.Processor(bag=bag) as p:
    p.prepare(samplerate, 512, song.shape[1])
    parts = [*p.feed(song), *p.flush()]
for stem in bag.names:
    soundfile.write(f"{stem}.wav", np.concatenate([part[stem] for part in parts]), samplerate)
