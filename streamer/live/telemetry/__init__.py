"""What a run measures of itself, and how it is told: numbers, reports, metrics.

`observer` gathers from ports and worker, `stamps` and `converters` know when a block passed which
point, `verdict` judges, `report` and `metrics` tell. Nothing here changes the sound.
"""
