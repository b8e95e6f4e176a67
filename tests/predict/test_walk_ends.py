"""Whatever the configuration is, a walk ends: it delivers, drops, exits, or says what it cannot know."""

from __future__ import annotations

import networks
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from netprobe.causes.catalogue import explain
from netprobe.diagnose.report import diagnose
from netprobe.model import BridgePort, End, FdbEntry, Neighbour, Nexthop, Protocol, Route, Ruleset, Snapshot
from netprobe.predict.predict import Prediction, predict

SPACES = ("red", "host", "internet", "c1", "c2")
ADDRESSES = ("10.0.0.1", "10.0.0.2", "8.8.8.8", "172.17.0.1", "172.17.0.2", "172.17.0.3", "203.0.113.1", "203.0.113.2", "192.0.2.9")
INDEXES = st.integers(1, 8)
ROUTES = st.builds(
    lambda dst, kind, via, index, table: Route(dst, kind, table, (Nexthop(index, via),) if kind == "unicast" else ()),
    st.sampled_from(["0.0.0.0/0", "10.0.0.0/8", "172.17.0.0/16", "8.8.8.8/32", "203.0.113.0/24"]),
    st.sampled_from(["unicast", "unicast", "unicast", "blackhole", "unreachable", "throw"]),
    st.one_of(st.none(), st.sampled_from(ADDRESSES)), INDEXES, st.sampled_from([254, 254, 255]),
)  # fmt: skip
NEIGHBOURS = st.builds(
    Neighbour, INDEXES, st.sampled_from(ADDRESSES), st.sampled_from([networks.MAC.format(a, b) for a in range(5) for b in range(5)]),
    st.sampled_from(["permanent", "stale", "failed"]),
)  # fmt: skip
SYSCTLS = st.fixed_dictionaries({}, optional={
    "net.ipv4.ip_forward": st.sampled_from(["0", "1"]), "net.ipv4.conf.all.rp_filter": st.sampled_from(["0", "1", "2"]),
    "net.ipv4.conf.all.arp_ignore": st.sampled_from(["0", "1", "2", "8"]), "net.ipv4.conf.all.proxy_arp": st.sampled_from(["0", "1"]),
    "net.ipv4.conf.all.accept_local": st.sampled_from(["0", "1"]), "net.ipv4.ip_default_ttl": st.sampled_from(["1", "2", "64"]),
})  # fmt: skip


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    """The tutorial's network with much of it changed at random."""
    snapshot = networks.tutorial()
    for name in SPACES:
        snapshot = networks.edited(snapshot, name, ruleset=Ruleset(queues=()))
    for name in draw(st.lists(st.sampled_from(SPACES), max_size=4)):
        namespace = snapshot[name]
        links = []
        for link in namespace.links:
            changes = {"up": draw(st.booleans()) or draw(st.booleans()), "arp": draw(st.booleans()) or draw(st.booleans())}
            if link.kind == "veth" and draw(st.integers(0, 5)) == 0:
                changes |= {
                    "master": draw(st.sampled_from([None, 2, 5])),
                    "port": BridgePort(isolated=draw(st.booleans()), hairpin=draw(st.booleans())),
                }
            links.append(replace(link, **changes))
        fdb = draw(
            st.lists(
                st.builds(FdbEntry, INDEXES, st.sampled_from([networks.MAC.format(1, 2), networks.MAC.format(4, 1)]), st.just(2)),
                max_size=2,
            )
        )
        snapshot = networks.edited(
            snapshot, name, links=tuple(links), fdb=tuple(fdb), sysctls=namespace.sysctls | draw(SYSCTLS),
            routes=(*namespace.routes, *draw(st.lists(ROUTES, max_size=3))), neighbours=tuple(draw(st.lists(NEIGHBOURS, max_size=2))),
        )  # fmt: skip
    return snapshot


@settings(max_examples=120, deadline=None)
@given(snapshots(), st.sampled_from(SPACES), st.sampled_from(ADDRESSES), st.sampled_from([Protocol.ICMP, Protocol.ARP]))
def test_every_walk_ends_and_every_end_is_explained(snapshot, source, dst, protocol):
    probe = networks.probe(source, dst, protocol)
    outcome = predict(snapshot, probe, ask=False)
    assert isinstance(outcome, Prediction)
    assert outcome.request.end in tuple(End)
    assert len(outcome.request.hops) < 400
    report = diagnose("why", probe, snapshot, outcome, None, frozenset(), explain)
    assert (report.verdict == "reachable") == (not report.causes)
    assert [h.n for h in report.path.request] == list(range(1, len(report.path.request) + 1))
