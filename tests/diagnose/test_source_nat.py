"""Rules for another source, in the words of the tool in use."""

from __future__ import annotations

import pytest
from predict.networks import edited, tutorial

from netprobe.diagnose import source_nat
from netprobe.model import Chain, Flow, Link, Protocol, Ruleset, Table
from netprobe.model.command import line

OUT = Link(4, "eth0")
FORWARD = (Chain("FORWARD", (), "forward"),)


def of_nft(name: str) -> Table:
    return Table("nft", "ip", name, (Chain("post", (), "postrouting", type="nat"),))


@pytest.mark.parametrize(
    ("tables", "tool"),
    [
        ((), "iptables"),
        ((Table("iptables", "ip", "filter", FORWARD),), "iptables"),
        ((Table("iptables-legacy", "ip", "filter", FORWARD),), "iptables-legacy"),
        ((Table("iptables-legacy", "ip", "filter", FORWARD), Table("iptables", "ip", "filter", FORWARD)), "iptables"),
    ],
)
def test_the_engine_that_is_in_use_gets_the_rule(tables: tuple[Table, ...], tool: str) -> None:
    host = edited(tutorial(), "host", ruleset=Ruleset((), tables))["host"]
    [made] = source_nat.masquerading(host, "10.0.0.2", "10.0.0.0/16", OUT, first=False)
    assert line(made) == f"{tool} -t nat -A POSTROUTING -s 10.0.0.0/16 -o eth0 -j MASQUERADE"


@pytest.mark.parametrize(("name", "is_written"), [("lab", True), ("x ; flush ruleset", False)])
def test_a_name_that_is_more_than_a_name_is_in_no_command(name: str, is_written: bool) -> None:
    """nft reads its words as one text."""
    host = edited(tutorial(), "host", ruleset=Ruleset((), (of_nft(name),)))["host"]
    made = (
        *source_nat.masquerading(host, "10.0.0.2", None, OUT, first=True),
        *source_nat.translating(host, "10.0.0.0/16", OUT, "203.0.113.2"),
        *source_nat.masquerading_what_goes_to(host, Flow("10.0.0.2", "8.8.8.8", Protocol.TCP, dport=80), OUT),
    )
    assert [bool(each.words) for each in made] == [is_written] * 3
    assert "flush" not in " ".join(map(line, made))
