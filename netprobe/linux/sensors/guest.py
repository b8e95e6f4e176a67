"""What crafts for a session that was given nothing that does. It comes in when something is to be sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from netprobe.wire.craft import Recipe

    from .crafter import GuestCrafter


class Guest:
    """A `GuestCrafter` that is made when it is needed, where it `is_needed` at all."""

    def __init__(self, is_needed: bool) -> None:
        self._is_needed = is_needed
        self._made: GuestCrafter | None = None

    def start(self) -> None:
        """Let it get ready. Harmless when repeated."""
        if self._is_needed:
            self._crafter().start()

    def __call__(self, recipe: Recipe) -> Iterator[bytes]:
        """The packets of `recipe`."""
        return self._crafter()(recipe)

    def close(self) -> None:
        """End it. Harmless when repeated."""
        if self._made is not None:
            self._made.close()

    def _crafter(self) -> GuestCrafter:
        if self._made is None:
            from .crafter import GuestCrafter

            self._made = GuestCrafter()
        return self._made
