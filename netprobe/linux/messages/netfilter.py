"""nfnetlink: tables, chains and sets of nf_tables; of rules only the head.

pyroute2's classes of them decode all there is, which takes long and is printed better by nft: only what is
asked for is named here. Numbers: include/uapi/linux/netfilter/nf_tables.h.
"""

from __future__ import annotations

from pyroute2.netlink import NLA_F_NESTED, nla
from pyroute2.netlink.nfnetlink import nfgen_msg


class TableMessage(nfgen_msg):
    """A table."""

    nla_map = ((1, "NFTA_TABLE_NAME", "asciiz"), (2, "NFTA_TABLE_FLAGS", "be32"))


class ChainMessage(nfgen_msg):
    """A chain, and where it hangs if it is a base chain."""

    nla_map = (
        (1, "NFTA_CHAIN_TABLE", "asciiz"),
        (2, "NFTA_CHAIN_HANDLE", "be64"),
        (3, "NFTA_CHAIN_NAME", "asciiz"),
        (4, "NFTA_CHAIN_HOOK", "hook"),
        (5, "NFTA_CHAIN_POLICY", "be32"),
        (7, "NFTA_CHAIN_TYPE", "asciiz"),
    )

    class hook(nla):
        nla_map = (
            (1, "NFTA_HOOK_HOOKNUM", "be32"),
            (2, "NFTA_HOOK_PRIORITY", "sbe32"),
            (3, "NFTA_HOOK_DEV", "asciiz"),
            (4, "NFTA_HOOK_DEVS", "devices"),
        )

        class devices(nla):
            nla_map = ((1, "NFTA_DEVICE_NAME", "asciiz"),)


class RuleMessage(nfgen_msg):
    """Where a rule stands."""

    nla_map = ((1, "NFTA_RULE_TABLE", "asciiz"), (2, "NFTA_RULE_CHAIN", "asciiz"))


class SetMessage(nfgen_msg):
    """A set's definition; its size is told from Linux 6.16 on."""

    nla_map = (
        (1, "NFTA_SET_TABLE", "asciiz"),
        (2, "NFTA_SET_NAME", "asciiz"),
        (3, "NFTA_SET_FLAGS", "be32"),
        (4, "NFTA_SET_KEY_TYPE", "be32"),
        (5, "NFTA_SET_KEY_LEN", "be32"),
        (6, "NFTA_SET_DATA_TYPE", "be32"),
        (7, "NFTA_SET_DATA_LEN", "be32"),
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


class Generation(nfgen_msg):
    """How often the rules of a namespace have changed."""

    nla_map = ((1, "NFTA_GEN_ID", "be32"),)


_TABLES = 10 << 8  # NFNL_SUBSYS_NFTABLES
REQUESTS = {
    _TABLES | 1: TableMessage,
    _TABLES | 4: ChainMessage,
    _TABLES | 7: RuleMessage,
    _TABLES | 10: SetMessage,
    _TABLES | 13: Elements,
    _TABLES | 16: Generation,
}
ANSWERS = {
    _TABLES: TableMessage,
    _TABLES | 3: ChainMessage,
    _TABLES | 6: nfgen_msg,
    _TABLES | 9: SetMessage,
    _TABLES | 12: Elements,
    _TABLES | 15: Generation,
}
BY_HAND = frozenset({ChainMessage, SetMessage})  # of which kube-proxy makes thousands
