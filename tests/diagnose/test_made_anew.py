"""A lab that was built again has other MACs at both ends of its cables: nobody has changed those."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from networks import edited, probe, relinked, tutorial, with_link_locals

from netprobe.causes.catalogue import explain
from netprobe.diagnose.apply import mend
from netprobe.diagnose.made_anew import as_made_anew
from netprobe.diagnose.report import diagnose
from netprobe.diagnose.since import since
from netprobe.model import Cause, Command, Earlier, Neighbour, Place, Report, Ruleset, Snapshot, Stage
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction

CHANCE = "0e:e7:09:bd:0b:6d"  # what the kernel chose the other time
FAR_CHANCE = "6e:28:31:43:ab:b3"
NOBODY = "02:00:00:00:00:99"


def mac(snapshot: Snapshot, name: str, interface: str) -> str:
    link = snapshot[name].link_named(interface)
    assert link is not None
    return link.mac


def gateway_known(snapshot: Snapshot) -> Snapshot:
    """red has learned the MAC of its gateway."""
    return edited(snapshot, "red", neighbours=(Neighbour(2, "10.0.0.1", mac(snapshot, "host", "br0"), "stale"),))


def built_before(now: Snapshot) -> Snapshot:
    """The lab as it stood the time before: red's cable had other MACs, and the bridge the MAC of that."""
    before = relinked(now, "red", "eth0", mac=CHANCE)
    before = relinked(relinked(before, "host", "veth0", mac=FAR_CHANCE), "host", "br0", mac=FAR_CHANCE)
    return gateway_known(before)


def now() -> Snapshot:
    """The lab, its bridge with the MAC of a port."""
    lab = tutorial()
    for name in ("red", "host", "internet"):
        lab = edited(lab, name, ruleset=Ruleset(queues=()))
    return gateway_known(relinked(lab, "host", "br0", mac=mac(lab, "host", "veth0")))


def said(before: Snapshot, after: Snapshot) -> list[tuple[str, str]]:
    found = since(Earlier("a.pcapng", 7, "14:02", before), after, None)
    return [(each.namespace, each.text) for each in found.changed]


def reported(before: Snapshot, after: Snapshot) -> Report:
    found = predict(after, probe(), ask=False)
    assert isinstance(found, Prediction)
    return diagnose("why", found.probe, after, found, None, frozenset(), explain, Earlier("a.pcapng", 7, "14:02", before))


def after(snapshot: Snapshot, line: str) -> Snapshot:
    name, _, words = line.partition(": ")
    found = mend(snapshot, Cause("", Place(None, None, Stage.ROUTE), "", commands=(Command(tuple(words.split()), name),)))
    assert found is not None
    return replace(found, answers=())


def test_what_was_built_again_has_not_changed() -> None:
    assert said(built_before(now()), now()) == []


def test_nor_have_the_addresses_made_of_the_macs() -> None:
    lab = with_link_locals(now())
    before = built_before(now())
    before = with_link_locals(
        replace(before, namespaces={**before.namespaces, "red": replace(before["red"], addresses=now()["red"].addresses)})
    )
    assert said(before, lab) == []


def test_nor_have_cables_whose_other_ends_nobody_read() -> None:
    """c1's cable was made anew as well, and nobody went there."""
    before = relinked(built_before(now()), "host", "vethc1", mac="0e:00:00:00:00:01")
    spaces = [{name: each for name, each in snapshot.namespaces.items() if name != "c1"} for snapshot in (before, now())]
    old, new = (replace(snapshot, namespaces=known) for snapshot, known in zip((before, now()), spaces, strict=True))
    assert old != new
    assert said(old, new) == []


def test_one_end_that_was_changed_is_told_though_another_cable_was_made_anew() -> None:
    before = relinked(built_before(now()), "c1", "eth0", mac="0e:00:00:00:00:02")
    assert [(at, text.split()[0]) for at, text in said(before, now())] == [("c1", "eth0")]


ONE_END = [
    ("red", "eth0"),
    ("host", "veth0"),
]


@pytest.mark.parametrize(("name", "interface"), ONE_END)
def test_a_mac_that_one_end_alone_has_was_changed(name: str, interface: str) -> None:
    before = relinked(tutorial(), name, interface, mac=CHANCE)
    assert as_made_anew(before, tutorial()) is before
    assert [(at, text.split()[0]) for at, text in said(before, tutorial())] == [(name, interface)]


def test_a_bridge_that_was_given_a_mac_of_its_own_was_changed() -> None:
    changed = relinked(now(), "host", "br0", mac=NOBODY)
    assert ("host", "br0") in [(at, text.split()[0]) for at, text in said(built_before(now()), changed)]


def test_it_is_the_entry_then_and_no_mac() -> None:
    report = reported(built_before(now()), after(now(), f"red: ip neigh replace 10.0.0.1 lladdr {NOBODY} dev eth0 nud permanent"))
    assert [each.code for each in report.causes][:1] == ["neigh-wrong-entry"]
    assert "mac-duplicate" not in [each.code for each in report.alternatives]
    assert report.since is not None
    assert [(each.kind, each.namespace) for each in report.since.changed] == [("neighbour", "red")]
