"""Sound devices: finding, opening, watching them, and opening them again.

`portaudio` has those of this machine; `player` plays a file in the place of one. `streams` holds
all streams of a run, `reconnecting` one of them, `watchdog` knows when it is gone. Only here is a
device opened.
"""
