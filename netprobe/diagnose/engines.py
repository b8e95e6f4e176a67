"""What a container engine has to do with a loss, by its own word: its command mends for good what rules,
routes and cables made by hand would mend until the engine makes its own anew. Pure.
"""

from __future__ import annotations

import re

from msgspec.structs import replace

from netprobe.model import AskEngines, Command, Namespace, Snapshot, Stop
from netprobe.model.engines import ContainerEngines, EngineContainer
from netprobe.model.lookup import among, has, those_not_in, where
from netprobe.model.runtime import BY_KIND
from netprobe.predict.prediction import Prediction

# the ends that an engine may have made, or may have to do with
_ENDS = {"port-closed", "link-missing", "no-route", "filtered-by-rule", "forwarding-off"}
_BRIDGE = re.compile(r"docker\d+|podman\d+|br-[0-9a-f]{12}")  # as the engines call theirs
APART = "isolated by design: networks are kept apart"
INTERNAL = "isolated by design: no packet leaves an internal network"
REMADE = "make the container again, with a network: podman run --network NETWORK ..."
DEFAULT = {"docker": "bridge", "podman": "podman"}  # the network of a container that was given none


def lacking(snapshot: Snapshot, stop: Stop) -> tuple[AskEngines, ...]:
    """The request for the engines' word, where it may matter and was not asked for."""
    if not snapshot.may_ask_engines or stop.code not in _ENDS:
        return ()
    return (AskEngines(),) if any(map(_is_an_engines, snapshot.namespaces.values())) else ()


def _is_an_engines(namespace: Namespace) -> bool:
    """Whether a namespace may be a container's, or has bridges of an engine's."""
    inside = namespace.entrance[:2] == ("nsenter", "-t")
    return inside or any(_BRIDGE.fullmatch(link.name) for link in namespace.links_of("bridge"))


def told(snapshot: Snapshot, prediction: Prediction, stop: Stop) -> Stop | None:
    """The end as the engine's word explains it, with the engine's own command; None where it does not."""
    engines = snapshot.engines
    if engines is None:
        return None
    return _stopped(engines, prediction, stop) or _apart(engines, snapshot, prediction, stop)


def _stopped(engines: ContainerEngines, prediction: Prediction, stop: Stop) -> Stop | None:
    """The container that publishes a port of the host at which nothing listens, and does not run."""
    here = engines.container(stop.place.namespace or "")
    flow = next(iter(prediction.arriving), None)
    if stop.code != "port-closed" or flow is None:
        return None
    found = engines.publishing(flow.protocol.value, flow.dport)
    if here is not None or len(found) != 1 or found[0].runs:
        return None
    start = Command.of(*BY_KIND[found[0].engine].start.split(), found[0].name)
    text = f"{stop.text} ({found[0].name}, which publishes it, is {_state(found[0])})"
    return replace(stop, text=text, commands=(start,), advice="")


def _state(one: EngineContainer) -> str:
    return {"exited": "stopped"}.get(one.state, f"not running, but {one.state}")


def _apart(engines: ContainerEngines, snapshot: Snapshot, prediction: Prediction, stop: Stop) -> Stop | None:
    """The container that is on no network, on none that packets may leave, or on another one than the
    destination.
    """
    probe = prediction.probe
    one = engines.container(probe.source.namespace or "")
    if one is None or one.networks is None or not _is_made(engines, stop, probe.source.namespace):
        return None
    theirs = _joinable(one, _at(engines, snapshot, probe.destination.address))
    own = among(where(engines.networks, engine=one.engine), name=one.joined)
    internal = bool(own) and not has(own, internal=False)
    wanted = theirs[0] if theirs else DEFAULT[one.engine]
    if stop.code == "link-missing" and one.is_bound_to_none:
        return replace(stop, text=f"{stop.text} (it was made without a network)", commands=(), advice=REMADE)
    if stop.code == "link-missing" and one.is_alone:
        why, note = "it is on no network", ""
    elif internal:
        why, note = f"its network {own[0].name} is internal", INTERNAL
    elif theirs:
        why, note = f"{one.name} is not on the network {wanted}", APART
    else:
        return None
    return replace(stop, text=f"{stop.text} ({why})", commands=_connected(one, wanted, note), advice="")


def _is_made(engines: ContainerEngines, stop: Stop, source: str | None) -> bool:
    """Whether the engine has made what is at the end: its rule, its network that does not forward, or the
    sender as it is.
    """
    if stop.code == "filtered-by-rule":
        return stop.thing.owner in DEFAULT
    if stop.code == "forwarding-off":  # netavark makes internal networks so
        return has(engines.networks, interface=stop.place.interface, internal=True)
    return stop.code in ("link-missing", "no-route") and stop.place.namespace == source


def _at(engines: ContainerEngines, snapshot: Snapshot, address: str | None) -> EngineContainer | None:
    """The container that has an address."""
    having = (each.name for each in snapshot.namespaces.values() if each.owner_of(address))
    return next(filter(None, map(engines.container, having)), None)


def _joinable(one: EngineContainer, other: EngineContainer | None) -> tuple[str, ...]:
    """The networks of another container of the same engine that a container is not on."""
    theirs = other.joined if other is not None and other.engine == one.engine else ()
    return those_not_in(theirs, one.joined)


def _connected(one: EngineContainer, network: str, note: str) -> tuple[Command, ...]:
    """The commands that connect a container to a network, after those that it must leave."""
    join = replace(Command.of(one.engine, "network", "connect", network, one.name), note=note)
    left = (Command.of(one.engine, "network", "disconnect", each, one.name) for each in one.to_leave)
    return (*left, join)
