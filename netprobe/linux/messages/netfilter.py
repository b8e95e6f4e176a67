"""nfnetlink: tables, chains, rules and sets of nf_tables, and tracked connections.

pyroute2's classes of rules and sets decode every expression, which takes long and is printed better by nft: only what is asked for
is named here. Numbers: include/uapi/linux/netfilter/nf_tables.h.
"""

from __future__ import annotations

from pyroute2.netlink import NLA_F_NESTED, nla
from pyroute2.netlink.nfnetlink import nfgen_msg
from pyroute2.netlink.nfnetlink.nfctsocket import nfct_msg
from pyroute2.netlink.nfnetlink.nftsocket import nft_chain_msg, nft_table_msg


class Rule(nfgen_msg):
    """A rule; its expressions are left as they are."""

    nla_map = (
        (1, "NFTA_RULE_TABLE", "asciiz"),
        (2, "NFTA_RULE_CHAIN", "asciiz"),
        (3, "NFTA_RULE_HANDLE", "be64"),
        (4, "NFTA_RULE_EXPRESSIONS", "cdata"),
        (5, "NFTA_RULE_COMPAT", "cdata"),
    )


class Set(nfgen_msg):
    """A set's definition; its size is told from Linux 6.16 on."""

    nla_map = (
        (1, "NFTA_SET_TABLE", "asciiz"),
        (2, "NFTA_SET_NAME", "asciiz"),
        (3, "NFTA_SET_FLAGS", "be32"),
        (4, "NFTA_SET_KEY_TYPE", "be32"),
        (6, "NFTA_SET_DATA_TYPE", "be32"),
        (20, "NFTA_SET_COUNT", "be32"),
    )


class Data(nla):
    """A value as the kernel keeps it, or a verdict."""

    nla_flags = NLA_F_NESTED
    nla_map = ((1, "NFTA_DATA_VALUE", "cdata"), (2, "NFTA_DATA_VERDICT", "verdict"))

    class verdict(nla):
        nla_map = ((1, "NFTA_VERDICT_CODE", "sbe32"), (2, "NFTA_VERDICT_CHAIN", "asciiz"))


class Elements(nfgen_msg):
    """Elements of a set."""

    nla_map = (
        (1, "NFTA_SET_ELEM_LIST_TABLE", "asciiz"),
        (2, "NFTA_SET_ELEM_LIST_SET", "asciiz"),
        (3, "NFTA_SET_ELEM_LIST_ELEMENTS", "*element"),
    )

    class element(nla):
        nla_flags = NLA_F_NESTED
        nla_map = ((1, "NFTA_SET_ELEM_KEY", "key_or_value"), (2, "NFTA_SET_ELEM_DATA", "key_or_value"))
        key_or_value = Data  # `data` is what pyroute2 calls the whole message


_TABLES, _TRACKED = 10 << 8, 1 << 8  # NFNL_SUBSYS_NFTABLES, NFNL_SUBSYS_CTNETLINK
REQUESTS = {
    _TABLES | 1: nft_table_msg, _TABLES | 4: nft_chain_msg, _TABLES | 7: Rule, _TABLES | 10: Set, _TABLES | 13: Elements,
    _TRACKED | 1: nfct_msg,
}  # fmt: skip
ANSWERS = {kind - 1: message for kind, message in REQUESTS.items()}
