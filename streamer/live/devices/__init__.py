"""Sound devices: finding, opening, watching them, and opening them again.

`portaudio` has the devices of this machine, `jack` is a JACK client of our own, `machine` has both;
`player` plays a file instead of an input; `system_sound` brings what other programs play. `streams`
holds all streams of a run, `reconnecting` one of them, `watchdog` knows when it is gone. Only here
is a device opened.
"""
