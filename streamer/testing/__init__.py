"""Fake sound devices and clocks, all on virtual time, to test a live run or a host.

`virtual` is an `AudioBackend` of fake devices, `virtual_device` one of them with its faults,
`two_clocks` two that drift apart. Shipped, and imported by no product code.
"""
