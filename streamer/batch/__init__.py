"""Many songs, separated in hours that may bring failures: what is done stays done.

::

    songs          what the words name          manifest   what became of each song
    job            what is to be done           tally      its figures, for the bar and Prometheus
    engine         who does it, and a worker    estimate   what it will take
    local          processes of this machine    places     where stems go: a folder or a store
    ray_engine     a cluster                    at_hand    a song and its stems on this machine
    ray_nodes      what its machines have       store      objects: listed, fetched, put
    scratch        a worker's own folder        reach      how a store is reached
    settings       what a job is told

No sound is made here: each song goes through `streamer.engine.separate_track`, and so do its files.
"""
