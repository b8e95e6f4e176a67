"""Two interfaces of a router, each with the addresses of the other."""

from __future__ import annotations

import pytest
from diagnose.test_repair_whole import after, ask, chosen, healthy, said

from netprobe.model import Snapshot

CROSSED = {
    4: ("10.1.0.1/24", "10.9.0.1/30"),
    6: ("fd00:1::1/64", "fd00:9::1/64"),
}
ASKED = {4: ("10.2.0.10", "10.1.0.10"), 6: ("fd00:2::10", "fd00:1::10")}


def crossed(version: int) -> Snapshot:
    """r1 with the addresses of its two sides exchanged; it has written its routes again since."""
    lan, wan = CROSSED[version]
    routes = {
        4: "r1: ip route replace 10.2.0.0/24 via 10.9.0.2 dev wan onlink",
        6: "r1: ip -6 route replace fd00:2::/64 via fd00:9::2 dev wan onlink",
    }
    return after(
        healthy("far-office-no-way-back"),
        f"r1: ip address del {lan} dev lan",
        f"r1: ip address del {wan} dev wan",
        f"r1: ip address add {wan} dev lan",
        f"r1: ip address add {lan} dev wan",
        routes[version],
    )


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("back", [False, True])
def test_both_addresses_are_put_where_their_networks_are(version: int, back: bool) -> None:
    lan, wan = CROSSED[version]
    found = chosen(crossed(version), ask("server" if back else "pc", ASKED[version][back]))
    assert found.stop.code == "addr-wrong-subnet"
    assert {*said(found)} >= {f"r1: ip address add {lan} dev lan", f"r1: ip address add {wan} dev wan"}


def test_one_address_of_another_network_is_no_exchange() -> None:
    network = after(
        healthy("far-office-no-way-back"),
        "r1: ip address del 10.1.0.1/24 dev lan",
        "r1: ip address add 10.9.0.9/24 dev lan",
    )
    assert "dev wan" not in "".join(said(chosen(network, ask("pc", "10.2.0.10"))))
