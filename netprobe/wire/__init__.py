"""Bytes to values and back: crafts the probe with scapy, filters it in the kernel, recognises it with struct.

No I/O happens here. `craft` is the only file of the program that imports scapy.
"""
