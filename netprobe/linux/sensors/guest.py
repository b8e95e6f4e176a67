"""What crafts for sessions that were given nothing that does: one worker for the whole program. It comes in
when something is to be sent, and ends by itself when nothing was for a while.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from netprobe.wire.craft import Recipe

    from .crafter import GuestCrafter


class Guest:
    """The `GuestCrafter` of all sessions, for one that needs it, or does not."""

    def __init__(self, is_needed: bool) -> None:
        self._is_needed = is_needed

    def start(self) -> None:
        """Let it get ready. Harmless when repeated."""
        if self._is_needed:
            _crafter().start()

    def __call__(self, recipe: Recipe) -> Iterator[bytes]:
        """The packets of `recipe`."""
        return _crafter()(recipe)


@cache
def _crafter() -> GuestCrafter:
    from .crafter import GuestCrafter

    return GuestCrafter()
