"""Requests encoded by hand are byte for byte what pyroute2 makes of them; what is unusual is left to it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.linux import netlink
from netprobe.linux.encoding import encoded
from netprobe.linux.netlink import CONNTRACK, IPSET, NETFILTER, ROUTE, SOCK_DIAG, XFRM, Family, Request
from netprobe.linux.tables import conntrack, fib
from netprobe.model import Flow, Protocol, RouteQuery

FLAGS = 0x301


def both(family: Family, request: Request) -> tuple[bytes | None, bytes]:
    """The message as it is encoded here, and by pyroute2."""
    made = netlink._messages(family.module)[0][request.kind]
    return encoded(made, request.kind, FLAGS, request.fields, request.attributes), netlink._by_pyroute2(made, request, FLAGS)


@pytest.mark.parametrize("family", [ROUTE, SOCK_DIAG, XFRM, NETFILTER, CONNTRACK, IPSET])
def test_questions_for_all_of_a_table(family: Family) -> None:
    requests = netlink._messages(family.module)[0]
    found = {kind: both(family, Request(kind)) for kind in requests}
    assert all(here in (None, there) for here, there in found.values())
    assert any(here is not None for here, _ in found.values()) or family is SOCK_DIAG


@given(
    st.sampled_from([Protocol.TCP, Protocol.UDP, Protocol.ICMP, Protocol.ICMPV6]),
    st.ip_addresses(v=4) | st.ip_addresses(v=6), st.integers(0, 65535), st.integers(0, 65535), st.booleans(), st.integers(0, 65535),
)  # fmt: skip
def test_a_connection(protocol: Protocol, address: Any, sport: int, dport: int, is_turned: bool, zone: int) -> None:
    other = "198.51.100.7" if address.version == 4 else "2001:db8::7"
    flow = Flow(str(address), other, protocol, sport, dport, icmp_id=sport, icmp_type=8)
    where = [("CTA_ZONE", zone)] if zone else []
    [ours, theirs] = both(
        CONNTRACK,
        Request(conntrack.CT_GET, conntrack._header(flow), [conntrack._tuple(flow.reversed() if is_turned else flow, "ORIG"), *where]),
    )
    assert ours == theirs


@given(st.ip_addresses(v=4), st.integers(0, 65535), st.integers(0, 2**32 - 1), st.integers(1, 2**31 - 1))
def test_a_route(address: Any, port: int, mark: int, index: int) -> None:
    query = RouteQuery("10.0.0.2", str(address), iif=index, mark=mark, sport=port, dport=port, protocol=17)
    for question in fib.questions(query):
        ours, theirs = both(ROUTE, question)
        assert ours == theirs


def test_what_is_unusual_is_not_encoded_here() -> None:
    made = netlink._messages("route")[0][18]
    assert encoded(made, 18, 0, {}, [("IFLA_NO_SUCH", 1)]) is None
    assert encoded(made, 18, 0, {"no such": 1}, []) is None
    assert encoded(made, 18, 0, {"index": 1 << 40}, []) is None
    assert encoded(made, 18, 0, {}, [("IFLA_IFNAME", "eth0")]) is None
