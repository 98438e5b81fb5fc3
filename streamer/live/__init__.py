"""Live runs: sound devices in, stems out, at a constant delay.

::

    session                         the live run itself, top to bottom
    prepare, settings               from what is asked to what is set up
    plan, solver                    which windows keep a promised delay on this machine
    judge, ladder, degrade          what to give up, and when, where the model is too slow
    wiring, rig, link, watchdog     ports and streams, and devices that go and come
    devices, portaudio, virtual     the devices of this machine, and fake ones on virtual time
    callbacks                       all real-time code: what a device calls for each block
    excerpt                         which part of a file is played
    ports, feed, player             the rings, gains and counters that it works on, for Python
    run_clock                       the one clock that all times of a run are on
    sound_server, moves             what PulseAudio says of this process's streams
    drift, two_clocks               two devices with two clocks
    mixer, routes, levels, scene    who hears what
    controls, keys, remote, desk    faders at the keyboard and over the network
    listen                          where remotes and metrics may listen
    recorder, take                  stems to disk while they play
    stamps, observer                what a run sees of itself
    account, status                 what it tells of it
    verdict, report, metrics        what it measured
    loopback, cable, roundtrip      the whole delay, measured by a cable from output to input
    benchmark                       how fast the models are here, and what delay they allow
"""
