"""What a report says to paste is pasted, and mends: the lines work as they are printed, each in the shell netprobe was started from."""

from __future__ import annotations

import pytest
from faults.pasting import paste
from faults.workshop import Workshop

from netprobe.lab.faults import FAULTS, Fault

# One of each kind of command; `-m ""` pastes all.
DAILY = {
    "veth-out-of-bridge", "stp-listening", "old-mac-remembered", "ip-forward-off-on-the-bridge", "gateway-mistyped", "rule-prohibits",
    "docker-drops-by-policy", "nft-input-drops-by-policy", "legacy-input-drops", "mac-spoofing-guard", "too-many-pings", "xdp-drops",
    "old-connection-remembered", "prefix-too-wide",
}  # fmt: skip

# Where a person has to know or to do something that no line can say, at once or behind the first repair.
BY_HAND = {
    "veth-deleted", "interface-moved-away", "container-stopped", "container-without-address", "address-of-another-network",
    "typing-error-in-the-address", "duplicate-found-by-dad", "ipv6-disabled-in-the-container", "ipv6-disabled-on-the-bridge",
    "provider-sends-it-back", "only-port-is-taken", "published-container-got-another-address", "table-full", "web-server-stopped",
    "name-server-stopped", "web-server-on-localhost", "web-server-hangs", "name-server-hangs", "answers-from-another-address",
    "answers-from-another-address-through-nat", "other-vni", "other-tunnel-port", "tunnel-to-nowhere", "forwarding-entry-missing",
    "forwarding-entry-to-an-old-node", "tunnel-neighbour-missing", "host-asks-by-the-parent",
}  # fmt: skip


def marked(fault: Fault) -> object:
    return pytest.param(fault, id=fault.name, marks=[] if fault.name in DAILY else [pytest.mark.thorough])


@pytest.mark.lab
@pytest.mark.parametrize("privilege", ["root"], indirect=True, scope="session")
@pytest.mark.parametrize("broken", [marked(fault) for fault in FAULTS])
def test_what_is_pasted_mends(workshop: Workshop, broken: Fault) -> None:
    rounds = workshop.perform(paste, broken)
    assert [line for each in rounds for line in each.refused] == []
    pasted = [line for each in rounds for line in each.pasted]
    assert len(set(pasted)) == len(pasted), "a line was said again after it was done"
    if broken.name not in BY_HAND:
        assert rounds[-1].code == 0, (pasted, rounds[-1].cause.get("summary"))


def test_the_names_are_those_of_faults() -> None:
    assert {fault.name for fault in FAULTS} >= DAILY | BY_HAND
