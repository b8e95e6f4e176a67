"""Services with several ends, of which a rule chooses one by lot: the end that does not answer."""

from __future__ import annotations

from typing import Any

import pytest
from literal_rules import iptables, nft_table, payload, test
from predict.networks import edited, probe, tutorial
from test_repair_whole import after

from netprobe.diagnose.repair.choice import choose, of_several_ends
from netprobe.model import Protocol, Ruleset, Snapshot, Stop
from netprobe.predict.dice import fates
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction

SERVICE = "*nat\n:PREROUTING ACCEPT [0:0]\n:SVC - [0:0]\n-A PREROUTING -d 10.96.0.10/32 -p icmp -j SVC\n{}\nCOMMIT"
LOT = "-m statistic --mode random --probability {} -j DNAT --to-destination {}"


def by_iptables(*ends: str) -> Ruleset:
    """As kube-proxy writes it: the n-th of the ends that are left with a probability of 1/n, the last one surely."""
    lines = [f"-A SVC {LOT.format(round(1 / (len(ends) - n), 3), end)}" for n, end in enumerate(ends[:-1])]
    return iptables(SERVICE.format("\n".join([*lines, f"-A SVC -j DNAT --to-destination {ends[-1]}"])))


def by_nft(*ends: str) -> Ruleset:
    chain = {"chain": {"name": "p", "handle": 1, "type": "nat", "hook": "prerouting", "prio": -100, "policy": "accept"}}
    pairs: list[Any] = [[n, end] for n, end in enumerate(ends)]
    drawn = {"map": {"key": {"numgen": {"mode": "random", "mod": len(ends), "offset": 0}}, "data": {"set": pairs}}}
    rule = {"rule": {"chain": "p", "handle": 7, "expr": [test(payload("ip", "daddr"), "10.96.0.10"), {"dnat": {"addr": drawn}}]}}
    return nft_table(chain, rule, family="ip")


def network(rules: Ruleset) -> Snapshot:
    snapshot = edited(tutorial(), "host", ruleset=rules)
    return after(snapshot, "red: ip route add 10.96.0.0/16 via 10.0.0.1 dev eth0 onlink")


def named(snapshot: Snapshot, prediction: Prediction, stop: Stop) -> Stop:
    return of_several_ends(snapshot, prediction, stop, choose(snapshot, prediction, stop)).stop


@pytest.mark.parametrize("rules", [by_iptables, by_nft])
@pytest.mark.parametrize(
    ("ends", "dead"),
    [
        (("172.17.0.2", "172.17.0.3"), None), (("172.17.0.2", "172.17.0.9"), "172.17.0.9"),
        (("172.17.0.2", "172.17.0.3", "172.17.0.9"), "172.17.0.9"), (("172.17.0.2", "172.17.0.9", "172.17.0.3"), "172.17.0.9"),
    ],
)  # fmt: skip
def test_the_end_that_is_not_there(rules: Any, ends: tuple[str, ...], dead: str | None) -> None:
    snapshot = network(rules(*ends))
    found = predict(snapshot, probe("red", "10.96.0.10", Protocol.ICMP), ask=False)
    assert isinstance(found, Prediction)
    every = [*fates(snapshot, found)]
    assert [each.prediction.target for each in every] == list(ends)
    lost = [named(each.snapshot, each.prediction, each.stop) for each in every if each.stop is not None]
    assert len(lost) == (dead is not None)
    for stop in lost:
        assert stop.code == "dnat-dead-target"
        assert dead is not None
        assert dead in stop.text
