"""What was there, and says more than it did: a route that allows few hops, a rule of the kernel's that is for some packets alone."""

from __future__ import annotations

import networks
import pytest
from msgspec.structs import replace

from netprobe.engine.recorded import Recorded
from netprobe.engine.what_if import WhatIf
from netprobe.model import Ruleset
from netprobe.question import Question

BREAKS = [
    (
        ["ip -n internet route replace 10.0.0.0/16 via 203.0.113.2 dev eth0 hoplimit 1 proto static advmss 900"],
        ("internet", "ip route replace 10.0.0.0/16 via 203.0.113.2 dev eth0 advmss 900 proto static"), "ttl-expired",
    ),
    (
        ["ip -n red route del default", "ip -n red route add default via 10.0.0.1 dev eth0 onlink hoplimit 1 metric 3"],
        ("red", "ip route replace default via 10.0.0.1 dev eth0 metric 3 onlink"), "ttl-expired",
    ),
    (
        ["ip -n internet rule del pref 0", "ip -n internet rule add pref 0 iif lo lookup local"],
        ("internet", "ip rule add pref 1 from all lookup local"), "rule-local-missing",
    ),
    (
        ["ip -n internet rule del pref 32766", "ip -n internet rule add pref 32766 to 192.0.2.0/24 lookup main"],
        ("internet", "ip rule add pref 32767 from all lookup main"), "rule-wrong-table",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "fix", "code"), BREAKS, ids=[row[0][-1] for row in BREAKS])
def test_the_fix_takes_back_what_was_added(lines: list[str], fix: tuple[str, str], code: str) -> None:
    """And leaves all else that was given."""
    whole = networks.tutorial()
    whole = replace(whole, namespaces={name: replace(each, ruleset=Ruleset()) for name, each in whole.namespaces.items()})
    report = WhatIf(Recorded([whole]), lines).as_it_would_be(Question("red", "8.8.8.8", "ping")).report
    assert report.verdict == "unreachable", report.summary
    cause = report.causes[0]
    assert (cause.code, [(each.namespace, " ".join(map(str, each.words))) for each in cause.commands]) == (code, [fix])
