"""What networks are: how they are built, and what may be asked of one.

`checkpoint` makes a network of a file of weights and runs nothing that the file brings along.
`hybrid` is HTDemucs in pieces, `masked` and `causal` are networks of ours. Nothing here runs
windows.
"""
