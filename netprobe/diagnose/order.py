"""One command of a fix, as it is carried out on a snapshot."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from netprobe.model import FdbEntry, InterfaceAddress, Link, Namespace, Neighbour, Snapshot
from netprobe.model.lookup import all_but, but, exchanged
from netprobe.predict import prefix

_Thing = TypeVar("_Thing")
_On = TypeVar("_On", InterfaceAddress, Link, Neighbour, FdbEntry)

# Words behind which stands a value, whatever it looks like: an interface may be called "table".
_KEYS = {
    "dev", "via", "table", "metric", "src", "dst", "dir", "pref", "priority", "from", "lookup", "lladdr",
    "nud", "proto", "scope", "nhid", "id",
    "-p", "-s", "-d", "--orig-src", "--orig-dst", "--sport", "--dport", "to", "iif", "oif", "fwmark", "tos",
    "ipproto", "sport", "dport", "uidrange", "suppress_prefixlength", "mtu", "preferred_lft", "valid_lft",
    "goto", "peer", "hoplimit", "advmss", "vni", "port",
}  # fmt: skip


# Keys of two words, and what stands for them
_LONG = {"via inet6": "via", "mtu lock": "mtu lock"}

# Whether what a verb is about may be there already, as the flags of netlink(7) say it
_THERE = {
    "add": (False,),
    "append": (False, True),
    "replace": (False, True),
    "change": (True,),
    "del": (True,),
}


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
            long = _LONG.get(" ".join(self.words[at : at + 2]))
            if long is not None and at + 2 < len(self.words):
                pairs.append((long, self.words[at + 2]))
                at += 3
            elif self.words[at] in _KEYS and at + 1 < len(self.words):
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
        return next((value for key, value in self.pairs if key in keys), None)

    def number(self, key: str) -> int | None:
        """The number behind a key, in whichever base it shows; None when it is missing."""
        found = self.option(key)
        return int(found, 0) if found is not None else None

    def needed(self, *keys: str) -> str:
        """The word behind one of these keys; KeyError when it is missing."""
        return must(self.option(*keys), keys[0])

    def address(self, *keys: str) -> str | None:
        """The same of a word that must be an address: ValueError else. None when it is missing."""
        found = self.option(*keys)
        prefix.number(found or "::")
        return found

    def link(self, name: str) -> Link:
        """The interface of this name; KeyError when there is none."""
        return must(self.namespace.link_named(name), name)

    @property
    def named_device(self) -> Link | None:
        """The interface behind `dev`; None where none is said."""
        return self.device if self.option("dev") else None

    @property
    def device(self) -> Link:
        """The interface behind `dev`; KeyError when there is none."""
        return self.link(self.needed("dev"))

    def permit(self, there: object, *verbs: str) -> str:
        """The verb, one of these, when what it is about may be there as it is, or may not: KeyError else
        (EEXIST, ENOENT).
        """
        verb = self.words[0]
        refuse_if(verb not in verbs or bool(there) not in _THERE[verb], verb)
        return verb

    def with_link(self, link: Link) -> Order:
        """This order, on a snapshot in which `link` has taken the place of the one with its index."""
        old = must(self.namespace.link(link.index), link.name)
        return self.with_fields(links=exchanged(self.namespace.links, old, link))

    def with_fields(self, **fields: Any) -> Order:
        """This order, on a snapshot in which the namespace has other values."""
        return replace(self, snapshot=self.snapshot.with_namespace(replace(self.namespace, **fields)))

    def edited(self, table: Iterable[_Thing], gone: Iterable[_Thing], new: _Thing) -> tuple[_Thing, ...]:
        """A table without what is gone, and with `new` behind the others unless the verb is to delete."""
        kept = all_but(table, gone)
        return kept if self.words[0] == "del" else (*kept, new)


def must(thing: _Thing | None, name: object) -> _Thing:
    """What was looked for by `name`; KeyError where it is not there."""
    if thing is None:
        raise KeyError(name)
    return thing


def refuse_if(holds: object, name: object) -> None:
    """Raises KeyError where something holds for which the kernel, or its tool, refuses the command."""
    if holds:
        raise KeyError(name)


def elsewhere(things: Iterable[_On], link: Link) -> tuple[_On, ...]:
    """What does not stand on an interface, and is not that itself."""
    return but(things, index=link.index)
