"""Live runs: sound devices in, stems out, at a constant delay.

::

    session      the live run itself, top to bottom      run_log   what it tells of itself
    planning/    from what is asked to a plan            settings  what it can be told
    realtime/    what a device calls for each block      status    the state it is in
    devices/     opening, watching, opening again        listen    where its servers may listen
    mixing/      who hears what
    control/     faders from outside
    overload/    what is given up where the model is too slow
    recording/   stems to disk while they play
    telemetry/   what is measured, and how it is told
    roundtrip/   the whole delay, by a cable
"""
