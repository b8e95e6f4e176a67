"""The packet path as pure functions over a snapshot: what the kernel would do with this packet."""
