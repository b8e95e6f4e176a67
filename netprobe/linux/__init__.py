"""Everything that touches the kernel.

It reads and observes, and returns values of the model; it changes nothing.
"""
