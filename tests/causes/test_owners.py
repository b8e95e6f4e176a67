"""A table that the program that made it alone can change: no command is printed that the kernel refuses."""

from __future__ import annotations

import pytest
from fleet.agents import within
from literal_rules import nft_table, payload, test
from msgspec.structs import replace
from predict.networks import edited, probe, tutorial

from netprobe.causes.catalogue import explain
from netprobe.causes.owners import with_owners
from netprobe.diagnose.report import diagnose
from netprobe.lab.lab import Lab
from netprobe.model import Protocol, Report, Ruleset, Snapshot, Socket
from netprobe.predict.predict import Prediction, predict

ZONES = [("eth0", "goto", "filter_IN_public"), ("br0", "goto", "filter_IN_home"), ("", "goto", "filter_IN_work")]
POLICIES = [("br0", "jump", "filter_IN_policy_allow-host-ipv6"), ("br0", "jump", "filter_IN_home"), ("", "jump", "filter_IN_public")]


def firewall(zones: list[tuple[str, str, str]], name: str = "firewalld", owned: bool = True, hook: str = "input") -> Snapshot:
    """The host's table as firewalld makes it, which drops what no zone takes; the host has a server on 8080."""
    base = {"name": "filter_INPUT", "handle": 1, "type": "filter", "hook": hook, "prio": 10, "policy": "accept"}
    names = ("filter_IN_home", "filter_IN_home_allow", "filter_INPUT_ZONES", *dict.fromkeys(to for _, _, to in zones))
    chains = [{"chain": base}, *({"chain": {"name": to, "handle": 2 + n}} for n, to in enumerate(dict.fromkeys(names)))]
    rules = [
        ("filter_IN_home", [test(payload("tcp", "dport"), 22), {"accept": None}]),
        ("filter_IN_home", [{"jump": {"target": "filter_IN_home_allow"}}]),
    ]
    for own, verb, to in zones:
        by = [test({"meta": {"key": "iifname"}}, own)] if own else []
        rules.append(("filter_INPUT_ZONES", [*by, {verb: {"target": to}}]))
    rules += [("filter_INPUT", [{"jump": {"target": "filter_INPUT_ZONES"}}]), ("filter_INPUT", [{"drop": None}])]
    made = nft_table(*chains, *({"rule": {"chain": to, "handle": 20 + n, "expr": steps}} for n, (to, steps) in enumerate(rules)), name=name)
    ruleset = replace(made, tables=tuple(replace(each, owned=owned) for each in made.tables))
    return edited(tutorial(), "host", ruleset=ruleset, sockets=(Socket("tcp", "0.0.0.0", 8080, "listen"),))


def told(snapshot: Snapshot, dst: str = "10.0.0.1") -> Report:
    plain = probe("red", dst, Protocol.TCP, source_port=40000)
    asked = replace(plain, destination=replace(plain.destination, port=8080))
    quiet = {name: replace(each, ruleset=each.ruleset or Ruleset()) for name, each in snapshot.namespaces.items()}
    snapshot = replace(snapshot, namespaces=quiet)
    outcome = predict(snapshot, asked, ask=False)
    assert isinstance(outcome, Prediction)
    return with_owners(diagnose("why", asked, snapshot, outcome, None, frozenset(), explain), snapshot)


@pytest.mark.parametrize(("zones", "zone"), [(ZONES, "home"), (POLICIES, "home"), (ZONES[::2], "work")])
def test_firewalld_opens_the_port_in_the_zone_of_the_interface(zones: list[tuple[str, str, str]], zone: str) -> None:
    (cause,) = told(firewall(zones)).causes
    assert cause.code == "filtered-by-rule"
    assert cause.fix == (f"firewall-cmd --zone={zone} --add-port=8080/tcp",)


def test_what_another_program_owns_is_told() -> None:
    (cause,) = told(firewall(ZONES, name="fw")).causes
    assert cause.commands == ()
    assert cause.fix[0].startswith("# only the program that made the table inet fw can change it; what it lacks: nft ")


def test_what_is_forwarded_has_no_one_command() -> None:
    (cause,) = told(firewall(ZONES, hook="forward"), "8.8.8.8").causes
    assert cause.commands == ()
    assert "only the program that made the table inet firewalld can change it" in cause.advice


def test_what_nobody_owns_is_changed_as_ever() -> None:
    (cause,) = told(firewall(ZONES, owned=False)).causes
    assert cause.fix[0].startswith("nft ")


OWNED = "add table inet fw { flags owner; }; add chain inet fw f { type filter hook forward priority 0; policy drop; };"


@pytest.mark.lab
def test_the_kernel_refuses_what_is_not_printed(fresh_lab: Lab) -> None:
    fresh_lab.start(["sh", "-c", f"(echo '{OWNED}'; sleep 30) | nft -i"])
    assert within(5, lambda: "policy drop" in fresh_lab.run(["nft", "list", "ruleset"]).stdout)
    said = fresh_lab.run(["netprobe", "why", "red", "8.8.8.8"]).stdout
    assert "only the program that made the table inet fw can change it" in " ".join(said.split())
    refused = fresh_lab.run(["nft", "insert", "rule", "inet", "fw", "f", "accept"])
    assert "Operation not permitted" in refused.stderr
