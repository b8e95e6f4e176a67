"""What this machine lets netprobe see: read for `netprobe doctor`."""
