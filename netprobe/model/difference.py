"""What two saved runs differ in, one thing at a time."""

from __future__ import annotations

from msgspec import Struct


class Difference(Struct, frozen=True, gc=False):
    """One thing: what `kind` of thing (verdict, cause, hop, link, route, rule, ...), which one, and its text
    in each run.

    `before` or `after` None: it is not there in that run. `namespace` None: it is a matter of the whole run.
    """

    kind: str
    name: str
    before: str | None
    after: str | None
    namespace: str | None = None

    @property
    def sides(self) -> tuple[str, ...]:
        """What it was and what it is, as far as it was there."""
        return tuple(side for side in (self.before, self.after) if side is not None)

    @property
    def text(self) -> str:
        """What it is now; of what is gone, what it was."""
        return self.after or self.before or ""


class Comparison(Struct, frozen=True, gc=False):
    """All differences: in what was found, and in what was configured.

    `configuration` None: one of the two holds no configuration. `once` are the namespaces that only one of
    the runs has read.
    """

    answer: tuple[Difference, ...] = ()
    configuration: tuple[Difference, ...] | None = None
    once: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        """Nothing differs."""
        return not self.answer and not self.configuration
