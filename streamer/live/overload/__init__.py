"""What is given up where the model does not keep up, and when it is tried again.

`deadlines` holds each window against its time, `ladder` decides (pure, the caller brings the time),
`degrade` has the processor do it.
"""
