"""An IPv6 address that is not used, since somebody else had it once, and that nobody has any more. Pure.

The kernel looks for doubles when an address comes, and not again (RFC 4862, 5.4).
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import InterfaceAddress, Link, Namespace, Object, Stage
from netprobe.model.lookup import has, holding, where
from netprobe.predict import fixes
from netprobe.predict.drop import lost


def candidates(loss: Loss) -> Iterator[Repair]:
    """Each such address of the way, given anew."""
    for namespace in map(loss.snapshot.at, loss.around):
        for own in holding(namespace.addresses, flags="dadfailed"):
            for link in where(namespace.links, index=own.index, up=True):
                yield from _anew(loss, namespace, link, own)


def _anew(loss: Loss, namespace: Namespace, link: Link, own: InterfaceAddress) -> Iterator[Repair]:
    there = ((loss.snapshot[name], end) for name, end in loss.others(namespace.name, link))
    if any(has(other.addresses_of(end), address=own.address) for other, end in there):
        return
    named = f"{own.written} dev {link.name}"
    text = (
        f"{namespace.name} does not use {own.address}: duplicate address detection found another station that"
        " had it, and none has it now"
    )
    fix = (fixes.address("del", own, link), fixes.address("add", own, link))
    thing = Object("address", named, f"{named} dadfailed")
    stop = lost("addr-dad-failed", namespace.name, link, Stage.ARP, text, object=thing, fix=fix)
    yield from loss.repair(stop, Merit.RESTORES)
