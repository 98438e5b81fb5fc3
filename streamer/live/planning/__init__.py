"""From the settings to a plan: the windows that keep the promised delay on this machine.

`plan` has the values. `solver` makes them from the time that a window takes. `prepare` gathers
devices, model and plan before the first sound. Nothing here runs.
"""
