"""Addresses that a container engine gave a container, and that it has not. Pure.

An address of which the engine does not know stays: somebody uses it.
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.diagnose.engines import container
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import InterfaceAddress, Link, Namespace, Object, Stage
from netprobe.model.engines import EngineEndpoint, EngineNetwork
from netprobe.model.lookup import find, sole
from netprobe.predict import fixes, prefix
from netprobe.predict.drop import lost


def candidates(loss: Loss) -> Iterator[Repair]:
    """Each of them, on the interface by which the container is on that network."""
    engines = loss.snapshot.told_engines
    names = (*loss.around, loss.probe.destination.namespace) if engines.containers else ()
    for here in map(loss.snapshot.at, dict.fromkeys(names)):
        for one in filter(None, [container(engines, here)]):
            for endpoint in one.endpoints:
                link = _by_which(loss, here, find(engines.networks, name=endpoint.network))
                yield from _given(loss, here, link, one.engine, endpoint) if link is not None else ()


def _by_which(loss: Loss, here: Namespace, network: EngineNetwork | None) -> Link | None:
    """The interface by which a container is on a network: whose cable leads to that one's bridge; else the
    only one that it has.
    """
    for link, (there, end) in loss.known_ends(here.name, here.outward):
        bridge = loss.snapshot[there].link(end.master)
        if network is not None and bridge is not None and bridge.name == network.interface:
            return link
    return next(iter(sole(here.outward)), None)


def _given(
    loss: Loss, here: Namespace, link: Link, engine: str, endpoint: EngineEndpoint
) -> Iterator[Repair]:
    given = prefix.of_version(endpoint.addresses, loss.version)
    for address, _, length in (each.partition("/") for each in given):
        fix = (fixes.address("add", InterfaceAddress(link.index, address, int(length)), link),)
        text = f"{address} is not on {link.name} of {here.name}, to which {engine} gave it"
        thing = Object("address", f"dev {link.name}", text)
        stop = lost("addr-missing", here.name, link, Stage.ROUTE, text, object=thing, fix=fix)
        yield from loss.repair(stop, Merit.RESTORES) if address not in loss.owned else ()
