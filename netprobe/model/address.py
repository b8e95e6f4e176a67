"""What the text of an address says at first sight."""

from __future__ import annotations


def version(text: str) -> int:
    """4 or 6, for an address or a prefix."""
    return 6 if ":" in text else 4


def bits(text: str) -> int:
    """The length of such an address: 32 or 128."""
    return 128 if ":" in text else 32
