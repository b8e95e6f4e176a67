"""Published addresses and ports: not for this packet, not in this family, to a target that moved. Pure.

A rule that changes the destination may stand in one hook and not in the other, name an interface that is
not there, or come behind one that lets the packet pass.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from netprobe.diagnose import dnat_rules, nat_rules, rule_words
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.model import (
    Chain,
    Command,
    Flow,
    Hop,
    InterfaceAddress,
    Leg,
    NamedSet,
    Namespace,
    Object,
    Place,
    Rule,
    Snapshot,
    Stage,
    Stop,
    Table,
    Term,
)
from netprobe.model.lookup import among, but, column, first, sole, where
from netprobe.predict import fixes, prefix
from netprobe.rules.naming import rule_decision
from netprobe.rules.ruling import Decision

from . import elements, sets

_CLOSED = ("port-closed", "listener-wrong-address")


def candidates(loss: Loss) -> Iterator[Repair]:
    """What would lead the packet to a program, where a rule leads others there; a target that moved."""
    yield from _to_another(loss)
    yield from _to_another_network(loss)
    yield from _on_another_port(loss) if loss.stop.code == "port-closed" else ()
    for namespace, flow in asked(loss):
        yield from _not_for_this(loss, namespace, flow)
        yield from _exempted(loss, namespace, flow)
    yield from _in_the_other_family(loss)
    yield from _not_in_the_map(loss)
    yield from _name_server(loss)


def asked(loss: Loss) -> Iterator[tuple[Namespace, Flow]]:
    """Each namespace that could lead the request elsewhere, with the request as it comes there.

    One to whose own address it went and found no program, or was refused; one on the way whose rules speak of
    its destination. Those alone that are behind who has led it elsewhere already.
    """
    hops = loss.prediction.request.hops
    for made in nat_rules.rewriting(reversed(hops), "dst", "dport"):
        hops = but(hops[made.n :], namespace=made.namespace)
        break
    refused = loss.stop.code in sets.REFUSED and loss.stop.place.stage is Stage.INPUT
    closed = loss.stop.place.namespace if loss.stop.code in _CLOSED or refused else None
    for hop in first(among(hops, namespace=loss.snapshot), lambda hop: hop.namespace).values():
        namespace = loss.snapshot[hop.namespace]
        own = namespace.owner_of(hop.flow.dst) is not None
        if hop.flow.dport is not None and (namespace.name == closed or not own):
            yield namespace, hop.flow


def _not_for_this(loss: Loss, namespace: Namespace, flow: Flow) -> Iterator[Repair]:
    """A rule publishes what is asked for, and does not get this packet: on another path, for another address,
    or because one before it lets the packet pass.
    """
    name = namespace.name
    hook = _hook(loss, namespace)
    own = namespace.owner_of(flow.dst) is not None
    iif = next(column(where(loss.asked(Leg.REQUEST), namespace=name), "iif"), None)
    for rule in dnat_rules.publishing(namespace, flow):
        decision, statements = rule.decision, rule.statements
        named = dnat_rules.speaks_of_address(statements, flow.dst)
        if not (own or named or dnat_rules.is_for_all_in(rule, namespace, flow, iif)):
            continue
        what, merit = (flow.goal, Merit.RESTORES) if named > own else (f"port {flow.dport}", Merit.ADDS)
        text = f"{name} publishes {what} by {decision.object.id}, but no rule does it for this packet"
        proof = (decision.object.text, loss.stop.text)
        stop = Stop("dnat-missing", place_of(loss, namespace, hook), text, decision.object, (), proof)
        yield from _from_the_other_hook(loss, namespace, decision, stop)
        yield from _without_exemption(loss, namespace, flow, stop)
        fix = dnat_rules.published(rule, flow, made_here=hook is Stage.OUTPUT)
        yield from loss.repair(replace(stop, commands=fix), merit)


def _exempted(loss: Loss, namespace: Namespace, flow: Flow) -> Iterator[Repair]:
    """A rule that lets the packet pass before it is translated, where none speaks of its port: a map leads
    to the one that would do it.
    """
    speaking = [*dnat_rules.publishing(namespace, flow)]
    if namespace.owner_of(flow.dst) is not None and not speaking:
        place = place_of(loss, namespace, _hook(loss, namespace))
        stop = Stop("dnat-missing", place, loss.stop.text, None, (), (loss.stop.text,))
        yield from _without_exemption(loss, namespace, flow, stop)


def _hook(loss: Loss, namespace: Namespace) -> Stage:
    """Where the request meets the rules that change a destination: OUTPUT for what a namespace sends."""
    if loss.probe.source.namespace == namespace.name:
        return Stage.OUTPUT
    return Stage.PREROUTING


def place_of(loss: Loss, namespace: Namespace, stage: Stage) -> Place:
    """Where a namespace does not lead a packet on: at its own end of the loss, where it is there."""
    where = loss.stop.place
    if where.namespace == namespace.name:
        return Place(namespace.name, where.interface, Stage.PREROUTING)
    return Place(namespace.name, None, stage)


def _from_the_other_hook(
    loss: Loss, namespace: Namespace, decision: Decision, stop: Stop
) -> Iterator[Repair]:
    """The jump to the chain of the rule, which stands in PREROUTING or OUTPUT alone, in the other one too."""
    wanted = _hook(loss, namespace).value
    tool, table, chain, *_ = decision.object.words or ("", "", "")
    if not tool.startswith(("iptables", "ip6tables")):
        return
    for jump, words in dnat_rules.jumps(namespace, (tool, table, chain), but=wanted):
        fix = (Command.of(tool, "-t", table, "-A", wanted.upper(), *words),)
        text = (
            f"{jump.object.id} of {namespace.name} leads to {decision.object.id}, and no rule of"
            f" {wanted.upper()} does"
        )
        proof = (jump.object.text, *stop.proof)
        yield from loss.repair(replace(stop, text=text, commands=fix, proof=proof), Merit.RESTORES)


def _without_exemption(loss: Loss, namespace: Namespace, flow: Flow, stop: Stop) -> Iterator[Repair]:
    """The rules that let the packet pass before the one that publishes is reached."""
    for decision in nat_rules.exempting(namespace, flow.src, flow.dst, _hook(loss, namespace).value):
        text = f"{decision.object.id} of {namespace.name} lets the packet pass before it is translated"
        fix = fixes.without(decision.object, namespace.ruleset)
        proof = (decision.object.text, *stop.proof)
        changed = replace(stop, text=text, object=decision.object, commands=fix, proof=proof)
        yield from loss.repair(changed, Merit.RESTORES)


def _led_by(loss: Loss) -> Iterator[tuple[Namespace, Hop, Object, Rule]]:
    """The rule that led the request elsewhere, with its namespace and the hop; nothing where none did."""
    for hop in nat_rules.rewriting(loss.prediction.request.hops, "dst", "dport"):
        namespace = loss.snapshot.at(hop.namespace)
        rule = nat_rules.found(namespace, hop.thing)
        if rule is not None:
            yield namespace, hop, hop.thing, rule
            return


def _to_another(loss: Loss) -> Iterator[Repair]:
    """A published port whose target is elsewhere by now: behind which station of its network it listens."""
    for namespace, made, thing, rule in _led_by(loss) if loss.prediction.leg is Leg.REQUEST else ():
        target, alive = made.flow.dst, made.flow.dst in loss.owned
        beside = bool(prefix.neighbours_of(target, namespace.addresses))
        if alive and beside and thing.owner in dnat_rules.ENGINES:
            continue  # it knows whom it has started
        skipped = namespace.name if beside else ""  # one that is far away may mean this machine
        for name, address in dnat_rules.listeners(loss.snapshot, made.flow, but=skipped):
            here = _are_of_one(loss.here.addresses, address, target)  # of whom asks for the target, far away
            only = alive and _is_the_only_one(loss, namespace, made.flow, name)
            if address != target and (here or only or _is_beside(namespace, address, target)):
                to = f"sends the packet to {target}, and {name} has {address}"
                fix = nat_rules.retargeted(namespace, thing, rule, target, address)
                yield from _retargeted(loss, made, thing, to, fix, Merit.restoring(not alive))


def _is_the_only_one(loss: Loss, by: Namespace, flow: Flow, name: str) -> bool:
    """Whether a packet came to a closed port, and one station alone that a namespace is beside listens on
    such a one, of whatever network.
    """
    known = {there for there, address in dnat_rules.listeners(loss.snapshot, flow, but=by.name)}
    own = loss.snapshot[name].addresses
    beside = any(prefix.neighbours_of(each.address, by.addresses) for each in where(own, scope="global"))
    return loss.stop.code == "port-closed" and known == {name} and beside


def _to_another_network(loss: Loss) -> Iterator[Repair]:
    """A network that is mapped onto one where nobody is, address for address (NETMAP): the one beside the
    namespace, of the same length, in which somebody has the address.
    """
    for namespace, made, thing, rule in _led_by(loss):
        target = made.flow.dst
        for onto in where(rule.statements, kind="netmap"):
            for network in prefix.alike(onto.value, namespace.addresses):
                address = prefix.moved(target, network)
                to = f"maps to {onto.value}, where nobody has {target}; somebody has {address}"
                fix = rule_words.reworded(thing, rule, onto.value, network)
                if {target, address} & loss.owned == {address}:
                    yield from _retargeted(loss, made, thing, to, fix, Merit.RESTORES)


def _is_beside(namespace: Namespace, address: str, target: str) -> bool:
    """Whether two addresses are of one network that the namespace is on; a target of none may be mistyped."""
    own = where(namespace.addresses, scope="global", version=prefix.version(target))
    if not prefix.neighbours_of(target, own):
        return bool(prefix.neighbours_of(address, own))
    return _are_of_one(own, address, target)


def _are_of_one(known: tuple[InterfaceAddress, ...], address: str, target: str) -> bool:
    """Whether two addresses are of one network among those of some known ones."""
    return bool(prefix.neighbours_of(target, prefix.neighbours_of(address, known)))


def _on_another_port(loss: Loss) -> Iterator[Repair]:
    """A published port whose target does not listen there, and does on one other port, to which no rule
    leads: that one.
    """
    for namespace, made, thing, rule in _led_by(loss):
        flow = made.flow
        whole = dnat_rules.at(flow.dst, str(flow.dport))
        old = flow.dst if flow.dst in rule.text.replace(whole, "") else whole  # a map has both
        for port in _heard(loss, namespace, flow):
            to = f"leads to {flow.protocol} port {flow.dport}, where one program listens, on port {port}"
            fix = nat_rules.retargeted(namespace, thing, rule, old, dnat_rules.at(flow.dst, str(port)))
            yield from _retargeted(loss, made, thing, to, fix, Merit.ADDS)


def _retargeted(
    loss: Loss, made: Hop, thing: Object, to: str, fix: fixes.Fix, merit: Merit
) -> Iterator[Repair]:
    """The rule with another target, where its tool can replace it."""
    text = f"{thing.id} of {made.namespace} {to}"
    place = Place(made.namespace, None, made.stage)
    stop = Stop("dnat-dead-target", place, text, thing, fix, (thing.text, loss.stop.text))
    yield from loss.repair(stop, merit)


def _heard(loss: Loss, by: Namespace, flow: Flow) -> list[int]:
    """The one port on which a program takes what comes for the destination of a flow, but for those to which
    rules lead: they are meant for others.
    """
    there = loss.here
    anyone = ("0.0.0.0", "::", "*", flow.dst)
    ports = {*column(among(there.waiting(flow.protocol.value), address=anyone), "port")}
    return [*sole([port for port in ports if not dnat_rules.leads_to(by, flow, port)])]


def _in_the_other_family(loss: Loss) -> Iterator[Repair]:
    """A closed port that is published in the other IP version: to the address that the target has in this
    one.
    """
    for namespace, flow in asked(loss):
        other = replace(flow, src="", dst="0.0.0.0" if flow.version == 6 else "::")
        own = namespace.owner_of(flow.dst) is not None
        for rule in dnat_rules.publishing(namespace, other) if own else ():
            yield from _for_this_family(loss, namespace, flow, rule)


def _for_this_family(
    loss: Loss, namespace: Namespace, flow: Flow, rule: nat_rules.NatRule
) -> Iterator[Repair]:
    thing = rule.decision.object
    targets = filter(None, column(where(rule.statements, kind="dnat"), "value"))
    for address in _also_of(loss.snapshot, next(targets, ""), flow.version):
        made_here = _hook(loss, namespace) is Stage.OUTPUT
        fix = dnat_rules.published(rule, flow, made_here=made_here, target=address)
        only = f"by {thing.id}, for the other IP version only"
        text = f"{namespace.name} publishes port {flow.dport} {only}"
        proof = (thing.text, loss.stop.text)
        place = place_of(loss, namespace, Stage.PREROUTING)
        stop = Stop("dnat-missing", place, text, thing, fix, proof)
        yield from loss.repair(stop, Merit.ADDS)


def _also_of(snapshot: Snapshot, address: str, version: int) -> Iterator[str]:
    """The addresses of another IP version on the interface that has this one."""
    for namespace in snapshot.namespaces.values():
        bearers = {*column(where(namespace.addresses, address=address), "index")}
        others = where(namespace.addresses, scope="global", version=version)
        for each in among(others, index=bearers):
            yield each.address


def _not_in_the_map(loss: Loss) -> Iterator[Repair]:
    """A closed port that is none of those in the map by which a rule of nft publishes others, to a station
    that listens on it.
    """
    for namespace, flow in asked(loss):
        for table in where(namespace.tables, engine="nft"):
            for rule, named in maps_of_ports(table, flow.protocol.value):
                targets = {pair.args[1].text for pair in where(named.elements or (), kind="pair")}
                for _, address in dnat_rules.listeners(loss.snapshot, flow, but=namespace.name):
                    if address in targets:
                        yield from _entered(loss, namespace, flow, (table, *rule), named.name, address)


def maps_of_ports(table: Table, protocol: str) -> Iterator[tuple[tuple[Chain, Rule], NamedSet]]:
    """The rules of a table that take a destination from a named map of ports of a protocol."""
    keys = (f"{protocol} dport", "th dport")
    for chain, rule in table.placed:
        for statement in where(rule.statements, kind="dnat"):
            match statement.right:
                case Term(kind="map", args=(Term(text=key), Term(kind="ref", text=name))) if key in keys:
                    yield from (((chain, rule), each) for each in where(table.sets, name=name))


def emptied_maps(table: Table, flow: Flow) -> Iterator[tuple[tuple[Chain, Rule], NamedSet, str]]:
    """The rules of a table that take a destination from a named map in which nothing is, each with the
    element that a packet would want.
    """
    for chain, rule in table.placed:
        for statement in where(rule.statements, kind="dnat"):
            match statement.right:
                case Term(kind="map", args=(key, Term(kind="ref", text=name))):
                    wanted = elements.element(key, elements.seen(flow))
                    found = where(table.sets, name=name, elements=()) if wanted else ()
                    yield from (((chain, rule), each, wanted or "") for each in found)


def _entered(
    loss: Loss, namespace: Namespace, flow: Flow, at: tuple[Table, Chain, Rule], named: str, address: str
) -> Iterator[Repair]:
    table, chain, rule = at
    thing = rule_decision(table, chain, rule, chain.at).object
    text = f"{thing.id} of {namespace.name} publishes the ports of the map {named}, and {flow.dport} is none"
    words = ("add", "element", table.family, table.name, named, f"{{ {flow.dport} : {address} }}")
    fix = fixes.nft((table.name, named), *words)
    place = place_of(loss, namespace, Stage.PREROUTING)
    proof = (thing.text, loss.stop.text)
    yield from loss.repair(Stop("dnat-missing", place, text, thing, fix, proof), Merit.RESTORES)


def _name_server(loss: Loss) -> Iterator[Repair]:
    """A closed port of a loopback address that one program has bound, at another port: Docker's name server
    is made so, and rules of the container's own lead port 53 of 127.0.0.11 to it.
    """
    name = loss.stop.place.namespace
    if loss.stop.code != "port-closed" or name != loss.probe.source.namespace:
        return
    for asked in (flow for flow in loss.prediction.arriving if _is_own_loopback(flow.dst)):
        bound = [*column(where(loss.here.waiting(asked.protocol.value), address=asked.dst), "port")]
        if len(bound) == 1:
            yield from loss.repair(_to_its_name_server(loss, asked, bound[0]), Merit.RESTORES)


def _to_its_name_server(loss: Loss, asked: Flow, port: int) -> Stop:
    name, target = loss.stop.place.namespace, f"{asked.dst}:{port}"
    text = f"{name} has no rule that leads {asked.protocol} port {asked.dport} of {asked.dst} to {target}"
    matches = ("-d", f"{asked.dst}/32", "-p", asked.protocol.value, "--dport", str(asked.dport))
    goal = ("-j", "DNAT", "--to-destination", target)
    fix = (Command.of("iptables", "-t", "nat", "-A", "OUTPUT", *matches, *goal),)
    thing = Object("nat-rule", "iptables nat OUTPUT", "no rule for the name server's port")
    place = Place(name, loss.stop.place.interface, Stage.OUTPUT)
    proof = (f"{target} is the one socket that is bound to {asked.dst}", loss.stop.text)
    return Stop("dnat-missing", place, text, thing, fix, proof)


def _is_own_loopback(address: str) -> bool:
    """Whether an address of 127.0.0.0/8 is one that somebody chose, for one program."""
    return prefix.version(address) == 4 and prefix.contains("127.0.0.0/8", address) and address != "127.0.0.1"
