"""Stems to disk while they play, without ever making the sound wait.

`recorder` is the thread, `take` the files of one recording: valid at every moment, all stems
equally long.
"""
