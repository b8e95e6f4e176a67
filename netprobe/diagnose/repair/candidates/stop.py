"""What the walk itself names: the object that said no, with the words that others know filled in. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from operator import methodcaller

from msgspec.structs import replace

from netprobe.diagnose.hints import Gateway
from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.diagnose.repair.routers import came_from, routers_for
from netprobe.model import Command, Leg, Link, Namespace, Stop
from netprobe.model.command import words_of
from netprobe.model.lookup import but, column, where
from netprobe.predict import prefix
from netprobe.predict.fixes import GATEWAY

from . import routes, settings

_ADDING = {"add", "append", "-A", "-I", "insert"}


def candidates(loss: Loss) -> Iterator[Repair]:
    """The end of the walk, mended where it is: by each router that may be meant."""
    for stop in but(_completions(loss, loss.stop), commands=()):
        if not stop.advice:
            yield from loss.repair(stop, _merit(loss, stop))


def _merit(loss: Loss, stop: Stop) -> Merit:
    if stop.thing.kind == "sysctl":
        return settings.merit(loss.snapshot.at(stop.place.namespace), stop.thing.id)
    if _is_of_a_block(loss, stop) or _sends_back_into_a_tunnel(loss, stop):
        return Merit.GOES_AROUND
    if any(_leads_past(loss.snapshot.at(stop.place.namespace), command) for command in stop.commands):
        return Merit.GOES_AROUND
    if _is_led_by_alone(loss, stop):
        return Merit.ADDS
    if not _ADDING.isdisjoint(words_of(stop.commands)) or _in_a_table_of_a_rule(stop):
        return Merit.ADDS
    return Merit.UNDOES


def _is_of_a_block(loss: Loss, stop: Stop) -> bool:
    """Whether a route is the end that a routing daemon keeps for what is left of a block."""
    taken = (
        where(loss.prediction.routed, namespace=stop.place.namespace)[-1:]
        if stop.thing.kind == "route"
        else ()
    )
    decided = column(taken, "decision.route")
    return any(map(partial(routes.is_of_a_block, loss.here), decided))


def _sends_back_into_a_tunnel(loss: Loss, stop: Stop) -> bool:
    """Whether what came out of a tunnel is to go back into it: its nodes hand on nothing for each other."""
    there = loss.snapshot.link_at(stop.place)
    return there is not None and there[1].kind == "vxlan" and "hairpin" in words_of(stop.commands)


def _is_led_by_alone(loss: Loss, stop: Stop) -> bool:
    """Whether an answer is refused as of no connection where the request did not pass: that it came there may
    be what is wrong.
    """
    passed = {*column(loss.prediction.request.hops, "namespace")}
    return stop.code == "conntrack-invalid" and stop.place.namespace not in passed


def _leads_past(namespace: Namespace, command: Command) -> bool:
    """Whether a gateway is promised to be there on an interface of whose network it is: the route to that
    network is what is missing.
    """
    if "onlink" not in command.words or command.blanks:
        return False
    said = dict(pairwise(map(str, command.words)))
    link = namespace.link_named(said.get("dev"))
    return link is not None and bool(prefix.neighbours_of(said["via"], namespace.addresses_of(link)))


def _in_a_table_of_a_rule(stop: Stop) -> bool:
    """Whether a route is the end that only a policy rule led to: the rule is odd, not what its table says."""
    return stop.thing.kind == "route" and "table" in words_of(stop.commands)


def completed(loss: Loss, stop: Stop) -> Stop:
    """The stop with the gateway in its commands, where a router is in sight."""
    return _completions(loss, stop)[0]


def _completions(loss: Loss, stop: Stop) -> list[Stop]:
    """The stop with each gateway in its commands that may be meant; as it is where no router is in sight."""
    wanted, name = target(loss), stop.place.namespace or ""
    if not wanted or not any(map(methodcaller("lacks", GATEWAY.name), stop.commands)):
        return [stop]
    routers = [*routers_for(loss, name, wanted)] or [*filter(None, [came_from(loss, name)])]
    return [_by_way_of(stop, router) for router in routers] or [stop]


def _by_way_of(stop: Stop, router: Gateway) -> Stop:
    return replace(stop, commands=tuple(_filled(command, router) for command in stop.commands))


def _filled(command: Command, router: Gateway) -> Command:
    """The command by way of a router."""
    command = command.filled(GATEWAY.name, router.via)
    return _onlink(command, router.link) if router.onlink else command


def _onlink(command: Command, link: Link) -> Command:
    """The route with its device, and the promise that the gateway is there."""
    if "onlink" in command.words:
        at = command.words.index("dev") + 1
        return replace(command, words=(*command.words[:at], link.name, *command.words[at + 1 :]))
    device = () if "dev" in command.words else ("dev", link.name)
    return replace(command, words=(*command.words, *device, "onlink"))


def asks_others(loss: Loss, name: str) -> bool:
    """Whether a namespace asks, and asks another one: it has not the address that it asks for."""
    source = loss.probe.source.namespace
    return name == source != loss.probe.destination.namespace


def target(loss: Loss) -> str | None:
    """The address that the broken leg is to reach, as it was when it left its sender."""
    request, reply = loss.prediction.request.hops, loss.prediction.reply
    if loss.prediction.leg is not Leg.REPLY:
        if request:
            return request[0].flow.dst
        return loss.probe.destination.address
    if reply is not None and reply.hops:
        return reply.hops[0].flow.dst
    return request[-1].flow.src if request else None
