"""Where weights are: with this package, on the hub, in a folder, in a bag file.

`registry` knows the models by name, `places` finds and fetches their files, `checksum` verifies
them. Nothing here builds a network or imports torch.
"""
