"""What sends a probe, and what sees it: taps, senders, and the observations of both."""
