"""Routes and policy rules changed."""

from __future__ import annotations

import ipaddress
import re
from random import Random

from mutations.mutation import Identity, Mutation, Step, known, shell
from mutations.sight import Sight

_BESIDE = r"(?:dead|linkdown|pref \w+|error -?\d+|hoplimit \d+|onlink offload|rt_\w+) ?"


def route_deleted(sight: Sight, rng: Random) -> Mutation | None:
    found = _any(sight, rng)
    if found is None:
        return None
    version, name, line = found
    return Mutation("route-deleted", (_do(version, name, "del", line),), (_do(version, name, "add", line),), _route(name))


def route_refuses(sight: Sight, rng: Random) -> Mutation | None:
    """It becomes a blackhole, or the like."""
    found = _any(sight, rng)
    if found is None:
        return None
    version, name, line = found
    new = f"{rng.choice(['blackhole', 'unreachable', 'prohibit'])} {_destination(line)}{_table(line)}"
    steps = (_do(version, name, "del", line), _do(version, name, "add", new))
    return Mutation("route-refuses", steps, (_do(version, name, "del", new), _do(version, name, "add", line)), _route(name))


def route_gateway(sight: Sight, rng: Random) -> Mutation | None:
    """Another gateway: one that is not there, or another station."""
    found = _any(sight, rng, " via ")
    if found is None:
        return None
    version, name, line = found
    old = re.search(r" via (?:inet6 )?(\S+)", line)
    assert old is not None
    given = ipaddress.ip_address(old[1])
    others = [text for text in _addresses(sight, version) if text != old[1]]
    wrong = str(given + rng.choice([2, 5, 9])) if rng.random() < 0.6 or not others else rng.choice(others)
    new = line.replace(f" via {old[1]} ", f" via {wrong} ") + ("" if "onlink" in line else " onlink")
    return _replaced("route-gateway", version, name, line, new)


def route_device(sight: Sight, rng: Random) -> Mutation | None:
    """Out of another interface."""
    found = _any(sight, rng, " dev ")
    if found is None:
        return None
    version, name, line = found
    device = _device(line)
    others = [link["ifname"] for where, link in sight.links if where == name and link["ifname"] != device]
    new = re.sub(r" dev \S+", f" dev {rng.choice(others)}", line)
    new = re.sub(r" src \S+", "", new) + (" onlink" if " via " in new and "onlink" not in new else "")
    return _replaced("route-device", version, name, line, new)


def route_more_specific(sight: Sight, rng: Random) -> Mutation | None:
    """One more route to somebody's address or network: refused, to a wrong gateway, or out of a wrong interface."""
    version = _version(sight, rng)
    target = rng.choice(_addresses(sight, version))
    wide = ipaddress.ip_network(f"{target}/{rng.choice([32, 32, 25, 16] if version == 4 else [128, 128, 96])}", strict=False)
    name, link = rng.choice(sight.links)
    gateway = rng.choice(_addresses(sight, version))
    line = rng.choice(
        [f"blackhole {wide}", f"unreachable {wide}", f"prohibit {wide}", f"{wide} dev {link['ifname']}", f"throw {wide}"]
        + [f"{wide} via {gateway} dev {link['ifname']} onlink"] * 2
    )
    return Mutation("route-more-specific", (_do(version, name, "add", line),), (_do(version, name, "del", line),), _route(name))


def route_other_table(sight: Sight, rng: Random) -> Mutation | None:
    """It moves to a table that nobody asks."""
    found = _any(sight, rng)
    if found is None:
        return None
    version, name, line = found
    new = re.sub(r" table \S+", "", line) + " table 77"
    steps = (_do(version, name, "del", line), _do(version, name, "add", new))
    undo = (_do(version, name, "del", new), _do(version, name, "add", line))
    return Mutation("route-other-table", steps, undo, _route(name))


def route_source(sight: Sight, rng: Random) -> Mutation | None:
    """It names another source address: one of those that the namespace has."""
    found = _any(sight, rng, " dev ")
    if found is None:
        return None
    version, name, line = found
    family = "inet" if version == 4 else "inet6"
    mine = [address["local"] for where, _, address in sight.addresses if where == name and address["family"] == family]
    if not mine:
        return None
    new = re.sub(r" src \S+", "", line) + f" src {rng.choice(mine)}"
    return _replaced("route-source", version, name, line, new)


def local_deleted(sight: Sight, rng: Random) -> Mutation | None:
    """An entry of the table local goes: the kernel does not know any more that the address is its own."""
    name, device, address = rng.choice(sight.addresses)
    version, text = (4, address["local"]) if address["family"] == "inet" else (6, address["local"])
    line = f"local {text} dev {device if version == 6 or device != 'lo' else 'lo'} table local"
    extra = f" proto kernel scope host src {text}" if version == 4 else ""
    steps = (shell(name, f"ip -{version} route del {line}"),)
    truth = (known(name, "route address", text), known(name, "route", codes="addr-missing"))
    return Mutation("local-deleted", steps, (shell(name, f"ip -{version} route add {line}{extra}"),), truth)


def rule_deleted(sight: Sight, rng: Random) -> Mutation | None:
    version = _version(sight, rng)
    rules = [(name, line) for name in sight.spaces for line in sight.said(name, f"ip -{version} rule show").splitlines()]
    if not rules:
        return None
    name, line = rng.choice(rules)
    priority, _, rest = line.partition(":")
    text = f"pref {priority} {' '.join(rest.split())}".replace("[detached] ", "")
    steps = (shell(name, f"ip -{version} rule del {text}"),)
    truth = (known(name, "policy-rule"), known(name, "route", codes="rule-local-missing"))
    return Mutation("rule-deleted", steps, (shell(name, f"ip -{version} rule add {text}"),), truth)


def rule_added(sight: Sight, rng: Random) -> Mutation | None:
    """One that leads into an empty table and refuses there, or refuses at once; for everybody, a source, a destination or an interface."""
    version, name = _version(sight, rng), rng.choice(sight.spaces)
    target = rng.choice(_addresses(sight, version))
    device = rng.choice([link["ifname"] for where, link in sight.links if where == name])
    who = rng.choice(["", f"from {target}", f"to {target}", f"iif {device}"])
    what = rng.choice(["blackhole", "prohibit", "unreachable", "lookup 78"])
    priority = rng.choice([1, 100, 20000])
    table = (shell(name, f"ip -{version} route add {rng.choice(['blackhole', 'prohibit'])} default table 78"),)
    steps: tuple[Step, ...] = (*(table if "lookup" in what else ()), shell(name, f"ip -{version} rule add pref {priority} {who} {what}"))
    undo: tuple[Step, ...] = (shell(name, f"ip -{version} rule del pref {priority}"),)
    undo += (shell(name, f"ip -{version} route flush table 78"),) if "lookup" in what else ()
    truth = (known(name, "policy-rule", f"{priority}:"), *((known(name, "route", "78"),) if "lookup" in what else ()))
    return Mutation("rule-added", steps, undo, truth)


def _any(sight: Sight, rng: Random, having: str = "") -> tuple[int, str, str] | None:
    version = _version(sight, rng)
    routes = [(name, line) for name, line in sight.routes(version) if having in line and "nexthop" not in line]
    if not routes:
        return None
    name, line = rng.choice(routes)
    return version, name, " ".join(re.sub(_BESIDE, "", line).split())


def _replaced(kind: str, version: int, name: str, line: str, new: str) -> Mutation:
    steps = (_do(version, name, "del", line), _do(version, name, "add", new))
    undo = (_do(version, name, "del", new), _do(version, name, "add", line))
    return Mutation(kind, steps, undo, _route(name))


def _do(version: int, name: str, verb: str, line: str) -> Step:
    return shell(name, f"ip -{version} route {verb} {line}")


def _route(name: str) -> tuple[Identity, ...]:
    """A route of this namespace: one that was deleted is known by where it led, which a report says in its own words."""
    return (known(name, "route"),)


def _destination(line: str) -> str:
    words = line.split()
    return words[1] if words[0] in ("blackhole", "unreachable", "prohibit", "throw", "local") else words[0]


def _table(line: str) -> str:
    found = re.search(r" table \S+", line)
    return found[0] if found else ""


def _device(line: str) -> str:
    found = re.search(r" dev (\S+)", line)
    return found[1] if found else ""


def _version(sight: Sight, rng: Random) -> int:
    """IPv6 now and then, where there is any."""
    return 6 if rng.random() < 0.3 and _addresses(sight, 6) else 4


def _addresses(sight: Sight, version: int) -> list[str]:
    family = "inet" if version == 4 else "inet6"
    return list(dict.fromkeys(address["local"] for _, _, address in sight.addresses if address["family"] == family))


KINDS = (route_deleted, route_refuses, route_gateway, route_device, route_more_specific, route_other_table, route_source, local_deleted)
RULES = (rule_deleted, rule_added)
