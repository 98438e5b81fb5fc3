"""From what is asked to a plan: which windows keep the promised delay on this machine.

`plan` holds values, `solver` makes them from how long a window takes, `prepare` gathers devices,
model and plan before the first sound. Nothing here runs.
"""
