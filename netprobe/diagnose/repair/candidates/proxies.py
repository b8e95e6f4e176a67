"""A proxy that is switched off: somebody would have to answer ARP for what lies behind it. Pure.

See: ip-sysctl (kernel documentation), proxy_arp; net/ipv4/arp.c (arp_process).
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import Link, Namespace, Object, Route, Stage
from netprobe.predict import fixes, prefix
from netprobe.predict.drop import lost


def candidates(loss: Loss) -> Iterator[Repair]:
    """Each station beside the asker as a proxy.

    It is expected where a route made by hand, or a link-local gateway, takes a far network for neighbours, or
    where part of the segment's network lies behind one of its stations.
    """
    routed = next((r for r in reversed(loss.prediction.routed) if r.leg is loss.prediction.leg), None)
    if loss.stop.code != "neigh-no-answer" or routed is None or routed.decision.route is None:
        return
    route, via = routed.decision.route, routed.decision.leg.via if routed.decision.leg is not None else None
    wanted = prefix.is_link_local(via) if via else prefix.length(route.dst) > 0
    out = loss.snapshot[routed.namespace].link(routed.decision.leg.index if routed.decision.leg else None)
    if not wanted or ":" in route.dst or out is None:
        return
    for name, station in loss.stations(routed.namespace, out):
        namespace = loss.snapshot[name]
        if name != routed.namespace and (route.protocol != "kernel" or _shares(namespace, route)):
            yield from _proxy(loss, namespace, station)


def _proxy(loss: Loss, namespace: Namespace, link: Link) -> Iterator[Repair]:
    key = f"net.ipv4.conf.{link.name.replace('.', '/')}.proxy_arp"
    now = namespace.sysctl(key, "0")
    text = f"{namespace.name} would have to answer ARP for what lies behind it, and does not: {key} = {now}"
    thing = Object("sysctl", key, f"{key} = {now}")
    fix = fixes.sysctl(key, 1)
    stop = lost("proxy-arp-off", namespace.name, link, Stage.ARP, text, object=thing, fix=fix)
    yield from loss.repair(stop, Merit.RESTORES)


def _shares(namespace: Namespace, route: Route) -> bool:
    """Whether a namespace is of the network that a route takes for neighbours, just as wide: so that width is
    no mistake.
    """
    return any(prefix.network(a.address, a.prefixlen) == route.dst for a in namespace.addresses)
