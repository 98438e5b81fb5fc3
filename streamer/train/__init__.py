"""Songs with known stems, and how near a separation comes to them. Needs the extra ``train``.

::

    find_songs      a data set's songs, each read by the stretch (`songs`)
    mdx_sdr, bss_eval   how near (`metrics`)

Nothing else in this package imports it; the command line does.
"""
