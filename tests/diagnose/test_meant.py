"""Rules that were written for the packet, as it was before or as things were called before: they are what is put right."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from networks import edited, probe, relinked, tutorial, via
from test_beside import chosen, lines

from netprobe.diagnose.repair.candidates import candidates, renamed
from netprobe.diagnose.repair.repair import Loss
from netprobe.model import Bridge, Chain, IpSet, IpSetEntry, NamedSet, PolicyRule, Rule, Ruleset, Snapshot, Statement, Table, Term
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction
from netprobe.rules.read.iptables_save import read_save


def tables(*rules: str, table: str = "filter", policy: str = "ACCEPT") -> tuple[Table, ...]:
    chains = {"filter": ("INPUT", "FORWARD", "OUTPUT"), "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING")}[table]
    heads = [f":{chain} {policy if chain == 'FORWARD' else 'ACCEPT'} [0:0]" for chain in chains]
    return tuple(read_save("\n".join((f"*{table}", *heads, *rules, "COMMIT", "")), "iptables", "ip"))


def forwarding(*rules: str, policy: str = "DROP") -> Snapshot:
    """The tutorial's host with these rules for what it forwards; answers pass."""
    answers = "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
    return edited(tutorial(), "host", ruleset=Ruleset(tables=tables(answers, *rules, policy=policy), queues=()))


CORRECTED = "iptables -R FORWARD 2 -i br0 -o eth0 -j ACCEPT"
PLAIN = "iptables -I FORWARD -i br0 -o eth0 -j ACCEPT"


@pytest.mark.parametrize(
    ("rules", "line"),
    [
        (("-A FORWARD -i br0 -o ens3 -j ACCEPT",), CORRECTED),  # an interface that is not there
        (("-A FORWARD -s 192.168.122.0/24 -i br0 -j ACCEPT",), "iptables -R FORWARD 2 -s 10.0.0.0/16 -i br0 -j ACCEPT"),
        (("-A FORWARD -i br0 -o ens3 -j ACCEPT", "-A FORWARD -i br0 -j REJECT"), CORRECTED),
        (  # most of what the rules name is nobody's: they are for a part of the world that is not seen here
            ("-A FORWARD -s 192.0.2.0/24 -d 8.8.8.8/32 -j ACCEPT", "-A FORWARD -s 198.51.100.0/24 -d 192.0.2.9/32 -j ACCEPT"),
            PLAIN,
        ),
        (("-A FORWARD -i docker0 -o ens3 -j ACCEPT",), PLAIN),  # it is not for the packet in any case
        (("-A FORWARD -o ens3 -j ACCEPT",), PLAIN),  # it asks for nothing that the packet has: it may be anybody's
        (("-A FORWARD -i br0 -o docker0 -j ACCEPT",), PLAIN),  # for others, who are there
        (("-A FORWARD -s 172.17.0.0/16 -i br0 -j ACCEPT",), PLAIN),
        (("-A FORWARD -i br0 -o ens+ -j ACCEPT",), PLAIN),
    ],
)
def test_a_rule_that_accepts_what_is_not_there_any_more_is_corrected(rules: tuple[str, ...], line: str) -> None:
    cause = chosen(forwarding(*rules), "red", "8.8.8.8")
    assert lines(cause)[0] == line
    assert (cause.object is not None and cause.object.id.endswith(" 2")) is (line is not PLAIN)


@pytest.mark.parametrize("network", ["2001:db8::5", "2001:db8::/64"])
def test_a_rule_for_the_other_ip_version_is_about_nothing_of_this_packet(network: str) -> None:
    """In a table for both there are rules of both; 128 is no length of an IPv4 prefix."""
    asked = (("meta iifname", "br0"), ("ip6 saddr", network))
    tests = tuple(Statement("match", Term("key", key), "==", Term("value", value)) for key, value in asked)
    rule = Rule(1, f"iifname br0 ip6 saddr {network} accept", (*tests, Statement("accept")), handle=5)
    both = Table("nft", "inet", "fw", (Chain("fwd", (rule,), "forward", 0, "filter", "drop"),))
    cause = chosen(edited(tutorial(), "host", ruleset=Ruleset(tables=(both,), queues=())), "red", "8.8.8.8")
    assert cause.code == "policy-drop"
    assert not any(line.startswith("nft replace") for line in lines(cause))


@pytest.mark.parametrize("name", ["ens4", "e\\1h0", "e\\g<9>"])
def test_a_name_is_no_pattern(name: str) -> None:
    """Who names an interface, in a container of its own, may choose what another language reads as a place."""
    asked = (("meta iifname", "br0"), ("meta oifname", "ens3"))
    tests = tuple(Statement("match", Term("key", key), "==", Term("value", value)) for key, value in asked)
    rule = Rule(1, 'iifname "br0" oifname "ens3" accept', (*tests, Statement("accept")), handle=5)
    fw = Table("nft", "inet", "fw", (Chain("fwd", (rule,), "forward", 0, "filter", "drop"),))
    links = tuple(replace(each, name=name) if each.name == "eth0" else each for each in tutorial()["host"].links)
    network = edited(tutorial(), "host", links=links, ruleset=Ruleset(tables=(fw,), queues=()))
    found = predict(network, probe(), ask=False)
    assert isinstance(found, Prediction)
    assert found.stop is not None
    said = [each.stop.commands for _, each in candidates(Loss.of(network, found, found.stop))]
    changed = f'iifname "br0" oifname "{name}" accept'
    assert [each for each in said if changed in (word for line in each for word in line.words)]


@pytest.mark.parametrize(
    ("types", "element", "meant"),
    [
        (("ipv4_addr",), Term("value", "eth0"), True),
        (("ifname",), Term("value", "eth0"), False),
        (("ifname",), Term("pair", args=(Term("value", "eth0"), Term("jump", "out"))), False),
        (("ifname", "ifname"), Term("concat", args=(Term("value", "br0"), Term("value", "eth0"))), False),
    ],
)
def test_an_interface_that_a_set_speaks_of_is_called_as_it_should(types: tuple[str, ...], element: Term, meant: bool) -> None:
    snapshot = forwarding(*(f"-A FORWARD -i br0 -o ens3 -p {protocol} -j ACCEPT" for protocol in ("icmp", "tcp")))
    by_name = Table("nft", "inet", "names", sets=(NamedSet("doors", types, elements=(element,)),))
    ruleset = replace(snapshot["host"].ruleset or Ruleset(), tables=(*snapshot["host"].tables, by_name))
    snapshot = edited(snapshot, "host", ruleset=ruleset)
    found = predict(snapshot, probe("red", "8.8.8.8"), ask=False)
    assert isinstance(found, Prediction)
    assert found.stop is not None
    things = [each.stop.thing.id for each in renamed.candidates(Loss.of(snapshot, found, found.stop))]
    assert ("eth0" in things) is meant


MASQUERADED = "iptables -t nat -D POSTROUTING -o docker0 -j MASQUERADE"


def translated(*rules: str, sets: tuple[IpSet, ...] = ()) -> Snapshot:
    """The host gives what goes to its containers its own source; c1 has these rules for what comes in."""
    nat = tables("-A POSTROUTING -o docker0 -j MASQUERADE", table="nat")
    snapshot = edited(tutorial(), "host", ruleset=Ruleset(tables=nat, queues=()))
    return edited(snapshot, "c1", ruleset=Ruleset(tables=tables(*rules, "-A INPUT -j DROP"), ipsets=sets, queues=()))


ALLOWED = IpSet("allowed", "hash:net", 4, entries=(IpSetEntry(first="10.0.0.2"),))


@pytest.mark.parametrize(
    ("rule", "sets", "line"),
    [
        ("-A INPUT -s 10.0.0.0/16 -j ACCEPT", (), MASQUERADED),
        ("-A INPUT -m set --match-set allowed src -j ACCEPT", (ALLOWED,), MASQUERADED),
        ("-A INPUT -s 192.0.2.0/24 -j ACCEPT", (), None),
        ("-A INPUT -p tcp -j ACCEPT", (), None),
    ],
)
def test_who_is_let_in_by_his_own_address_is_to_come_with_it(rule: str, sets: tuple[IpSet, ...], line: str | None) -> None:
    cause = chosen(translated(rule, sets=sets), "red", "172.17.0.2")
    assert (lines(cause) == [MASQUERADED]) is (line is not None)


@pytest.mark.parametrize(
    ("refusing", "line"),
    [
        ("! -s 10.0.0.0/16", "iptables -t nat -I POSTROUTING 1 -s 10.0.0.0/16 -d 8.8.0.0/16 -j ACCEPT"),
        ("! -s 192.0.2.0/24", None),
        ("-s 203.0.113.2", None),  # it is for this one, whoever the sender was
    ],
)
def test_who_alone_is_not_refused_is_to_come_by_his_own_address(refusing: str, line: str | None) -> None:
    """A provider takes from each port what is of its station; the network there is known by a policy rule alone (amazon-vpc-cni 1423)."""
    nat = Ruleset(tables=tables("-A POSTROUTING -j MASQUERADE", table="nat"), queues=())
    there = PolicyRule(512, 4, dst="8.8.0.0/16", table=254)
    snapshot = edited(tutorial(), "host", ruleset=nat, rules=(there, *tutorial()["host"].rules))
    provider = Ruleset(tables=tables(f"-A INPUT {refusing} -j DROP"), queues=())
    cause = chosen(edited(snapshot, "internet", ruleset=provider), "red", "8.8.8.8")
    assert (cause.code == "nat-wrong-address") is (line is not None)
    assert (lines(cause) == [line]) is (line is not None)


def pooled(own: tuple[str, ...], all_of_them: tuple[str, ...]) -> Snapshot:
    """A rule of the host that translates who is in one set and does not go to another, and no way back without."""
    tests = (
        Statement("match", Term("key", "ip saddr"), "==", Term("ref", "masq")),
        Statement("match", Term("key", "ip daddr"), "!=", Term("ref", "all")),
    )
    rule = Rule(1, "ip saddr @masq ip daddr != @all masquerade", (*tests, Statement("masquerade")), handle=5)
    held = (("masq", own), ("all", all_of_them))
    sets = tuple(NamedSet(name, ("ipv4_addr",), elements=tuple(Term("value", each) for each in texts)) for name, texts in held)
    table = Table("nft", "ip", "calico", (Chain("post", (rule,), "postrouting", 100, "nat", "accept"),), sets)
    snapshot = edited(tutorial(), "host", ruleset=Ruleset((), (table,)))
    world = snapshot["internet"]
    return edited(snapshot, "internet", routes=tuple(each for each in world.routes if each.dst != "10.0.0.0/16"))


@pytest.mark.parametrize(
    ("own", "every", "line"),
    [
        (("10.0.0.0/16",), ("10.0.0.0/16", "8.0.0.0/8"), "nft delete element ip calico all { 8.0.0.0/8 }"),
        (("192.168.0.0/16",), ("192.168.0.0/16",), "nft add element ip calico masq { 10.0.0.2 }"),
    ],
)
def test_a_set_for_which_a_packet_is_not_translated_is_put_right(own: tuple[str, ...], every: tuple[str, ...], line: str) -> None:
    cause = chosen(pooled(own, every), "red", "8.8.8.8")
    assert (cause.code, cause.place.namespace) == ("nat-wrong-match", "host")
    assert lines(cause) == [line]


@pytest.mark.parametrize(
    ("onto", "line"),
    [
        ("10.11.0.0/16", "iptables -t nat -R PREROUTING 1 -d 172.31.0.0/16 -j NETMAP --to 10.0.0.0/16"),
        ("10.11.0.0/24", None),  # none of that length is beside the host
    ],
)
def test_a_network_is_mapped_onto_the_one_in_which_somebody_is(onto: str, line: str | None) -> None:
    nat = tables(f"-A PREROUTING -d 172.31.0.0/16 -j NETMAP --to {onto}", table="nat")
    snapshot = edited(tutorial(), "host", ruleset=Ruleset(tables=nat, queues=()))
    world = snapshot["internet"]
    snapshot = edited(snapshot, "internet", routes=(*world.routes, via("172.31.0.0/16", "203.0.113.2", 2)))
    assert (lines(chosen(snapshot, "internet", "172.31.0.2")) == [line]) is (line is not None)


def giving(source: str, *others: str) -> Snapshot:
    """The host's rule takes the source of what comes from red for c1 from a map, which has others for other networks."""
    pairs = (("10.0.0.0/16", source), *((f"10.{n}.0.0/16", each) for n, each in enumerate(others, start=1)))
    elements = tuple(Term("pair", args=(Term("value", key), Term("value", each))) for key, each in pairs)
    named = NamedSet("outer", ("ipv4_addr",), "ipv4_addr", ("interval",), elements)
    taken = Term("map", args=(Term("key", "ip saddr"), Term("ref", "outer")))
    rule = Rule(1, "snat to ip saddr map @outer", (Statement("snat", right=taken),), handle=5)
    table = Table("nft", "ip", "t", (Chain("post", (rule,), "postrouting", 100, "nat", "accept"),), (named,))
    return edited(tutorial(), "host", ruleset=Ruleset((), (table,)))


def test_a_source_that_is_a_station_s_is_one_of_the_translator_s_own() -> None:
    """That station takes the answers for its own."""
    nat = tables("-A POSTROUTING -o docker0 -j SNAT --to-source 172.17.0.3", table="nat")
    cause = chosen(edited(tutorial(), "host", ruleset=Ruleset(tables=nat, queues=())), "red", "172.17.0.2")
    assert cause.code == "nat-wrong-address"
    assert lines(cause) == ["iptables -t nat -R POSTROUTING 1 -o docker0 -j SNAT --to-source 172.17.0.1"]


@pytest.mark.parametrize(
    ("others", "meant"),
    [
        ((), "172.17.0.1"),
        (("172.17.0.1",), "172.17.0.9"),  # the one that no other element gives
        (("172.17.0.9",), "172.17.0.1"),
    ],
)
def test_a_source_of_a_map_that_is_a_station_s_is_one_of_the_translator_s_own(others: tuple[str, ...], meant: str) -> None:
    snapshot = giving("172.17.0.3", *others)
    host = snapshot["host"]
    own = (*host.addresses, *(replace(each, address="172.17.0.9") for each in host.addresses if each.address == "172.17.0.1"))
    local = (replace(each, dst="172.17.0.9/32") for each in host.routes if each.dst == "172.17.0.1/32")
    cause = chosen(edited(snapshot, "host", addresses=own, routes=(*host.routes, *local)), "red", "172.17.0.2")
    put = "nft add element ip t outer { 10.0.0.0/16 : " + meant + " }"
    assert lines(cause) == ["nft delete element ip t outer { 10.0.0.0/16 }", put]


@pytest.mark.parametrize("own", [True, False])
def test_a_bridge_that_hands_on_to_iptables_by_itself_is_told_not_to(own: bool) -> None:
    """A switch for all bridges is set on purpose, by container engines; one of a bridge is nobody's habit."""
    snapshot = relinked(forwarding(), "host", "docker0", bridge=Bridge(nf_call_iptables=own))
    known = {} if own else {"net.bridge.bridge-nf-call-iptables": "1"}
    cause = chosen(edited(snapshot, "host", sysctls={**snapshot["host"].sysctls, **known}), "c1", "172.17.0.3")
    told = "ip link set dev docker0 type bridge nf_call_iptables 0"
    assert lines(cause)[0] == (told if own else "iptables -I FORWARD -i docker0 -o docker0 -j ACCEPT")


def zoned(*rules: str) -> Snapshot:
    """The host's firewall has chains of its own; its policy drops."""
    head = "*filter\n:INPUT ACCEPT\n:FORWARD DROP\n:OUTPUT ACCEPT\n:lan -\n:wan -\n:other -\n"
    answers = "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
    text = "\n".join((head + answers, *rules, "COMMIT", ""))
    return edited(tutorial(), "host", ruleset=Ruleset(tables=tuple(read_save(text, "iptables", "ip")), queues=()))


TO_LAN, TO_OTHER, WAN = "-A FORWARD -i br0 -j lan", "-A lan -o docker0 -j other", "-A wan -o eth0 -j ACCEPT"


@pytest.mark.parametrize(
    ("rules", "line"),
    [
        ((TO_LAN, TO_OTHER, WAN), "iptables -I lan -i br0 -j wan"),  # where the others are led to
        ((TO_LAN, TO_OTHER, WAN, "-A other -j wan"), "iptables -I FORWARD -i br0 -o eth0 -j ACCEPT"),  # it is led to
        ((TO_LAN, TO_OTHER, "-A wan -o eth0 -j RETURN"), "iptables -I FORWARD -i br0 -o eth0 -j ACCEPT"),  # nor lets it pass
        ((TO_OTHER, WAN), "iptables -I FORWARD -i br0 -o eth0 -j ACCEPT"),  # nobody leads anywhere
    ],
)
def test_a_chain_to_which_no_rule_leads_is_led_to(rules: tuple[str, ...], line: str) -> None:
    assert lines(chosen(zoned(*rules), "red", "8.8.8.8"))[0] == line


@pytest.mark.parametrize(
    ("rules", "led"),
    [
        (("-A CNI -j MASQUERADE",), True),
        (("-A CNI -j MASQUERADE", "-A POSTROUTING -s 192.0.2.0/24 -j CNI"), False),
        (("-A CNI -j RETURN",), False),
    ],
)
def test_a_chain_that_translates_and_to_which_no_rule_leads_is_led_to(rules: tuple[str, ...], led: bool) -> None:
    text = "\n".join(("*nat\n:PREROUTING ACCEPT\n:INPUT ACCEPT\n:OUTPUT ACCEPT\n:POSTROUTING ACCEPT\n:CNI -", *rules, "COMMIT", ""))
    snapshot = edited(tutorial(), "host", ruleset=Ruleset(tables=tuple(read_save(text, "iptables", "ip")), queues=()))
    world = snapshot["internet"]
    cut = edited(snapshot, "internet", routes=tuple(each for each in world.routes if each.dst != "10.0.0.0/16"))
    cause = chosen(cut, "red", "8.8.8.8")
    assert (cause.place.namespace, cause.place.interface) == ("host", "eth0")
    assert (lines(cause) == ["iptables -t nat -I POSTROUTING -j CNI"]) is led


LATE = "-A FORWARD -s 10.0.0.0/16 -o eth0 -j ACCEPT"


@pytest.mark.parametrize(
    ("rules", "line"),
    [
        (
            ("-A FORWARD -i br0 -j lan", "-A lan -o docker0 -j ACCEPT", "-A lan -j REJECT", LATE),
            "iptables -D FORWARD -s 10.0.0.0/16 -o eth0 -j ACCEPT",
        ),
        (("-A FORWARD -i br0 -o eth0 -j DROP", LATE), "iptables -D FORWARD -i br0 -o eth0 -j DROP"),  # what was put before it is odd
        (
            ("-A FORWARD -p icmp -d 192.0.2.1 -j ACCEPT", "-A FORWARD -j REJECT", LATE),
            "iptables -D FORWARD -s 10.0.0.0/16 -o eth0 -j ACCEPT",
        ),
        (("-A FORWARD -j DROP", LATE, "-A FORWARD -i docker0 -j ACCEPT"), "iptables -D FORWARD -j DROP"),
        (("-A FORWARD -s 10.0.0.2/32 -j DROP", LATE), "iptables -D FORWARD -s 10.0.0.2/32 -j DROP"),
    ],
)
def test_a_rule_that_comes_too_late_is_put_first(rules: tuple[str, ...], line: str) -> None:
    assert lines(chosen(zoned(*rules), "red", "8.8.8.8"))[0] == line
