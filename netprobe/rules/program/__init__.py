"""BPF programs as the kernel runs them, and which answers they can give, whatever the packet is."""
