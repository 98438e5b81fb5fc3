"""How near stems come to the true ones: songs with known stems, scores, bounds.

`songs` reads data sets, `metrics` has SDR, SIR and SAR, `evaluate` scores a model, a bound or
files; `curve` is SDR against delay. Nothing here learns; the extra `train` brings what it needs.
"""
