"""Songs with known stems, how near a separation comes to them, and training. Extra ``train``.

::

    songs, metrics, scores      a data set's songs, each read by the stretch; SDR, SIR, SAR
    evaluate, bounds, pairs     scores of a model, of a bound, of files (`stemstream eval`)
    curve, memo, curve_plot     SDR against delay (`stemstream eval --live`)

    settings, run               what a training is told, and its order (`stemstream train`)
    corpora, corpus, checks     which songs, decoded once, and what is wrong of them
    examples, augment, preview  what is learnt from
    network, loop, losses       what learns, and how
    state, export, journal      what is written
    validate, interrupt         scores between epochs; Ctrl-C

Nothing else in this package imports it; the command line does.
"""
