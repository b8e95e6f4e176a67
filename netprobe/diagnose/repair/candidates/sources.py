"""The IPv6 address that a packet is sent from, where an interface has several: another one is meant. Pure.

See: RFC 6724, 5; net/ipv6/addrconf.c (ipv6_get_saddr_eval).
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import Command, Object, Stage
from netprobe.model.lookup import holding, where
from netprobe.predict import fib, fixes
from netprobe.predict.drop import lost

from . import sets


def candidates(loss: Loss) -> Iterator[Repair]:
    """Each address that would be the source, but for what it is, or for what is preferred to it."""
    yield from _deprecated(loss)
    yield from _lasting(loss)


def _lasting(loss: Loss) -> Iterator[Repair]:
    """The lasting address of an interface that sends from temporary ones: rules where the packet was refused
    may know that alone.
    """
    namespace, source = loss.snapshot.at(loss.probe.source.namespace), loss.probe.source.address
    sent = namespace.address(source)
    if sent is None or not fib.is_temporary(sent) or not fib.prefers_temporary(namespace, sent.index):
        return
    flow = replace(loss.probe.flow(), dst=loss.goal)
    for link in where(namespace.links, index=sent.index):
        lasting = [each for each in namespace.addresses_of(link, 6) if not fib.is_temporary(each)]
        known = any(sets.names(loss.here, replace(flow, src=each.address)) for each in lasting)
        key = f"net.ipv6.conf.{link.key}.use_tempaddr"
        named = f"{key} = {namespace.sysctl(key)}"
        text = f"{namespace.name} sends from {source}, a temporary address, which the far end does not know"
        thing, fix = Object("sysctl", key, named), fixes.sysctl(key, 1)
        stop = lost(
            "route-wrong-src", namespace.name, link, Stage.ROUTE, f"{text}: {named}", object=thing, fix=fix
        )
        yield from loss.repair(stop, Merit.RESTORES if known else Merit.ADDS)


def _deprecated(loss: Loss) -> Iterator[Repair]:
    """An IPv6 address that is a source no more (RFC 4862, 5.5.4), so that one without a way back is taken."""
    namespace = loss.snapshot.at(loss.probe.source.namespace)
    for own in holding(where(namespace.addresses, scope="global"), flags="deprecated"):
        for link in where(namespace.links, index=own.index):
            text = (
                f"{own.written} on {link.name} in {namespace.name} is deprecated, so that"
                f" {loss.probe.source.address} is the source, which has no way back"
            )
            lives = ("preferred_lft", "forever", "valid_lft", "forever")
            fix = (Command.of("ip", "address", "change", own.written, "dev", link.name, *lives),)
            thing = Object("address", f"{own.written} dev {link.name}", f"{own.written} deprecated")
            stop = lost("route-wrong-src", namespace.name, link, Stage.ROUTE, text, object=thing, fix=fix)
            yield from loss.repair(stop, Merit.RESTORES)
