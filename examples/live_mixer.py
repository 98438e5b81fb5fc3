"""A live mixer in ten lines: ``python examples/live_mixer.py INPUT OUTPUT``.

Type ``vocals -12``, and the vocals are 12 dB lower. Ctrl-D ends it. The names are those of
``stemstream devices``.
"""

import sys

from streamer.live.devices.portaudio import PortAudioBackend
from streamer.live.session import open_session
from streamer.live.settings import LiveSettings


def mix(backend, lines, **settings):
    with open_session(LiveSettings(**settings), backend) as session:
        session.start()
        for line in lines:
            stem, decibels = line.split()
            session.mixer.set_gain(stem, float(decibels))


if __name__ == "__main__":
    mix(PortAudioBackend(), sys.stdin, model="rt_mini", input=sys.argv[1], output=sys.argv[2])
