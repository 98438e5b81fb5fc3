"""Who hears what: faders, pans, mutes and routes, as one matrix of gains an output.

`mixer` keeps the mix and makes the matrices, `routes` and `levels` are its values, `scene` a mix
in a file. The gains are applied in `streamer.live.realtime.callbacks`.
"""
