"""Songs with known stems, and how near a separation comes to them. Needs the extra ``train``.

::

    songs, metrics              a data set's songs, each read by the stretch; SDR, SIR, SAR
    evaluate, bounds, pairs     scores of a model, of a bound, of files (`stemstream eval`)
    curve, memo, curve_plot     SDR against delay (`stemstream eval --live`)

Nothing else in this package imports it; the command line does.
"""
