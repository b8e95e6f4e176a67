"""A rule is found by the words that name it: those of its own tool."""

from __future__ import annotations

from netprobe.diagnose.nat_rules import found
from netprobe.model import Chain, Namespace, Object, Rule, Ruleset, Table


def table(engine: str, family: str, text: str) -> Table:
    return Table(engine, family, "nat", (Chain("PREROUTING", (Rule(1, text, ()),), "prerouting", type="nat"),))


def test_tables_of_one_name_are_told_apart_by_their_tools() -> None:
    tables = (table("ebtables", "bridge", "-A PREROUTING -j ACCEPT"), table("iptables", "ip", "-A PREROUTING -j RETURN"))
    namespace = Namespace("host", ruleset=Ruleset(tables=tables))
    for tool, text in (("iptables", "-j RETURN"), ("ebtables", "-j ACCEPT")):
        rule = found(namespace, Object("nat-rule", "", words=(tool, "nat", "PREROUTING", "1")))
        assert rule is not None
        assert rule.text.endswith(text)
    assert found(namespace, Object("nat-rule", "", words=("ip6tables", "nat", "PREROUTING", "1"))) is None
