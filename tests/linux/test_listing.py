"""What nft is asked for, and what is made of what it prints."""

from __future__ import annotations

import json

from msgspec.structs import replace

from netprobe.linux.netfilter import listing
from netprobe.linux.netfilter.kernel import Inventory
from netprobe.linux.netfilter.tools import Printed
from netprobe.rules.read.nft_json import KernelChain


def test_tables_that_nft_cannot_print_whole_are_put_together_of_their_pieces() -> None:
    """nft 1.0.6 spoils what it says of a table with flags, and may end there; of chains and sets it says nothing of that."""
    chain = KernelChain("ip", "gw", "pre", "prerouting", -100, "accept", "nat", (), 1)
    found = Inventory((("ip", "gw"), ("ip", "other")), (chain, replace(chain, table="other")), dormant=frozenset({("ip", "gw")}))
    wanted = {("ip", "gw")}
    lines = listing.pieces(found, wanted)
    assert lines.pop("list chain ip gw pre") == ("nft", "-j", "list", "chain", "ip", "gw", "pre")
    assert not any("other" in line for line in lines)
    rule = {"rule": {"family": "ip", "table": "gw", "chain": "pre", "handle": 2, "expr": [{"accept": None}]}}
    based = {"family": "ip", "table": "gw", "name": "pre", "handle": 1, "type": "nat", "hook": "prerouting", "prio": -100}
    said = {"list chain ip gw pre": [{"metainfo": {}}, {"chain": {**based, "policy": "accept"}}, rule]}
    said |= {line: [{"map": {"family": "ip", "table": table, "name": "m", "type": "mark", "map": "verdict"}} for table in ("gw", "other")]
             for line in lines if line.endswith("maps")}  # fmt: skip
    printed = {line: Printed(json.dumps({"nftables": said.get(line, [])}).encode()) for line in (*lines, "list chain ip gw pre")}
    [table] = listing.in_pieces(found, wanted, printed, "")
    assert (table.name, [each.name for each in table.sets]) == ("gw", ["m"])
    assert [(each.hook, each.type, len(each.rules)) for each in table.chains] == [("prerouting", "nat", 1)]


def test_tables_of_very_many_chains_are_not_put_together() -> None:
    chains = tuple(KernelChain("ip", "gw", f"c{n}", None, 0, "accept", "", (), n) for n in range(300))
    found = Inventory((("ip", "gw"),), chains)
    assert listing.pieces(found, {("ip", "gw")}) == {}
    assert listing.in_pieces(found, {("ip", "gw")}, {}, "") == []
