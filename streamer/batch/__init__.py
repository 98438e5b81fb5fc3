"""Many songs, separated in hours that may bring failures: what is done stays done.

`songs` finds the inputs, `manifest` remembers what became of each, `job` decides what is to be done
and goes on after any end, `engine` says who does it (`local`: processes of this machine). No sound
is made here: each song goes through `streamer.engine.separate_track`, and so do its files.
"""
