"""Live runs: sound devices in, stems out, at a constant delay.

::

    callbacks     all real-time code: what PortAudio calls for each block of a device
    ports         the rings, gains and counters that a callback works on, for Python
    drift         the filter tables and loop constants for two devices with two clocks
    devices       the sound devices of this machine, and streams on them (PortAudio)
    watchdog      knows that a device is gone
    mixer         who hears what: routes, gain, mute, solo, pan, scenes
    plan          which window, hop and lookahead keep a promised latency on this machine
    ladder        what to give up, and when, where the model does not keep up
    recorder      stems to disk while they play
    remote        OSC
    report        what a run measured, as JSON, CSV or a page
    metrics       the same while it runs, for Prometheus
    status        states and their reasons
    session       the live run itself, top to bottom
"""
