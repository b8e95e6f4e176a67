"""An address on another interface than its network is behind, where nobody there has one that tells so. Pure.

Those beside tell where it belongs (`addresses`), unless theirs are gone as well. Then two stations of one
segment may have addresses of one network on their loopbacks; or an interface has one of a network of which
nobody is behind it, and another interface has none.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from msgspec.structs import replace

from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.diagnose.repair.segment import is_network, meet, own_addresses, share
from netprobe.model import InterfaceAddress, Link, Namespace, Object, Stage
from netprobe.model.lookup import but, column, not_among, where
from netprobe.predict import fixes
from netprobe.predict.drop import lost


def candidates(loss: Loss) -> Iterator[Repair]:
    """For each interface on the way that has no address what may be its own, elsewhere in its namespace."""
    for name in loss.around:
        here = loss.snapshot[name]
        bare = [link for link in _used(here) if not own_addresses(here, link, loss.version)]
        for link in bare:
            if not loss.addresses_beside(name, link, loss.version):
                yield from _from_a_loopback(loss, here, link)
                yield from _from_another(loss, here, link) if len(bare) == 1 else ()


def _used(here: Namespace) -> tuple[Link, ...]:
    """The interfaces that may have an address: those that are up, and no ports."""
    return where(here.outward, up=True, master=None)


def _from_a_loopback(loss: Loss, here: Namespace, link: Link) -> Iterator[Repair]:
    """An address of a loopback, with one of a station beside, which has it there as well, or alone."""
    theirs = [
        each
        for there, end in loss.others(here.name, link)
        for each in (*own_addresses(loss.snapshot[there], end, loss.version), *_of_loopbacks(loss, there))
    ]
    for own in _of_loopbacks(loss, here.name):
        near = [*filter(partial(share, own), but(theirs, address=own.address))]
        lengths = [*column(filter(is_network, (own, *near)), "prefixlen")]
        if near and lengths:
            yield from _moved(loss, here, replace(own, prefixlen=lengths[0]), own, link, len(near))


def _of_loopbacks(loss: Loss, name: str) -> Iterator[InterfaceAddress]:
    for link in loss.snapshot[name].links_of("loopback"):
        yield from own_addresses(loss.snapshot[name], link, loss.version)


def _from_another(loss: Loss, here: Namespace, link: Link) -> Iterator[Repair]:
    """An address of another interface beside one there that is of the network of those behind it."""
    for other in but(_used(here), index=link.index):
        beside = loss.addresses_beside(here.name, other, loss.version)
        known = own_addresses(here, other, loss.version)
        strays = [each for each in known if is_network(each) and not meet([each], beside)]
        if beside and meet(not_among(known, address={*column(strays, "address")}), beside):
            for own in strays:
                yield from _moved(loss, here, own, own, link, 0)


def _moved(
    loss: Loss, here: Namespace, put: InterfaceAddress, own: InterfaceAddress, link: Link, agreeing: int
) -> Iterator[Repair]:
    for there in where(here.links, index=own.index):
        named = f"{own.written} dev {there.name}"
        astray = f"{own.written} of {here.name} is on {there.name}, where nobody is of its network"
        text = f"{astray}, and {link.name} has no address"
        moved = replace(put, index=link.index)
        fix = (fixes.address("del", own, there), fixes.address("add", moved, link))
        thing = Object("address", named, named)
        stop = lost("addr-missing", here.name, link, Stage.ROUTE, text, object=thing, fix=fix)
        yield from loss.repair(stop, Merit.RESTORES, agreeing=agreeing)
