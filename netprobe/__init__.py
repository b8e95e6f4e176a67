"""netprobe: trace a packet through Linux network namespaces and name the one object that stops it."""

__version__ = "0.1.0"
