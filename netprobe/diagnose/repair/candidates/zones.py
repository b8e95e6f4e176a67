"""A connection that was settled before it came to the rules that would have translated it: a namespace saw
its first packet on a bridge whose frames go through the rules of IP, and gives it no other source when it
routes it later. In a conntrack zone of its own the bridge's view is another connection. Pure.

See: iptables-extensions(8), CT; net/netfilter/nf_nat_core.c (nf_nat_inet_fn): once for each connection.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from netprobe.diagnose import nat_rules, source_rules
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import Link, Namespace, Object, Place, Stage, Stop
from netprobe.model.link import name_of
from netprobe.model.lookup import among, but, column, where
from netprobe.predict import fixes, prefix
from netprobe.predict.netfilter import calls_ip_rules
from netprobe.predict.trace import Routed

from .translation import leaving

_ZONE = "1"  # any but the one in which all are that no rule gives another


def candidates(loss: Loss) -> Iterator[Repair]:
    """A zone for what comes by each bridge on which a router saw what it does not translate behind it."""
    for router, source in leaving(loss):
        namespace = loss.snapshot[router.namespace]
        for bridge in _seen_on(loss, namespace, router) if nat_rules.is_private(source) else ():
            target, out = loss.prediction.target, loss.out(router)
            for passed_over in islice(source_rules.meant_for(namespace, out, source, target, True), 1):
                yield from _zoned(loss, namespace, bridge, passed_over.object, source)


def _seen_on(loss: Loss, namespace: Namespace, router: Routed) -> Iterator[Link]:
    """The bridges of a namespace that the request crossed, but the one from which it is routed."""
    hops = where(loss.prediction.request.hops, namespace=namespace.name)
    ports = among(namespace.links, name={*column(hops, "interface")})
    bridges = among(namespace.links, index={*column(ports, "master")})
    for bridge in but(bridges, name=name_of(router.iif, "")):
        if calls_ip_rules(namespace, bridge, prefix.version(router.dst)):
            yield bridge


def _zoned(loss: Loss, namespace: Namespace, bridge: Link, rule: Object, source: str) -> Iterator[Repair]:
    tool = fixes.iptables(source)
    words = ("-I", "PREROUTING", "-i", bridge.name, "-j", "CT", "--zone", _ZONE)
    fix = fixes.xtables(tool, "raw", "PREROUTING", *words)
    text = (
        f"{namespace.name} saw the connection first on {bridge.name}, whose frames its IP rules see, and"
        f" translates its source no more behind it: {rule.id} does not get it"
    )
    missing = Object("rule", f"{tool} raw PREROUTING", f"no rule -i {bridge.name} -j CT --zone {_ZONE}")
    place = Place(namespace.name, bridge.name, Stage.PREROUTING)
    stop = Stop("nat-wrong-match", place, text, missing, fix, (rule.text, loss.stop.text))
    yield from loss.repair(stop, Merit.RESTORES, agreeing=1)
