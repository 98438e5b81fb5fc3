"""Training on songs with known stems (`stemstream train`). Extra ``train``.

::

    settings, run               what a training is told, and its order
    corpora, corpus, checks     which songs, decoded once, and what is wrong with them
    examples, augment, preview  what is learnt from
    network, loop, losses       what learns, and how
    state, export, journal      what is written
    validate, interrupt         scores between epochs; Ctrl-C

Nothing else in this package imports it; the command line does.
"""
