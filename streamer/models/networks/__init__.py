"""The networks: how they are built, and what one can do.

`checkpoint` makes a network of a file of weights and runs nothing that the file brings along.
`hybrid` is HTDemucs in pieces, `masked` and `causal` are networks of ours. Nothing here runs
windows.
"""
