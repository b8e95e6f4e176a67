"""Messages that are declared here, held against pyroute2's own classes of them, where it has some."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from decoding import attribute
from hypothesis import given
from hypothesis import strategies as st
from pyroute2.netlink.diag import inet_diag_msg, inet_diag_req
from pyroute2.netlink.nfnetlink.nfctsocket import nfct_msg
from pyroute2.netlink.nfnetlink.nftsocket import nft_chain_msg, nft_rule_msg, nft_set_msg, nft_table_msg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfbase, ifinfmsg
from pyroute2.netlink.rtnl.ndmsg import ndmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg
from pyroute2.netlink.rtnl.tcmsg import common, tcmsg

from netprobe.linux import record, same
from netprobe.linux.messages import conntrack, netfilter, route, sockets, traffic
from netprobe.linux.netfilter.kernel import FAMILIES, KernelRule, rules_of
from netprobe.linux.netlink import Netlink
from netprobe.linux.tables import links

DATA = ifinfbase.ifinfo.data_map
TUPLE = nfct_msg.cta_tuple
TWINS = [
    (route.LinkMessage, ifinfmsg), (route.Info, ifinfbase.ifinfo), (route.LinkMessage.xdp, ifinfbase.xdp),
    (route.BridgeData, DATA["bridge"]), (route.VxlanData, DATA["vxlan"]), (route.VlanData, DATA["vlan"]),
    (route.MacvlanData, DATA["macvlan"]), (route.IpvlanData, DATA["ipvlan"]),
    (route.NeighbourMessage, ndmsg), (route.RouteMessage, rtmsg), (conntrack.Connection, nfct_msg), (conntrack.Tuple.ip, TUPLE.cta_ip),
    (conntrack.Tuple.proto, TUPLE.cta_proto), (conntrack.Connection.filter, nfct_msg.cta_filter),
    (netfilter.TableMessage, nft_table_msg), (netfilter.ChainMessage, nft_chain_msg), (netfilter.ChainMessage.hook, nft_chain_msg.hook),
    (netfilter.SetMessage, nft_set_msg),
    (traffic.QdiscMessage, tcmsg), (traffic.QdiscMessage.stats2, common.stats2), (sockets.InetSocket, inet_diag_msg),
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
    [
        (route.LinkMessage, ifinfmsg),
        (traffic.QdiscMessage, tcmsg),
        (sockets.InetSocket, inet_diag_msg),
        (sockets.SocketRequest, inet_diag_req),
    ],
    ids=lambda each: each.__name__,
)
def test_fixed_parts_are_as_long_as_pyroute2_says_and_in_its_order(ours: Any, theirs: Any) -> None:
    names = [[name for name, _ in each.fields if not name.startswith("__")] for each in (ours, theirs)]
    sizes = [struct.calcsize("=" + "".join(form.lstrip("<>=") for _, form in each.fields)) for each in (ours, theirs)]
    assert names[0] == names[1]
    assert sizes[0] == sizes[1]


NAMES = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), min_size=1, max_size=20)
RULES = st.lists(st.tuples(st.sampled_from(list(FAMILIES)), NAMES, NAMES, st.integers(0, 2**64 - 1), st.booleans(), st.booleans()))


def as_pyroute2_writes_it(family: int, table: str, chain: str, handle: int, counted: bool, compat: bool) -> bytes:
    """The body of a rule's message."""
    names = ["counter"] * counted + ["match"] * compat
    expressions = [{"attrs": [["NFTA_EXPR_NAME", name]]} for name in names]
    message = nft_rule_msg()
    message["nfgen_family"] = family
    message["attrs"] = [["NFTA_RULE_TABLE", table], ["NFTA_RULE_CHAIN", chain], ["NFTA_RULE_HANDLE", handle]]
    message["attrs"] += [["NFTA_RULE_EXPRESSIONS", expressions]] if expressions else []
    message.encode()
    return bytes(message.data)[16:]


@given(RULES, st.integers(1, 4))
def test_rules_are_read_as_pyroute2_writes_them(rules: list[tuple[int, str, str, int, bool, bool]], times: int) -> None:
    each = [rule for rule in rules for _ in range(times)]  # those of a chain follow one another
    found = rules_of([as_pyroute2_writes_it(*rule) for rule in each])
    assert list(found) == [KernelRule(FAMILIES[family], *place, counted or compat) for family, *place, counted, compat in each]


def body(*attributes: bytes) -> bytes:
    return struct.pack("=BBH", 2, 0, 0) + b"".join(attributes)


TABLE, CHAIN, HANDLE = attribute(1, b"filter\0"), attribute(2, b"FORWARD\0"), attribute(3, (7).to_bytes(8, "big"))


@pytest.mark.parametrize("name", ["counter", "match", "target"])
def test_only_an_expressions_name_counts(name: str) -> None:
    written = name.encode() + b"\0"
    expression = attribute(4, attribute(1, attribute(1, written)))
    comment = attribute(4, attribute(1, attribute(1, b"log\0") + attribute(2, attribute(2, written)))) + attribute(7, b"\0" + written)
    [named, not_named] = rules_of([body(TABLE, CHAIN, HANDLE, expression), body(TABLE, CHAIN, HANDLE, comment)])
    assert (named.xtables, not_named.xtables) == (True, False)


def test_padding_strangers_and_names_in_no_encoding_are_bearable() -> None:
    strange = attribute(2, b"a\xff\0"), attribute(99, b"odd"), attribute(9, b""), HANDLE
    assert list(rules_of([body(TABLE, *strange)])) == [KernelRule("ip", "filter", "a\udcff", 7, False)]


def test_a_name_that_begins_like_another_is_another() -> None:
    longer = attribute(2, b"FORWARD-NEW\0")
    found = rules_of([body(TABLE, CHAIN, HANDLE), body(TABLE, longer, HANDLE), body(TABLE, CHAIN, HANDLE)])
    assert [rule.chain for rule in found] == ["FORWARD", "FORWARD-NEW", "FORWARD"]


@pytest.mark.parametrize("length", [0, 3, 60000])
def test_a_length_that_cannot_be_true_ends_a_rules_attributes(length: int) -> None:
    cut = body(TABLE, struct.pack("=HH", length, 2) + b"FORWARD\0", HANDLE)
    found = list(rules_of([cut, body(TABLE, CHAIN, HANDLE)]))
    assert found == [KernelRule("ip", "filter", "", 0, False), KernelRule("ip", "filter", "FORWARD", 7, False)]


def test_no_interface_is_decoded_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """pyroute2 takes a millisecond for each, and a host of containers has a thousand."""
    decoded: list[type] = []

    def whole(answer: type, message: bytes) -> record.Record:
        decoded.append(answer)
        return record.Record({})

    monkeypatch.setattr(record, "whole", whole)
    monkeypatch.setattr(same, "_kept", {})
    with Netlink() as netlink:
        found, tables = links.read_links(netlink)
    assert found
    assert tables["net.ipv4.conf.lo"]
    assert decoded == []
