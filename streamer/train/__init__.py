"""Training on songs with known stems (`stemstream train`). Extra ``train``.

::

    settings, run               the settings of a training, and its order
    corpora, corpus, checks     which songs, decoded once, and what is wrong with them
    examples, augment, preview  the examples to learn from
    network, loop, losses       the network, and how it learns
    state, export, journal      the files that are written
    best                        the weights of the best epochs, and their mean
    validate, interrupt         scores between epochs; Ctrl-C

Nothing else in this package imports it; the command line does.
"""
