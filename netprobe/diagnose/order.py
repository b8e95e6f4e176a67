"""One command of a fix, as it is carried out on a snapshot."""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from netprobe.model import Link, Namespace, Snapshot

# Words behind which stands a value, whatever it looks like: an interface may be called "table".
_KEYS = {
    "dev", "via", "table", "metric", "src", "dst", "dir", "pref", "priority", "from", "lookup", "lladdr",
    "nud", "proto", "scope",
    "-p", "-s", "-d", "--orig-src", "--orig-dst", "--sport", "--dport", "to", "iif", "oif", "fwmark", "tos",
    "ipproto", "sport", "dport", "uidrange", "suppress_prefixlength", "mtu", "preferred_lft", "valid_lft",
}  # fmt: skip


class Order(Struct, frozen=True):
    """A command in namespace `name`: its tool, and the words behind those that made it known.

    `six`: it was given -6.

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

    def _parted(self) -> tuple[list[tuple[str, str]], list[str]]:
        """The keys with their values, and the words beside them."""
        pairs, rest, at = [], [], 0
        while at < len(self.words):
            if self.words[at] in _KEYS and at + 1 < len(self.words):
                pairs.append((self.words[at], self.words[at + 1]))
                at += 2
            else:
                rest.append(self.words[at])
                at += 1
        return pairs, rest

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The keys with their values, in order."""
        return self._parted()[0]

    @property
    def plain(self) -> list[str]:
        """The words that are neither a key nor a value: the verb, what it is about, and flags."""
        return self._parted()[1]

    def option(self, *keys: str) -> str | None:
        """The word behind the first of these keys that is there; None when none is."""
        return next((value for key, value in self._parted()[0] if key in keys), None)

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
        return self.with_fields(
            links=tuple(link if each.index == link.index else each for each in self.namespace.links)
        )

    def with_fields(self, **fields: Any) -> Order:
        """This order, on a snapshot in which the namespace has other values."""
        return replace(self, snapshot=self.snapshot.with_namespace(replace(self.namespace, **fields)))
