"""Live runs: sound devices in, stems out, at a constant delay.

::

    session        when a run begins and ends        settings   what it can be told
    engine         what an engine is                 status     the state it is in
    window_engine  the engine in Python              run_log    what it tells, by the sentence
    supervision    who looks on                      listen     where its servers may listen
    parts          what these work with              turns      their threads
    planning/      from what is asked to a plan
    realtime/      what a device calls for each block
    devices/       opening, watching, opening again
    mixing/        who hears what
    control/       faders from outside
    overload/      what is given up where the model is too slow
    recording/     stems to disk while they play
    telemetry/     what is measured, and how it is told
    roundtrip/     the whole delay, by a cable
"""
