"""The rulesets of a namespace in which addresses are translated; of any other, nothing is printed.

Each container on a network of Docker's own has rules that translate: they lead it to the engine's name server
at 127.0.0.11, and matter to nobody else. The kernel tells quickly whether there are others; a tool to print
them would take 20 ms a container.
"""

from __future__ import annotations

import re
from itertools import chain

from netprobe.errors import NetprobeError, is_short
from netprobe.kernel.elsewhere import Place
from netprobe.linux import files
from netprobe.model import Blind, Ruleset

from .decode import expressions_of, nested, number, value_of
from .kernel import NFGENMSG, Inventory, Nfnetlink, outline
from .proc import LEGACY_NAMES, NET, legacy_families
from .read import RulesetReading

# include/uapi/linux/netfilter/nf_tables.h: NFTA_PAYLOAD_{BASE,OFFSET,LEN}, NFT_PAYLOAD_NETWORK_HEADER,
# NFTA_CMP_{OP,DATA}, NFT_CMP_EQ; the offsets are those of struct iphdr
PAYLOAD, NETWORK, SOURCE, DESTINATION, ADDRESS = (2, 3, 4), 1, 12, 16, 4
CMP_OP, CMP_DATA, EQUAL = 2, 3, 0
LOOPBACK = 127  # the first byte of 127.0.0.0/8


def read_translating(fd: Place, name: str) -> Ruleset:
    """The rules of the open namespace `fd`, in which the thread is, if any of its chains translates; no rules
    where none does, and a blind spot where it cannot be told.
    """
    try:
        if not _translates():
            return Ruleset()
        with RulesetReading(fd, name) as reading:
            return reading.ruleset()
    except (NetprobeError, OSError) as error:
        if is_short(error):
            raise
        return Ruleset((Blind(f"address translation of {name}", _why(error)),))


def _why(error: Exception) -> str:
    if isinstance(error, PermissionError):
        return "CAP_NET_ADMIN is missing"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _translates() -> bool:
    """Whether there is a rule for other packets than those from or to a loopback address, in a table with a
    chain of type nat. Raises OSError (EPERM without CAP_NET_ADMIN).
    """
    with Nfnetlink() as netlink:
        found = outline(netlink)
        tables = {(each.family, each.table) for each in found.chains if each.type == "nat"}
        if tables & found.large or any(_has_others(netlink, found, *table) for table in tables):
            return True
    return any(_has_nat(f"{NET}/{LEGACY_NAMES[family]}") for family in legacy_families())


def _has_others(netlink: Nfnetlink, found: Inventory, family: str, table: str) -> bool:
    """Whether a table has rules for packets that may leave the machine."""
    chains = (each.name for each in found.chains if (each.family, each.table) == (family, table))
    rules = chain.from_iterable(netlink.rules(family, table, name) for name in chains)
    return not all(family == "ip" and is_of_loopback(rule) for rule in rules)


def is_of_loopback(body: bytes) -> bool:
    """Whether a rule of the family ip is for packets from or to one loopback address alone: it loads the
    source or destination out of the header, and compares all of it with that.
    """
    is_loaded = False
    for name, given in expressions_of(nested(body, NFGENMSG)):
        if is_loaded and name == "cmp" and number(given.get(CMP_OP)) == EQUAL:
            address = value_of(given.get(CMP_DATA, b""))
            if len(address) == ADDRESS and address[0] == LOOPBACK:
                return True
        where = tuple(number(given.get(each), -1) for each in PAYLOAD)
        is_loaded = name == "payload" and where in (
            (NETWORK, SOURCE, ADDRESS),
            (NETWORK, DESTINATION, ADDRESS),
        )
    return False


def _has_nat(path: str) -> bool:
    """Whether the old engine has its table `nat` here."""
    return re.search(rb"^nat$", files.kernel(path), re.MULTILINE) is not None
