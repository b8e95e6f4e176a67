"""What if somebody answered ARP for what lies behind it? The proxy that is switched off as the root of a
silence. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from netprobe.model import Namespace, Need, Object, Route, Snapshot, Stage, Stop
from netprobe.predict import fixes, prefix
from netprobe.predict.drop import lost
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction


def proxied(snapshot: Snapshot, prediction: Prediction) -> Stop | None:
    """The neighbour that would have to answer for a far address by proxy ARP, and does not; None when that
    would not help.

    It is expected where a route made by hand, or a link-local gateway, takes a far network for neighbours, or
    where part of the segment's network lies behind one of its stations.
    """
    for namespace, outcome in with_proxies(snapshot, prediction):
        if isinstance(outcome, Prediction) and outcome.passes:
            return _proxy_off(namespace, outcome)
    return None


def with_proxies(
    snapshot: Snapshot, prediction: Prediction
) -> Iterator[tuple[Namespace, Prediction | tuple[Need, ...]]]:
    """The way of the probe if one of the namespaces around answered for what lies behind it."""
    routed = next((r for r in reversed(prediction.routed) if r.leg is prediction.leg), None)
    if routed is None or routed.decision.route is None or routed.decision.leg is None:
        return
    route, via = routed.decision.route, routed.decision.leg.via
    wanted = prefix.is_link_local(via) if via else prefix.length(route.dst) > 0
    others = [
        n
        for n in snapshot.namespaces.values()
        if n.name != routed.namespace and (route.protocol != "kernel" or _shares(n, route))
    ]
    others = others if wanted and ":" not in route.dst else []
    for namespace in others:
        mended = replace(namespace, sysctls={**namespace.sysctls, "net.ipv4.conf.all.proxy_arp": "1"})
        yield (
            namespace,
            predict(replace(snapshot, answers=()).with_namespace(mended), prediction.probe, ask=False),
        )


def _shares(namespace: Namespace, route: Route) -> bool:
    """Whether a namespace is of the network that a route takes for neighbours, just as wide: so that width is
    no mistake.
    """
    return any(prefix.network(a.address, a.prefixlen) == route.dst for a in namespace.addresses)


def _proxy_off(namespace: Namespace, outcome: Prediction) -> Stop:
    at = next(
        (
            h
            for h in outcome.request.hops
            if h.namespace == namespace.name and h.stage in (Stage.BRIDGE_INPUT, Stage.RECEIVE)
        ),
        None,
    )
    link = namespace.link_named(at.interface) if at is not None and at.interface else None
    key = f"net.ipv4.conf.{link.name.replace('.', '/') if link else 'all'}.proxy_arp"
    text = (
        f"{namespace.name} would have to answer ARP for what lies behind it, and does not: {key} ="
        f" {namespace.sysctl(key, '0')}"
    )
    return lost(
        "proxy-arp-off",
        namespace.name,
        link,
        Stage.ARP,
        text,
        object=Object("sysctl", key, f"{key} = 0"),
        fix=fixes.sysctl(key, 1),
    )
