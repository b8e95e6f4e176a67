"""What somebody flushed that an engine had written: a note tells what writes it anew."""

from __future__ import annotations

import pytest
from literal_rules import iptables
from msgspec.structs import replace
from predict.networks import edited, probe, tutorial

from netprobe.causes.catalogue import explain
from netprobe.diagnose.report import diagnose
from netprobe.model import Report, Ruleset
from netprobe.model.engines import ContainerEngines, EngineNetwork
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction

CHAINS = "*filter\n:FORWARD DROP [0:0]\n:DOCKER-USER - [0:0]\n:DOCKER-FORWARD - [0:0]\n"


def told(rules: str, chains: str = CHAINS, engines: ContainerEngines | None = None) -> Report:
    """The loss at the host's FORWARD policy, with these rules in the table."""
    network = edited(tutorial(), "host", ruleset=iptables(f"{chains}{rules}COMMIT"))
    network = replace(network, engines=engines)
    for name in set(network.namespaces) - {"host"}:
        network = edited(network, name, ruleset=Ruleset())
    asked = probe("red", "8.8.8.8")
    outcome = predict(network, asked, ask=False)
    assert isinstance(outcome, Prediction)
    return diagnose("why", asked, network, outcome, None, frozenset(), explain)


def test_the_engine_that_wrote_it_writes_it_again() -> None:
    report = told("")
    assert report.causes[0].code == "policy-drop"
    assert [note for note in report.notes if note.endswith(": systemctl restart docker")]
    assert "in the iptables table filter of host (DOCKER-USER)" in report.notes[-1]


@pytest.mark.parametrize("rules", ["-A FORWARD -j DOCKER-USER\n", "-A FORWARD -j DOCKER-FORWARD\n-A DOCKER-USER -j RETURN\n"])
def test_chains_that_are_in_use_were_not_flushed(rules: str) -> None:
    assert not [note for note in told(rules).notes if "restart" in note]


@pytest.mark.parametrize(
    ("engine", "interface", "command"),
    [
        ("docker", "docker0", "systemctl restart docker"),
        ("podman", "br0", "podman network reload --all"),
        ("docker", "br-0123456789ab", None),  # which is not there
        ("lxc", "br0", None),
    ],
)
def test_an_engine_with_a_bridge_and_no_chain_at_all(engine: str, interface: str, command: str | None) -> None:
    networks = (EngineNetwork(engine, "net", interface),) * 2
    notes = told("", "*filter\n:FORWARD DROP [0:0]\n", ContainerEngines((), networks)).notes
    said = [note for note in notes if note.startswith(f"{engine} has its network net on {interface} of host, and no chain there: ")]
    assert [note.rpartition(": ")[2] for note in said] == ([command] if command else [])
