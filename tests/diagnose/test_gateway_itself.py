"""Who asks for the gateway itself, which a bridge has lost: its stations send to it, and so it is the bridge's, whoever asks."""

from __future__ import annotations

import pytest
from test_other_flows import both_versions
from test_repair_whole import after, ask, chosen, said, tutorial


@pytest.mark.parametrize("strayed", [False, True], ids=["", "the world sends back what is for it"])
@pytest.mark.parametrize(
    ("lost", "bridge", "asker", "fix"),
    [
        ("172.17.0.1/16", "docker0", "c1", "172.17.0.1/16"),
        ("172.17.0.1/16", "docker0", "red", "172.17.0.1/16"),
        ("10.0.0.1/16", "br0", "red", "10.0.0.1/LENGTH"),  # its only station has the prefix of a host
        ("10.0.0.1/16", "br0", "c1", "10.0.0.1/LENGTH"),
        ("fd00:172::1/64", "docker0", "c1", "fd00:172::1/64"),
        ("fd00:172::1/64", "docker0", "red", "fd00:172::1/64"),
    ],
)
def test_the_gateway_that_a_bridge_lost_is_asked_for(lost: str, bridge: str, asker: str, fix: str, strayed: bool) -> None:
    way = "fd00:172::/64 via fd00:203::2" if ":" in lost else "172.17.0.0/16 via 203.0.113.2"
    snapshot = after(
        both_versions() if ":" in lost else tutorial(),
        *((f"internet: ip route add {way}",) if strayed else ()),
        f"host: ip address del {lost} dev {bridge}",
    )
    found = chosen(snapshot, ask(asker, lost.partition("/")[0]))
    assert (found.stop.code, said(found)) == ("addr-missing", [f"host: ip address add {fix} dev {bridge}"])


def test_an_address_that_nobody_sends_to_is_no_bridges() -> None:
    """Who knows whose it was."""
    gone = ("c1: ip route del default", "c2: ip route del default", "host: ip address del 172.17.0.1/16 dev docker0")
    assert chosen(after(tutorial(), *gone), ask("c1", "172.17.0.1")).stop.code != "addr-missing"
