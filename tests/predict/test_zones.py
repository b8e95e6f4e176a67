"""Zones of connection tracking: for both directions, or for one of them alone (net/netfilter/nf_conntrack_core.c, nf_ct_zone_id)."""

from __future__ import annotations

import pytest
from networks import edited, probe, tutorial

from netprobe.model import Ruleset
from netprobe.predict.predict import Prediction, predict
from netprobe.rules.read.iptables_save import read_save

_RULES = """*raw
:PREROUTING ACCEPT [0:0]
-A PREROUTING -i {uplink} -j CT {back}
-A PREROUTING -i {inside} -j CT {zone}
COMMIT
*nat
:POSTROUTING ACCEPT [0:0]
-A POSTROUTING -o {uplink} -j MASQUERADE
COMMIT
"""


@pytest.mark.parametrize(
    ("zone", "back", "answered"),
    [
        ("--zone-orig 1", "--zone-orig 0", True),
        ("--zone-reply 1", "--zone-reply 1", True),
        ("--zone 1", "--zone 1", True),
        ("--zone 1", "--zone-orig 1", False),
        ("--zone-reply 1", "--zone-orig 0", False),
    ],
)
def test_an_answer_is_looked_for_in_the_zone_of_replies(zone: str, back: str, answered: bool) -> None:
    """Two tenants with the same addresses are told apart by the zone of what they ask alone: the answers come for other addresses."""
    snapshot = tutorial()
    uplink, inside = "eth0", "br0"
    saved = _RULES.format(zone=zone, back=back, uplink=uplink, inside=inside)
    ruleset = Ruleset(tables=tuple(read_save(saved, "iptables", "ip")), queues=())
    outcome = predict(edited(snapshot, "host", ruleset=ruleset), probe(), ask=False)
    assert isinstance(outcome, Prediction)
    assert (outcome.stop is None) is answered
