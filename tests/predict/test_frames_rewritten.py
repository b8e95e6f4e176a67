"""Frames and questions for neighbours that rules rewrite, answer or send elsewhere; ports that take no floods."""

from __future__ import annotations

import networks
import pytest
from literal_rules import nft_table, payload, test
from msgspec.structs import replace
from networks import MAC, edited, relinked, tutorial, veth
from test_roots import filter_rules, rules

from netprobe.diagnose.apply import mend
from netprobe.model import Bridge, BridgePort, Cause, FdbEntry, Link, Neighbour, Ruleset, Snapshot, Stop
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction
from netprobe.rules.read.iptables_save import read_save

C2, NOBODY = MAC.format(4, 2), "02:00:00:00:00:99"


def lost(snapshot: Snapshot, source: str = "c1", dst: str = "172.17.0.3") -> Stop | None:
    found = predict(snapshot, networks.probe(source, dst), ask=False)
    assert isinstance(found, Prediction)
    return found.stop


def bridged(line: str) -> Snapshot:
    """The tutorial with a rule in ebtables' nat table of the host."""
    text = f"*nat\n:PREROUTING ACCEPT\n:OUTPUT ACCEPT\n:POSTROUTING ACCEPT\n-A {line}\nCOMMIT"
    return edited(tutorial(), "host", ruleset=Ruleset(tables=tuple(read_save(text, "ebtables", "bridge")), queues=()))


def answering(line: str) -> Snapshot:
    """The tutorial with a rule of arptables in c2."""
    text = f"*filter\n:INPUT ACCEPT\n:OUTPUT ACCEPT\n-A {line}\nCOMMIT"
    return edited(tutorial(), "c2", ruleset=Ruleset(tables=tuple(read_save(text, "arptables", "arp")), queues=()))


@pytest.mark.parametrize(
    ("mac", "code"),
    [(NOBODY, "arp-filtered"), (C2, None)],
)
def test_a_rule_that_answers_is_believed(mac: str, code: str | None) -> None:
    stop = lost(bridged(f"PREROUTING -p ARP --arp-op Request --arp-ip-dst 172.17.0.3 -j arpreply --arpreply-mac {mac}"))
    assert (stop and stop.code) == code
    if stop is not None:
        assert stop.place.namespace == "host"
        assert [command.words[0] for command in stop.commands] == ["ebtables", "ip"]  # who learned it forgets it


@pytest.mark.parametrize(("mac", "code"), [(NOBODY, "dnat-dead-target"), (C2, None)])
def test_a_rule_that_gives_frames_another_mac_is_blamed_where_nobody_has_it(mac: str, code: str | None) -> None:
    stop = lost(bridged(f"PREROUTING -p IPv4 --ip-dst 172.17.0.3 -j dnat --to-dst {mac} --dnat-target ACCEPT"))
    assert (stop and stop.code) == code
    if stop is not None:
        assert (stop.place.namespace, stop.commands[0].words[:3]) == ("host", ("ebtables", "-t", "nat"))


@pytest.mark.parametrize(
    ("words", "code"),
    [("--mangle-ip-s 172.17.0.99", "arp-filtered"), (f"--mangle-mac-s {NOBODY}", "arp-filtered"), (f"--mangle-mac-s {C2}", None),
     ("--mangle-ip-s 172.17.0.99 --mangle-target DROP", "arp-filtered"), ("--mangle-ip-d 172.17.0.99", None)],
)  # fmt: skip
def test_an_answer_says_what_arptables_makes_it_say(words: str, code: str | None) -> None:
    stop = lost(answering(f"OUTPUT -j mangle {words}"))
    assert (stop and stop.code) == code
    if stop is not None:
        assert (stop.place.namespace, stop.place.stage) == ("c2", "arp-output")
        assert stop.commands[0].words[0] == "arptables"


def asking(line: str) -> Snapshot:
    """The tutorial with a rule of arptables in c2."""
    text = f"*filter\n:INPUT ACCEPT\n:OUTPUT ACCEPT\n-A {line}\nCOMMIT"
    return edited(tutorial(), "c1", ruleset=Ruleset(tables=tuple(read_save(text, "arptables", "arp")), queues=()))


@pytest.mark.parametrize(("mac", "code"), [(NOBODY, "arp-filtered"), (C2, "arp-filtered"), (MAC.format(4, 1), None)])
def test_an_answer_goes_where_arptables_has_the_question_come_from(mac: str, code: str | None) -> None:
    stop = lost(asking(f"OUTPUT -j mangle --mangle-mac-s {mac}"))
    assert (stop and stop.code) == code
    if stop is not None:
        assert (stop.place.namespace, stop.commands[0].words[0]) == ("c1", "arptables")


def diverted(device: str) -> Snapshot:
    """What c1 sends to c2 is handed to another device of the host, where it comes in."""
    chain = {"chain": {"name": "i", "handle": 1, "type": "filter", "hook": "ingress", "prio": 0, "policy": "accept", "dev": "vethc1"}}
    rule = {"rule": {"chain": "i", "handle": 2, "expr": [test(payload("ip", "daddr"), "172.17.0.3"), {"fwd": {"dev": device}}]}}
    snapshot = tutorial()
    mirror = (veth(70, "mon0", MAC.format(7, 0), 71, None), veth(71, "mon1", MAC.format(7, 1), 70, None))
    snapshot = edited(snapshot, "host", links=(*snapshot["host"].links, *mirror))
    return edited(snapshot, "host", ruleset=nft_table(chain, rule, family="netdev"))


@pytest.mark.parametrize(("device", "code"), [("mon0", "filtered-by-rule"), ("vethc2", None)])
def test_a_frame_goes_on_where_a_rule_sends_it(device: str, code: str | None) -> None:
    stop = lost(diverted(device))
    assert (stop and stop.code) == code
    if stop is not None:
        assert "mon0" in stop.text
        assert stop.commands[0].words[0] == "nft"


@pytest.mark.parametrize(("forwarding", "code"), [("1", None), ("0", "forwarding-off")])
def test_a_frame_redirected_to_the_bridge_is_routed(forwarding: str, code: str | None) -> None:
    snapshot = bridged("PREROUTING -p IPv4 -j redirect")
    stop = lost(edited(snapshot, "host", sysctls={"net.ipv4.ip_forward": forwarding}))
    assert (stop and stop.code) == code


def test_a_rule_of_two_bridges_is_why_nobody_behind_both_answers() -> None:
    """c2 is on a bridge of its own, which a cable joins to docker0; a rule drops what is for all on either."""
    text = "*filter\n:INPUT ACCEPT\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\n-A FORWARD --pkttype-type broadcast -j DROP\nCOMMIT"
    ruleset = Ruleset(tables=tuple(read_save(text, "ebtables", "bridge")), queues=())
    joined = (
        Link(60, "br1", "bridge", MAC.format(8, 0), bridge=Bridge()),
        veth(61, "ab", MAC.format(8, 1), 62, None, master=5, port=BridgePort()),
        veth(62, "ba", MAC.format(8, 2), 61, None, master=60, port=BridgePort()),
    )
    links = tuple(replace(link, master=60) if link.name == "vethc2" else link for link in tutorial()["host"].links)
    stop = lost(edited(tutorial(), "host", links=(*links, *joined), ruleset=ruleset))
    assert stop is not None
    assert (stop.code, stop.object and stop.object.id) == ("filtered-by-rule", "ebtables filter FORWARD 1")


def rewritten(hook: str, device: str, mac: str) -> Snapshot:
    """What the host has on a device for c2 gets another MAC."""
    chain = {"chain": {"name": "e", "handle": 1, "type": "filter", "hook": hook, "prio": 0, "policy": "accept", "dev": device}}
    change = {"mangle": {"key": payload("ether", "daddr"), "value": mac}}
    rule = {"rule": {"chain": "e", "handle": 2, "expr": [test(payload("ip", "daddr"), "172.17.0.3"), change]}}
    return edited(tutorial(), "host", ruleset=nft_table(chain, rule, family="netdev"))


@pytest.mark.parametrize(("hook", "device"), [("egress", "vethc2"), ("ingress", "vethc1")])
@pytest.mark.parametrize(("mac", "code"), [(NOBODY, "dnat-dead-target"), (C2, None)])
def test_a_rule_before_a_device_is_blamed_for_the_mac_that_it_gives(hook: str, device: str, mac: str, code: str | None) -> None:
    stop = lost(rewritten(hook, device, mac))
    assert (stop and stop.code) == code
    if stop is not None:
        assert (stop.place.namespace, stop.commands[0].words[:3]) == ("host", ("nft", "delete", "rule"))


def test_a_port_that_answers_arp_takes_no_floods() -> None:
    snapshot = relinked(tutorial(), "host", "vethc2", port=BridgePort(proxy_arp=True))
    stop = lost(snapshot)
    assert stop is not None
    assert (stop.code, stop.object and stop.object.text) == ("port-flood-off", "vethc2 proxy_arp on")
    mended = mend(snapshot, Cause(stop.code, stop.place, "", commands=stop.commands))
    assert mended is not None
    assert lost(mended) is None


def test_rules_that_touch_no_frame_blame_none() -> None:
    snapshot = edited(tutorial(), "host", ruleset=rules(filter_rules("FORWARD -j ACCEPT")))
    assert lost(snapshot) is None


OLD = "02:00:00:00:00:77"


def suppressing(mac: str, *, of: str = "vethc2", state: str = "permanent", behind: bool = True, entry: str = "reachable") -> Snapshot:
    """The tutorial whose bridge has an entry of its own for c2, the port `of` suppresses questions, and the MAC is behind c2's port."""
    snapshot = relinked(tutorial(), "host", of, port=BridgePort(neigh_suppress=True))
    bridge, port = (snapshot["host"].link_named(each) for each in ("docker0", "vethc2"))
    assert bridge is not None
    assert port is not None
    known = Neighbour(bridge.index, "172.17.0.3", mac, state)
    forwarding = FdbEntry(port.index, mac, bridge.index, state=entry)
    kept = tuple(each for each in snapshot["host"].neighbours if each.address != "172.17.0.3")
    fdb = (*snapshot["host"].fdb, forwarding) if behind else snapshot["host"].fdb
    return edited(snapshot, "host", neighbours=(*kept, known), fdb=fdb)


@pytest.mark.parametrize(
    ("snapshot", "code"),
    [
        (suppressing(OLD), "neigh-wrong-entry"),  # it answers for c2, with what c2 had
        (suppressing(OLD, entry="static"), "neigh-wrong-entry"),  # where that leads is not at fault
        (suppressing(C2), None),
        (suppressing(OLD, behind=False), None),  # not answered, and flooded to all: no port is known for it
        (suppressing(OLD, state="failed"), None),
        (suppressing(OLD, of="vethc1"), None),  # who asks at a port that suppresses is answered by the owner
    ],
    ids=["old", "written", "right", "without a port", "failed", "asked at the port"],
)
def test_a_bridge_answers_for_who_is_behind_a_port_that_suppresses_questions(snapshot: Snapshot, code: str | None) -> None:
    """br_do_proxy_suppress_arp (seen on a kernel, with a tunnel as the port)."""
    stop = lost(snapshot)
    assert (stop and stop.code) == code
    if stop is not None:
        done = [(command.namespace, " ".join(command.words)) for command in stop.commands]
        assert stop.place.namespace == "host"
        assert done == [(None, "ip neigh del 172.17.0.3 dev docker0"), ("c1", "ip neigh flush to 172.17.0.3 dev eth0")]
        mended = mend(snapshot, Cause(stop.code, stop.place, "", commands=stop.commands))
        assert mended is not None
        assert lost(mended) is None
