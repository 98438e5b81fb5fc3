"""Do less work if the model does not keep up, and more again later.

`deadlines` compares each window with its deadline, `ladder` decides (pure, the caller brings the
time), `degrade` changes the processor.
"""
