"""What was read of nf_tables, for a second look: the kernel counts its generations.

Each transaction makes a new generation (nf_tables_commit), and of the same one the tables are the same, but
for counters, for what packets put into a set, and for elements whose time is up. A loss is believed only when
what it was concluded from is read once more: of ten thousand services that takes as long as the first time.
What has none of these is remembered for the next question as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from netprobe.kernel.elsewhere import current
from netprobe.linux import netns
from netprobe.linux.netlink import Request
from netprobe.model import Chain, ChainQuery, Table

from .kernel import GET_GENERATION, KernelSet, Nfnetlink
from .lasting import is_lasting

TIMEOUT, DYNAMIC = 0x10, 0x20  # NFT_SET_TIMEOUT, NFT_SET_EVAL: they change without a transaction
Generation = tuple[str, int, int]  # the kernel, the namespace's cookie, its generation

MOST = 64  # namespaces that are remembered for the next question

_tables: dict[Generation, tuple[Table, ...]] = {}
# what nft has printed of all that there is; nothing of what is known to last
_listings: dict[Generation, tuple[bytes, ...]] = {}
_chains: dict[tuple[Generation, ChainQuery], Chain] = {}


def forget(wholly: bool = False) -> None:
    """A new question begins, which is to see the counters of its own time; `wholly`: nothing is to last."""
    for of in list(_tables):
        if not wholly and of in _listings and len(_listings) <= MOST and all(map(is_lasting, _listings[of])):
            _listings[of] = ()
        else:
            del _tables[of]
            _listings.pop(of, None)
    _chains.clear()


def generation() -> Generation | None:
    """Which generation of rules the namespace of this thread has; None where nobody tells."""
    cookie = netns.cookie()
    try:
        with Nfnetlink() as netlink:
            number = netlink.ask(Request(GET_GENERATION)).get("NFTA_GEN_ID")
    except OSError:
        return None
    return None if not cookie or number is None else (_kernel(), cookie, number)


def tables(of: Generation | None) -> tuple[Table, ...] | None:
    """The tables that were read of this generation, or None."""
    return None if of is None else _tables.get(of)


def keep_tables(
    of: Generation | None,
    found: Iterable[Table],
    sets: Iterable[KernelSet],
    listings: Sequence[bytes] | None = None,
) -> None:
    """Remember all tables of a generation, unless something in them changes without a new one.

    `listings`: nft's, where these show all of it. Those of another host, which may be another machine by the
    next question, are not for that.
    """
    if of is not None and _is_complete() and not any(each.flags & (TIMEOUT | DYNAMIC) for each in sets):
        _tables[of] = tuple(found)
        if listings is not None and not of[0]:
            _listings[of] = tuple(listings)


def chain(of: Generation | None, query: ChainQuery) -> Chain | None:
    """The chain that was read of this generation, or None."""
    return None if of is None else _chains.get((of, query))


def keep_chain(of: Generation | None, query: ChainQuery, found: Chain) -> None:
    """Remember a chain of a generation."""
    if of is not None and _is_complete() and not found.unread:
        _chains[of, query] = found


def _kernel() -> str:
    """Whose cookie it is; "" of this machine's."""
    there = current()
    return there.host if there is not None else ""


def _is_complete() -> bool:
    """Whether all was answered: another host is asked for many things together, once it is known which."""
    there = current()
    return there is None or not there.is_incomplete
