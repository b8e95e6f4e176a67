"""Two interfaces of one machine on one segment: each answers for the addresses of the other one, and what is
meant for one comes in by the other (ARP flux). Pure.

See: ip-sysctl (kernel documentation), arp_ignore; net/ipv4/arp.c (arp_ignore).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from msgspec.structs import replace

from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import Command, Link, Object, Stage
from netprobe.model.lookup import but, where
from netprobe.predict import fixes
from netprobe.predict.drop import lost
from netprobe.predict.rp_filter import in_force
from netprobe.predict.trace import Routed


def candidates(loss: Loss) -> Iterator[Repair]:
    """The setting by which an interface answers for its own addresses alone, where it took another one's."""
    here = loss.here
    for hop in where(loss.hops, namespace=here.name, bound="in")[-1:] * (loss.version == 4):
        owner = here.owner_of(hop.flow.dst)
        for link in where(here.links, name=hop.interface):
            if owner != link and (here.name, owner) in loss.stations(here.name, link):
                yield from _silenced(loss, link, hop.flow.dst)


def _silenced(loss: Loss, link: Link, address: str) -> Iterator[Repair]:
    level, _ = in_force(loss.here, link, "arp_ignore")
    key = f"net.ipv4.conf.{link.key}.arp_ignore"
    text = (
        f"{link.name} of {loss.here.name} answers for {address} as well, which is on another interface of the"
        " same segment"
    )
    asked = but(loss.asked(loss.prediction.lost_leg), namespace=loss.here.name)[-1:]
    forgotten = chain.from_iterable(_forgotten(loss, each, address) for each in asked)
    thing, fix = Object("sysctl", key, f"{key} = {level}"), (*fixes.sysctl(key, 1), *forgotten)
    stop = lost("addr-duplicate", loss.here.name, link, Stage.ARP, text, object=thing, fix=fix)
    yield from loss.repair(stop, Merit.UNDOES) if level == 0 else ()


def _forgotten(loss: Loss, asked: Routed, address: str) -> Iterator[Command]:
    """The answer that came first, forgotten by who asked."""
    for out in filter(None, (loss.out(asked),)):
        yield replace(fixes.forget_what_was_told(address, out), namespace=asked.namespace)
