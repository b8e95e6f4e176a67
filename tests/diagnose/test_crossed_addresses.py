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


def of_one_network(*lines: str) -> Snapshot:
    """pc and r2 are of one network, of which r1 has a part on either side; pc sends by r2."""
    return after(
        healthy("far-office-no-way-back"),
        "pc: ip address add 10.9.0.66/24 dev eth0",
        "pc: ip address del 10.1.0.10/24 dev eth0",
        "pc: ip route replace default via 10.9.0.2 dev eth0",
        "r1: ip address add 10.9.0.65/26 dev lan",
        "r1: ip address del 10.1.0.1/24 dev lan",
        "r2: ip address add 10.9.0.2/24 dev wan",
        "r2: ip address del 10.9.0.2/30 dev wan",
        *lines,
    )


def test_a_proxy_of_one_side_is_one_of_the_other_side() -> None:
    network = of_one_network("r1: sysctl -w net.ipv4.conf.wan.proxy_arp=1")
    found = chosen(network, ask("pc", "10.2.0.10"))
    assert (found.stop.code, said(found)) == ("proxy-arp-off", ["r1: sysctl -w net.ipv4.conf.lan.proxy_arp=1"])


def test_who_is_no_proxy_need_be_none() -> None:
    assert chosen(of_one_network(), ask("pc", "10.2.0.10")).stop.code != "proxy-arp-off"


def test_of_two_routes_of_a_table_to_the_same_the_first_is_wrong_and_not_the_rule() -> None:
    network = after(
        healthy("far-office-no-way-back"),
        "r1: ip rule add pref 500 from 10.2.0.0/24 lookup 9",
        "r1: ip route add 10.1.0.0/24 dev lan table 9 metric 2000",
        "r1: ip route add 10.1.0.0/24 via 10.1.0.77 dev lan table 9 metric 50",
    )
    found = chosen(network, ask("pc", "10.2.0.10"))
    assert said(found) == ["r1: ip route del 10.1.0.0/24 via 10.1.0.77 dev lan table 9"]
