"""What an engine says of its containers, as the cause of a loss."""

from __future__ import annotations

import pytest
from literal_rules import iptables
from msgspec.structs import replace
from predict.networks import edited, tutorial
from test_repair_whole import after, ask, chosen, lost

from netprobe.causes.catalogue import explain
from netprobe.diagnose import engines
from netprobe.diagnose.repair import choice
from netprobe.diagnose.repair.candidates.given import candidates
from netprobe.diagnose.repair.repair import Loss
from netprobe.diagnose.report import diagnose
from netprobe.model import AskEngines, Probe, Ruleset, Snapshot, Socket
from netprobe.model.engines import ContainerEngines, EngineContainer, EngineEndpoint, EngineNetwork, PublishedPort
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction

NETWORKS = (
    EngineNetwork("docker", "bridge", "docker0"),
    EngineNetwork("docker", "back", "br-0123456789ab", internal=True),
    EngineNetwork("docker", "front", "br-ba9876543210"),
)
PORT = PublishedPort("tcp", 8080, "", 80)


def container(name: str, *networks: str, state: str = "running", published: tuple[PublishedPort, ...] = ()) -> EngineContainer:
    return EngineContainer("docker", name, state, networks, published)


def among(snapshot: Snapshot, *containers: EngineContainer) -> Snapshot:
    return told(snapshot, containers, NETWORKS)


def told(snapshot: Snapshot, containers: tuple[EngineContainer, ...], networks: tuple[EngineNetwork, ...]) -> Snapshot:
    """All namespaces with the name of a container are entered by a process of it."""
    for each in containers:
        if each.name in snapshot:
            snapshot = edited(snapshot, each.name, enter=("nsenter", "-t", "7", "-n"))
    return replace(snapshot, engines=ContainerEngines(containers, networks, "host"))


def words(snapshot: Snapshot, asked: Probe) -> list[str]:
    """The fix, without what stands behind it."""
    return [" ".join(each.words) for each in chosen(snapshot, asked).stop.commands]


def without_route() -> Snapshot:
    return after(tutorial(), "c1: ip route del default")


def without_cable() -> Snapshot:
    return edited(tutorial(), "c1", links=tutorial()["c1"].links[:1], addresses=(), routes=())


@pytest.mark.parametrize(
    ("networks", "fix"),
    [
        (("back",), ["docker network connect bridge c1"]),
        (("back", "front"), None),  # one lets packets leave
        (("bridge",), None),
        ((), None),  # it has an interface, whatever the engine says
    ],
)
def test_a_container_that_no_packet_leaves(networks: tuple[str, ...], fix: list[str] | None) -> None:
    asked = ask("c1", "8.8.8.8")
    plain = words(without_route(), asked)
    assert words(among(without_route(), container("c1", *networks)), asked) == (fix or plain)
    assert plain == ["ip route add default via 172.17.0.1"]


@pytest.mark.parametrize(
    ("networks", "fix"),
    [
        (("none",), ["docker network disconnect none c1", "docker network connect bridge c1"]),
        ((), ["docker network connect bridge c1"]),
        (("front",), None),  # whose cable somebody has deleted
    ],
)
def test_a_container_that_is_on_no_network(networks: tuple[str, ...], fix: list[str] | None) -> None:
    asked = ask("c1", "8.8.8.8")
    assert words(among(without_cable(), container("c1", *networks)), asked) == (fix or words(without_cable(), asked))


def given(name: str, *addresses: str) -> EngineContainer:
    return replace(container(name, "bridge"), endpoints=(EngineEndpoint("bridge", addresses),))


def test_a_cable_that_is_gone_is_made_anew_by_the_engine() -> None:
    """At either end; who else has no interface is connected by hand."""
    anew = ["docker network disconnect bridge c1", "docker network connect bridge c1"]
    gone = after(tutorial(), "c1: ip link del eth0")
    here = among(gone, given("c1", "172.17.0.2/16"))
    assert words(here, ask("c1", "8.8.8.8")) == anew
    assert words(here, ask("c2", "172.17.0.2")) == anew
    assert words(gone, ask("c2", "172.17.0.2"))[0] == "ip link add veth1 type veth peer name eth0 netns c1"


@pytest.mark.parametrize(
    ("there", "told", "fix"),
    [
        ((), "172.17.0.9/16", ["ip address add 172.17.0.9/16 dev eth0"]),
        (("c1: ip address add 172.17.0.30/16 dev eth0",), "172.17.0.9/16",
         ["ip address add 172.17.0.9/16 dev eth0"]),
        ((), "fd00::9/64", None),
        ((), "10.0.0.2/16", None),  # which another one has
    ],
)  # fmt: skip
def test_the_address_that_the_engine_gave(there: tuple[str, ...], told: str, fix: list[str] | None) -> None:
    """It belongs on the interface whose cable leads to that network's bridge; what the engine does not know stays."""
    network = after(tutorial(), "c1: ip address del 172.17.0.2/16 dev eth0", *there)
    here = among(network, given("c1", told))
    found = [*candidates(Loss.of(here, *lost(here, ask("c2", "172.17.0.9"))))]
    assert [[" ".join(line.words) for line in each.stop.commands] for each in found] == ([fix] if fix else [])
    if fix:
        assert words(here, ask("c2", "172.17.0.9")) == fix


def test_what_a_container_is_asked_by_that_has_lost_its_address() -> None:
    here = among(without_cable(), given("c1", "fd00::9/64", "172.17.0.9/16"))
    assert [engines.given(here, here["c1"], version) for version in (None, 4, 6)] == ["fd00::9", "172.17.0.9", "fd00::9"]
    assert engines.given(here, here["c2"], 4) is None
    assert engines.given(without_cable(), here["c1"], 4) is None


def test_podman_connects_no_container_that_was_made_without_a_network() -> None:
    alone = replace(container("c1", "none"), engine="podman")
    stop = chosen(among(without_cable(), alone), ask("c1", "8.8.8.8")).stop
    assert (stop.code, stop.commands) == ("link-missing", ())
    assert "podman run --network" in stop.advice


@pytest.mark.parametrize(("interface", "fix"), [("docker0", ["podman network connect inner red"]), ("br0", None)])
def test_an_internal_network_that_does_not_forward_is_joined(interface: str, fix: list[str] | None) -> None:
    """Netavark switches forwarding off at the bridge of an internal network, and lets in what comes from others."""
    off = {**tutorial()["host"].sysctls, "net.ipv4.conf.docker0.forwarding": "0"}
    snapshot = edited(tutorial(), "host", sysctls=off)
    containers = (EngineContainer("podman", "c1", "running", ("inner",)), EngineContainer("podman", "red", "running", ("outer",)))
    networks = (EngineNetwork("podman", "inner", interface, internal=True), EngineNetwork("podman", "outer", "br0"))
    asked = ask("red", "172.17.0.2")
    assert lost(snapshot, asked)[1].code == "forwarding-off"
    assert words(told(snapshot, containers, networks), asked) == (fix or words(snapshot, asked))


def test_the_network_of_the_destination_is_the_one_to_connect_to() -> None:
    here = among(without_route(), container("c1", "back"), container("red", "front"))
    assert words(here, ask("c1", "10.0.0.2")) == ["docker network connect front c1"]


def test_a_rule_that_the_engine_did_not_make_is_to_be_changed_itself() -> None:
    blocked = edited(tutorial(), "host", sysctls={**tutorial()["host"].sysctls, "net.ipv4.ip_forward": "0"})
    found = chosen(among(blocked, container("c1", "back"), container("red", "front")), ask("c1", "10.0.0.2"))
    assert found.stop.code == "forwarding-off"


def closed() -> tuple[Snapshot, Probe]:
    """host has no program on a port; it is known to have none."""
    asked = replace(ask("red", "10.0.0.1"), protocol=ask("red", "10.0.0.1").protocol)
    target = replace(asked.destination, port=8080)
    probe = replace(asked, protocol=type(asked.protocol)("tcp"), destination=target, source_port=40000, icmp_id=None)
    return edited(tutorial(), "host", sockets=()), probe


@pytest.mark.parametrize(
    ("containers", "fix"),
    [
        ((container("web", state="exited", published=(PORT,)),), ["docker start web"]),
        ((container("web", state="created", published=(PORT,)),), ["docker start web"]),
        ((container("web", state="exited", published=(PublishedPort("udp", 8080, "", 80),)),), None),
        ((container("web", state="exited", published=(PublishedPort("tcp", 8080, "127.0.0.1", 80),)),), None),
        ((container("web", published=(PORT,)),), ["docker network connect bridge web"]),
        ((container("web", "bridge", published=(PORT,)),), None),
        ((container("old", state="exited", published=(PORT,)), container("new", published=(PORT,))), None),
    ],
)
def test_a_container_that_was_to_serve_the_port(containers: tuple[EngineContainer, ...], fix: list[str] | None) -> None:
    snapshot, asked = closed()
    assert lost(snapshot, asked)[1].code == "port-closed"
    found = chosen(among(snapshot, *containers), asked)
    assert found.stop.code == "port-closed"
    assert ("which publishes it" in found.stop.text) is (fix is not None)
    assert words(among(snapshot, *containers), asked) == (fix or words(snapshot, asked))


def test_a_port_of_another_namespace_waits_for_no_container() -> None:
    snapshot, asked = closed()
    stopped = among(snapshot, container("old", state="exited", published=(PORT,)))
    elsewhere = replace(stopped, engines=replace(stopped.engines, home="internet"))  # type: ignore[type-var]
    assert words(elsewhere, asked) == words(snapshot, asked)


def test_a_namespace_that_is_called_like_a_container_is_none() -> None:
    asked = ask("c1", "8.8.8.8")
    named = edited(among(without_route(), container("c1", "back")), "c1", enter=("ip", "netns", "exec", "c1"))
    assert words(named, asked) == words(without_route(), asked)


def test_a_saved_run_may_name_any_engine() -> None:
    asked = ask("c1", "8.8.8.8")
    strange = EngineContainer("../x", "c1", "running", ("back",))
    assert words(among(without_route(), strange), asked) == words(without_route(), asked)
    snapshot, closed_port = closed()
    assert words(among(snapshot, EngineContainer("../x", "old", "exited", (), (PORT,))), closed_port) == words(snapshot, closed_port)


@pytest.mark.parametrize("networks", [(("back",), ("back",)), (("back", "front"), ("back",))])
def test_those_on_one_network_are_kept_apart_by_nobody(networks: tuple[tuple[str, ...], ...]) -> None:
    """What an engine's chain drops between them, somebody has put there."""
    asked = ask("c1", "10.0.0.2")
    both = among(without_route(), container("c1", *networks[0]), container("red", *networks[1]))
    assert words(both, asked) == words(without_route(), asked)


def test_the_network_itself_is_kept_from_nobody() -> None:
    """A container on an internal network reaches its gateway."""
    lonely = edited(tutorial(), "c1", routes=())
    asked = ask("c1", "172.17.0.1")
    assert words(among(lonely, container("c1", "back")), asked) == words(lonely, asked)


def test_who_is_asked_and_when() -> None:
    prediction, stop = lost(without_route(), ask("c1", "8.8.8.8"))
    assert AskEngines() in choice.lacking(without_route(), prediction)  # docker0
    assert AskEngines() not in choice.lacking(among(without_route()), prediction)
    assert AskEngines() not in choice.lacking(replace(without_route(), homes=("h1:host",)), prediction)
    off = after(tutorial(), "c1: ip link set dev eth0 down")
    assert AskEngines() not in choice.lacking(off, lost(off, ask("c1", "8.8.8.8"))[0])
    assert stop.code == "no-route"


HELD = "podman only holds tcp/8080 for web, and no rule leads there: nobody serves what is taken here; "


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (container("web", "podman", published=(PORT,)), ["podman network reload web"]),
        (container("web", published=(PORT,)), ["podman network connect podman web"]),
        (container("web", "podman", state="exited", published=(PORT,)), []),  # it is another program that listens
        (container("web", "podman", published=(replace(PORT, port=8081),)), []),
    ],
)
def test_a_port_that_only_the_engine_holds(one: EngineContainer, said: list[str]) -> None:
    """Podman binds the ports that it publishes; its rules lead past that, and a connection without them is nobody's."""
    snapshot, asked = closed()
    listens = edited(snapshot, "host", sockets=(Socket("tcp", "0.0.0.0", 8080, "listen"),))
    arrived = predict(listens, asked, ask=False)
    assert isinstance(arrived, Prediction)
    assert arrived.stop is None
    of_podman = told(listens, (replace(one, engine="podman"),), ())
    assert [*engines.notes(of_podman, asked, arrived.request.hops, None)] == [HELD + each for each in said]
    assert [*engines.notes(told(listens, (one,), ()), asked, arrived.request.hops, None)] == []  # Docker's own program serves it


@pytest.mark.parametrize(("address", "notes"), [("0.0.0.0", 1), ("10.0.0.9", 0)])
def test_a_port_that_refuses_is_held_by_nobody(address: str, notes: int) -> None:
    """The engine may hold it at another address: there is a cause then, and nothing was taken."""
    snapshot, asked = closed()
    one = EngineContainer("podman", "web", "running", ("podman",), (PORT,))
    listens = told(edited(snapshot, "host", sockets=(Socket("tcp", address, 8080, "listen"),)), (one,), ())
    listens = replace(listens, namespaces={name: replace(each, ruleset=Ruleset()) for name, each in listens.namespaces.items()})
    arrived = predict(listens, asked, ask=False)
    assert isinstance(arrived, Prediction)
    report = diagnose("why", asked, listens, arrived, None, frozenset(), explain)
    assert len([note for note in report.notes if note.startswith(HELD)]) == notes
    assert len(report.causes) == 1 - notes


def test_who_holds_a_port_is_asked_where_podman_has_a_bridge() -> None:
    snapshot, asked = closed()
    bridges = (
        snapshot,
        edited(snapshot, "host", links=tuple(replace(each, name=each.name.replace("docker", "podman")) for each in snapshot["host"].links)),
    )
    needs = []
    for each in bridges:
        arrived = predict(each, asked, ask=False)
        assert isinstance(arrived, Prediction)
        needs.append(engines.holding(each, arrived))
    assert needs == [(), (AskEngines(),)]


KEPT = "*filter\n:FORWARD ACCEPT [0:0]\n:{chain} - [0:0]\n-A FORWARD -j {chain}\n-A {chain} {rule} -j DROP\nCOMMIT"
APART = "isolated by design: the network bridge of docker was made so that its containers do not talk to each other (enable_icc=false)"


@pytest.mark.parametrize(
    ("chain", "rule", "asked", "notes"),
    [
        ("DOCKER-FORWARD", "-i docker0 -o docker0", ask("c1", "172.17.0.3"), [APART]),
        ("OURS", "-i docker0 -o docker0", ask("c1", "172.17.0.3"), []),
        ("DOCKER", "! -i docker0 -o docker0", ask("red", "172.17.0.2"), ["tcp/80 as 8080 of the host"]),
        ("DOCKER", "! -i docker0 -o docker0", ask("red", "172.17.0.3"), ["nothing"]),
        ("DOCKER-USER", "! -i docker0 -o docker0", ask("red", "172.17.0.3"), []),
        ("DOCKER", "-i br0 -d 8.8.8.8", ask("red", "8.8.8.8"), []),
    ],
)
def test_what_an_engine_keeps_apart_it_keeps_apart_on_purpose(chain: str, rule: str, asked: Probe, notes: list[str]) -> None:
    kept = edited(tutorial(), "host", ruleset=iptables(KEPT.format(chain=chain, rule=rule)))
    for name in ("red", "c1", "c2"):
        kept = edited(kept, name, ruleset=Ruleset())
    network = after(kept, "host: sysctl -w net.bridge.bridge-nf-call-iptables=1")
    network = among(network, container("c1", "bridge", published=(PORT,)), container("c2", "bridge"))
    outcome, stop = lost(network, asked)
    assert stop.code == "filtered-by-rule"
    report = diagnose("why", asked, network, outcome, None, frozenset(), explain)
    told = [note for note in report.notes if note.startswith("isolated by design")]
    assert len(told) == len(notes)
    assert all(note.endswith(words) for note, words in zip(told, notes, strict=True))


@pytest.mark.parametrize("asked", [ask("c1", "172.17.0.3"), ask("red", "172.17.0.2")])
def test_an_engine_that_keeps_none_apart_within_a_network_has_not_made_such_a_rule(asked: Probe) -> None:
    """Podman's networks let in whatever is led to them, and its containers talk to each other: somebody put that rule there."""
    kept = edited(tutorial(), "host", ruleset=iptables(KEPT.format(chain="NETAVARK_FORWARD", rule="-p icmp")))
    for name in ("red", "c1", "c2"):
        kept = edited(kept, name, ruleset=Ruleset())
    network = after(kept, "host: sysctl -w net.bridge.bridge-nf-call-iptables=1")
    network = among(network, *(replace(container(name, "podman"), engine="podman") for name in ("c1", "c2")))
    outcome, stop = lost(network, asked)
    assert (stop.code, stop.object and stop.object.owner) == ("filtered-by-rule", "podman")
    report = diagnose("why", asked, network, outcome, None, frozenset(), explain)
    assert not [note for note in report.notes if note.startswith("isolated by design")]


@pytest.mark.parametrize(("given", "notes"), [("172.17.0.2/16", [APART]), ("172.17.0.7/16", [])])
def test_who_sends_with_another_address_than_it_has_on_a_network_is_not_of_that(given: str, notes: list[str]) -> None:
    kept = edited(tutorial(), "host", ruleset=iptables(KEPT.format(chain="DOCKER-FORWARD", rule="-i docker0 -o docker0")))
    for name in ("red", "c1", "c2"):
        kept = edited(kept, name, ruleset=Ruleset())
    network = after(kept, "host: sysctl -w net.bridge.bridge-nf-call-iptables=1")
    c1 = replace(container("c1", "bridge"), endpoints=(EngineEndpoint("bridge", (given,)),))
    network = among(network, c1, container("c2", "bridge"))
    outcome, _ = lost(network, ask("c1", "172.17.0.3"))
    report = diagnose("why", outcome.probe, network, outcome, None, frozenset(), explain)
    assert [note for note in report.notes if note.startswith("isolated by design")] == notes
