"""The machine of a watch: what the kernel tells is heard while a probe waits for its answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from netprobe.model import Observation, Watch
from netprobe.wire.craft import Craft

from .machine import Machine
from .notices import Notices


class WatchedMachine(Machine):
    """A machine with `notices`, which get the moment at which they come.

    Where there is one, an answer is waited for no longer than `patience_ns` (None: as long as ever): what
    changed may be why none comes.
    """

    def __init__(
        self,
        notices: Notices,
        patience_ns: int | None,
        host: str | None = None,
        exclude: Sequence[str] = (),
        crafter: Craft | None = None,
    ) -> None:
        super().__init__(host, exclude, crafter)
        self._notices = notices
        self._patience_ns = patience_ns

    def observe(
        self, watch: Watch, settled: Callable[[Sequence[Observation], int], bool]
    ) -> tuple[Observation, ...]:
        """As of any machine."""

        def enough(seen: Sequence[Observation], quiet_ns: int) -> bool:
            is_told = self._notices.glance()
            is_late = self._patience_ns is not None and quiet_ns >= self._patience_ns
            return settled(seen, quiet_ns) or (is_told and is_late)

        return super().observe(watch, enough)
