"""A rule that gives a frame another MAC: it has to answer for it where no station takes that up; what the frame came
for is settled before.
"""

from __future__ import annotations

import pytest
from networks import edited, probe, tutorial

from netprobe.model import Chain, Rule, Ruleset, Snapshot, Statement, Stop, Table
from netprobe.predict.predict import Prediction, predict
from netprobe.rules.read.terms import key, value

NOBODY = "02:de:ad:00:00:01"


def with_rule(name: str, family: str, hook: str, device: str | None, to: str) -> Snapshot:
    rule = Rule(1, "ether daddr set", (Statement("set", key("ether daddr"), right=value(to)),), handle=7)
    chain = Chain("c", hook=hook, type="filter", priority=0, policy="accept", rules=(rule,), devices=(device,) if device else ())
    return edited(tutorial(), name, ruleset=Ruleset(tables=(Table("nft", family, "t", chains=(chain,)),)))


def stop(snapshot: Snapshot) -> Stop | None:
    found = predict(snapshot, probe("c1", "172.17.0.3"), ask=False)
    assert isinstance(found, Prediction)
    return found.stop


@pytest.mark.parametrize(("family", "hook", "device"), [("bridge", "prerouting", None), ("netdev", "ingress", "vethc1")])
def test_a_rule_that_sends_a_frame_to_nobody(family: str, hook: str, device: str | None) -> None:
    found = stop(with_rule("host", family, hook, device, NOBODY))
    assert found is not None
    assert (found.code, found.place.namespace, found.place.interface) == ("dnat-dead-target", "host", "vethc1")
    assert " ".join(found.commands[0].words) == f"nft delete rule {family} t c handle 7"


def test_who_is_there_takes_it() -> None:
    mac = next(link.mac for link in tutorial()["c2"].links if link.name == "eth0")
    assert stop(with_rule("host", "netdev", "ingress", "vethc1", mac)) is None


def test_a_stack_has_settled_before_what_is_for_it() -> None:
    """eth_type_trans comes before the ingress of the device."""
    assert stop(with_rule("c2", "netdev", "ingress", "eth0", NOBODY)) is None
