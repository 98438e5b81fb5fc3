"""Stems to disk while they play, without ever making the sound wait.

`recording` is a run's, `recorder` the thread, `take` the files of one recording: valid at every
moment, all stems equally long.
"""
