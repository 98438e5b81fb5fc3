"""How fast the models are on this machine, and what delay that allows.

`inference` times them, `report` tells it as a table, JSON and a plot.
"""
