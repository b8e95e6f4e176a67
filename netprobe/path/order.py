"""One command of a fix, as it is carried out on a snapshot."""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from netprobe.model import Link, Namespace, Snapshot


class Order(Struct, frozen=True):
    """A command in namespace `name`: its tool, and the words behind those that made it known. `six`: it was given -6.

    What its methods cannot find they raise KeyError for: such a command cannot be carried out.
    """

    snapshot: Snapshot
    name: str
    tool: str
    words: tuple[str, ...]
    six: bool = False

    @property
    def namespace(self) -> Namespace:
        """The namespace in which it is run."""
        return self.snapshot[self.name]

    def option(self, *keys: str) -> str | None:
        """The word behind the first of these keys that is there; None when none is."""
        found = [self.words[at + 1] for at, word in enumerate(self.words[:-1]) if word in keys]
        return found[0] if found else None

    def needed(self, *keys: str) -> str:
        """The word behind one of these keys; KeyError when it is missing."""
        found = self.option(*keys)
        if found is None:
            raise KeyError(keys[0])
        return found

    def link(self, name: str) -> Link:
        """The interface of this name; KeyError when there is none."""
        found = self.namespace.link_named(name)
        if found is None:
            raise KeyError(name)
        return found

    def with_link(self, link: Link) -> Order:
        """This order, on a snapshot in which `link` has taken the place of the one with its index."""
        return self.with_fields(links=tuple(link if each.index == link.index else each for each in self.namespace.links))

    def with_fields(self, **fields: Any) -> Order:
        """This order, on a snapshot in which the namespace has other values."""
        return replace(self, snapshot=self.snapshot.with_namespace(replace(self.namespace, **fields)))
