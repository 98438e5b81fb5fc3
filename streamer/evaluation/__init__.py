"""How close stems are to the true ones: songs with known stems, scores, bounds.

`songs` reads data sets, `metrics` has SDR, SIR and SAR, `evaluate` scores a model, a bound or
files; `curve` is SDR against delay. Nothing here learns. The extra `train` installs its libraries.
"""
