"""Messages that are declared here, held against pyroute2's own classes of them, where it has some."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from decoding import attribute
from hypothesis import given
from hypothesis import strategies as st
from pyroute2.netlink import nlmsg
from pyroute2.netlink.diag import inet_diag_msg, inet_diag_req
from pyroute2.netlink.nfnetlink.nfctsocket import nfct_msg
from pyroute2.netlink.nfnetlink.nftsocket import nft_chain_msg, nft_rule_msg, nft_set_msg, nft_table_msg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfbase, ifinfmsg
from pyroute2.netlink.rtnl.ndmsg import ndmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg
from pyroute2.netlink.rtnl.tcmsg import common, tcmsg

from netprobe.linux.messages import conntrack, netfilter, route, sockets, traffic
from netprobe.linux.netlink import Record

DATA = ifinfbase.ifinfo.data_map
TUPLE = nfct_msg.cta_tuple
TWINS = [
    (route.Link, ifinfmsg), (route.Info, ifinfbase.ifinfo), (route.Link.xdp, ifinfbase.xdp), (route.Bridge, DATA["bridge"]),
    (route.Vxlan, DATA["vxlan"]), (route.Vlan, DATA["vlan"]), (route.Macvlan, DATA["macvlan"]), (route.Ipvlan, DATA["ipvlan"]),
    (route.Neighbour, ndmsg), (route.Route, rtmsg), (conntrack.Connection, nfct_msg), (conntrack.Tuple.ip, TUPLE.cta_ip),
    (conntrack.Tuple.proto, TUPLE.cta_proto), (conntrack.Connection.filter, nfct_msg.cta_filter),
    (netfilter.Table, nft_table_msg), (netfilter.Chain, nft_chain_msg), (netfilter.Chain.hook, nft_chain_msg.hook),
    (netfilter.Set, nft_set_msg), (traffic.Qdisc, tcmsg), (traffic.Qdisc.stats2, common.stats2), (sockets.InetSocket, inet_diag_msg),
]  # fmt: skip


def numbers(message: Any) -> dict[str, int]:
    """The numbers of the attributes, by name; pyroute2 gives most by their place."""
    return {entry[-2]: entry[0] if isinstance(entry[0], int) else place for place, entry in enumerate(message.nla_map)}


@pytest.mark.parametrize(("ours", "theirs"), TWINS, ids=lambda each: each.__name__)
def test_attributes_have_the_numbers_that_pyroute2_knows(ours: Any, theirs: Any) -> None:
    mine, known = numbers(ours), numbers(theirs)
    shared = mine.keys() & known.keys()
    assert shared
    assert {name: mine[name] for name in shared} == {name: known[name] for name in shared}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(route.Link, ifinfmsg), (traffic.Qdisc, tcmsg), (sockets.InetSocket, inet_diag_msg), (sockets.Sockets, inet_diag_req)],
    ids=lambda each: each.__name__,
)
def test_fixed_parts_are_as_long_as_pyroute2_says_and_in_its_order(ours: Any, theirs: Any) -> None:
    names = [[name for name, _ in each.fields if not name.startswith("__")] for each in (ours, theirs)]
    sizes = [struct.calcsize("=" + "".join(form.lstrip("<>=") for _, form in each.fields)) for each in (ours, theirs)]
    assert names[0] == names[1]
    assert sizes[0] == sizes[1]


HEADER = struct.Struct("=IHHII")
NAMES = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), min_size=1, max_size=20)


def packed(message: nlmsg) -> bytes:
    message.encode()
    return bytes(message.data)


def entry(data: bytes) -> Record:
    rule = netfilter.Rule(data)
    rule.decode()
    return Record(rule)


@given(NAMES, NAMES, st.integers(0, 2**64 - 1), st.sampled_from([1, 2, 5, 7, 10]))
def test_a_rule_is_read_as_pyroute2_reads_it(table: str, chain: str, handle: int, family: int) -> None:
    theirs = nft_rule_msg()
    theirs["nfgen_family"] = family
    theirs["attrs"] = [["NFTA_RULE_TABLE", table], ["NFTA_RULE_CHAIN", chain], ["NFTA_RULE_HANDLE", handle]]
    data = packed(theirs)
    ours, again = entry(data), nft_rule_msg(data)
    again.decode()
    assert ours["nfgen_family"] == again["nfgen_family"] == family
    for name in ("NFTA_RULE_TABLE", "NFTA_RULE_CHAIN", "NFTA_RULE_HANDLE"):
        assert ours.get(name) == again.get_attr(name)
    assert "NFTA_RULE_COMPAT" not in ours


def rule(body: bytes) -> bytes:
    return HEADER.pack(HEADER.size + len(body), 2566, 0, 0, 0) + body


def test_of_a_rule_flags_strangers_and_names_in_no_encoding_are_bearable() -> None:
    body = struct.pack("=BBH", 2, 0, 0) + attribute(99, b"odd") + attribute(0x8000 | 4, b"\0counter\0") + attribute(2, b"a\xff\0")
    found = entry(rule(body) + rule(b"what follows it"))
    assert (found.get("NFTA_RULE_EXPRESSIONS"), found.text("NFTA_RULE_CHAIN")) == (b"\0counter\0", "a\udcff")
    assert len(found) == 2


@pytest.mark.parametrize("length", [0, 3, 60000])
def test_a_length_that_cannot_be_true_ends_a_rules_attributes(length: int) -> None:
    body = struct.pack("=BBH", 2, 0, 0) + attribute(1, b"filter\0") + struct.pack("=HH", length, 2) + b"FORWARD\0"
    found = entry(rule(body))
    assert (found.text("NFTA_RULE_TABLE"), found.text("NFTA_RULE_CHAIN")) == ("filter", "")
