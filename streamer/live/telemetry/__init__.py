"""The measurements of a run, and how they are told: numbers, reports, metrics.

`observer` gathers from ports and worker, `stamps` and `converters` know when a block passed each
point, `verdict` judges, `report` and `metrics` tell (to Prometheus, by `metrics_server`). Nothing
here changes the sound.
"""
