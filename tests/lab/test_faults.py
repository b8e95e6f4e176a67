"""The tools of the catalogue: a fault is injected once, verified, and by both rule engines; tests/faults has the faults themselves."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from netprobe.errors import CannotLook, WrongQuestion
from netprobe.lab import faults
from netprobe.lab.changes import SetSysctl, Tool
from netprobe.lab.crafted import AnnounceAddress
from netprobe.lab.faults import FAULTS, Fault
from netprobe.lab.firewall import FirewallTool
from netprobe.lab.lab import Lab
from netprobe.lab.tutorial import TUTORIAL

CASES = [
    pytest.param(faults.named(name), engine, id=f"{name}-{engine}") for name in ("no-masquerade", "forward-drop") for engine in FirewallTool
]
ANNOUNCED = [fault for fault in FAULTS if any(isinstance(change, AnnounceAddress) for change in fault.changes)]
_NAMES = {"internet": "8.8.8.8", "c2": "172.17.0.3"}


def works(lab: Lab, fault: Fault) -> bool:
    """Ask the real peer of the fault's probe."""
    command, source, destination = fault.probe
    address = _NAMES.get(destination, destination)
    argv = ["arping", "-c1", "-w1", "-I", "eth0"] if command == "arping" else ["ping", "-c1", "-W0.5"]
    return lab.run([*argv, address], namespace=source).returncode == 0


@pytest.mark.lab
@pytest.mark.parametrize(("fault", "engine"), CASES)
def test_a_fault_breaks_what_worked(make_lab: Callable[..., Lab], fault: Fault, engine: FirewallTool) -> None:
    lab = make_lab(TUTORIAL, engine=engine)
    assert not lab.call(faults.verify, fault.name)
    assert works(lab, fault)
    lab.inject(fault.name)
    assert lab.call(faults.verify, fault.name)
    assert not works(lab, fault)
    with pytest.raises(CannotLook, match="already"):
        lab.inject(fault.name)


@pytest.mark.lab
@pytest.mark.parametrize("fault", ANNOUNCED, ids=lambda fault: fault.name)
def test_an_announcement_is_heard_by_who_never_asked(make_lab: Callable[..., Lab], fault: Fault) -> None:
    """As in `demo --shell --break`: a gratuitous ARP changes an entry and makes none, and nobody has sent a packet yet."""
    lab = make_lab(fault.network.topology)
    lab.call(prepared, fault.name)
    lab.inject(fault.name)
    assert lab.call(faults.verify, fault.name)


def prepared(name: str) -> None:
    faults.named(name).prepare()


@pytest.mark.lab
@pytest.mark.parametrize(("fault", "engine"), CASES)
def test_the_command_shown_does_the_same(make_lab: Callable[..., Lab], fault: Fault, engine: FirewallTool) -> None:
    """What the demo prints as "typed" is what a learner can type."""
    lab = make_lab(TUTORIAL, engine=engine)
    lab.run(["sh", "-ec", lab.call(command_of, fault.name)], check=True)
    assert lab.call(faults.verify, fault.name)


def command_of(name: str) -> str:
    return "\n".join(change.command for change in faults.named(name).changes)


@pytest.mark.lab
def test_a_change_that_does_nothing_is_not_believed(lab: Lab) -> None:
    """The kernel takes a bridge port's state without STP, and forwards on."""
    change = Tool("host", ("ip", "link", "set", "dev", "lo", "up"), reads=("ip", "link", "show", "dev", "lo"), pattern="DORMANT")
    fault = Fault("nothing", "nothing", ("trace", "red", "8.8.8.8"), (change,), FAULTS[0].expected)
    with pytest.raises(CannotLook, match="did nothing"):
        lab.call(fault.inject)


def test_an_unknown_fault_gets_the_nearest_name() -> None:
    with pytest.raises(WrongQuestion) as raised:
        faults.named("no-masqerade")
    assert "no-masquerade" in raised.value.hint


def test_commands_are_shown_as_typed_in_host() -> None:
    assert SetSysctl("host", "net.ipv4.ip_forward", "0").command == "sysctl -w net.ipv4.ip_forward=0"
    assert SetSysctl("c2", "net.ipv4.conf.eth0.arp_ignore", "8").command.startswith("ip netns exec c2 sysctl -w ")
