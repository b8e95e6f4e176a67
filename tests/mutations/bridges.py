"""Bridges and their ports changed: states, isolation, learning, flooding, VLANs, entries that lead to the wrong port."""

from __future__ import annotations

from random import Random

from mutations.mutation import Mutation, known, shell
from mutations.sight import Sight

_FLAGS = {
    "isolated": "isolated",
    "learning": "learning",
    "flood": "flood",
    "mcast_flood": "mcast_flood",
    "bcast_flood": "bcast_flood",
    "hairpin": "hairpin",
    "guard": "guard",
    "neigh_suppress": "neigh_suppress",
    "proxy_arp": "proxy_arp",
    "locked": "locked",
}
"""Names of `ip -d -j link` in info_slave_data, and the words of `bridge link set`."""


def port_flag(sight: Sight, rng: Random) -> Mutation | None:
    if not sight.ports:
        return None
    name, link = rng.choice(sight.ports)
    now = link["linkinfo"]["info_slave_data"]
    flag = rng.choice(sorted(flag for flag in _FLAGS if flag in now))
    old, new = ("on", "off") if now[flag] else ("off", "on")
    return _port("port " + flag, name, link["ifname"], f"{_FLAGS[flag]} {new}", f"{_FLAGS[flag]} {old}")


def port_isolated_all(sight: Sight, rng: Random) -> Mutation | None:
    """Two ports of one bridge; one alone isolates nothing. The object is either."""
    groups = [(name, bridge["ifname"], _ports_of(sight, name, bridge["ifname"])) for name, bridge in sight.bridges]
    groups = [each for each in groups if len(each[2]) > 1]
    if not groups:
        return None
    name, _, ports = rng.choice(groups)
    two = rng.sample(ports, 2)
    steps, undo = (tuple(shell(name, f"bridge link set dev {port} isolated {word}") for port in two) for word in ("on", "off"))
    return Mutation("port-isolated", steps, undo, tuple(known(name, "bridge-port link", port) for port in two))


def port_state(sight: Sight, rng: Random) -> Mutation | None:
    if not sight.ports:
        return None
    name, link = rng.choice(sight.ports)
    return _port("port-state", name, link["ifname"], f"state {rng.choice([0, 4])}", "state 3")


def port_pvid(sight: Sight, rng: Random) -> Mutation | None:
    """Another VLAN for what comes in untagged; it counts where the bridge filters VLANs."""
    found = [(name, entry) for name, entry in sight.everywhere("bridge -j vlan show") if _is_port(sight, name, entry["ifname"])]
    if not found:
        return None
    name, entry = rng.choice(found)
    device = entry["ifname"]
    old = next((vlan["vlan"] for vlan in entry["vlans"] if "PVID" in vlan.get("flags", [])), None)
    if old is None:
        return None
    new = rng.choice([each for each in (1, 10, 20, 99) if each != old])
    steps = (shell(name, f"bridge vlan del dev {device} vid {old}"), shell(name, f"bridge vlan add dev {device} vid {new} pvid untagged"))
    undo = (shell(name, f"bridge vlan del dev {device} vid {new}"), shell(name, f"bridge vlan add dev {device} vid {old} pvid untagged"))
    return Mutation("port-pvid", steps, undo, (known(name, "bridge-port link", device),))


def vlan_deleted(sight: Sight, rng: Random) -> Mutation | None:
    """A port, or the bridge itself, is no member of a VLAN any more."""
    entries = sight.everywhere("bridge -j vlan show")
    found = [(name, entry["ifname"], vlan) for name, entry in entries for vlan in entry["vlans"]]
    if not found:
        return None
    name, device, vlan = rng.choice(found)
    flags = " ".join({"PVID": "pvid", "Egress Untagged": "untagged"}[flag] for flag in vlan.get("flags", []))
    own = " self" if not _is_port(sight, name, device) else ""
    steps = (shell(name, f"bridge vlan del dev {device} vid {vlan['vlan']}{own}"),)
    undo = (shell(name, f"bridge vlan add dev {device} vid {vlan['vlan']} {flags}{own}"),)
    return Mutation("vlan-deleted", steps, undo, (known(name, "bridge-port link", device),))


def bridge_setting(sight: Sight, rng: Random) -> Mutation | None:
    """VLAN filtering, STP, multicast snooping, ageing, group forwarding."""
    if not sight.bridges:
        return None
    name, link = rng.choice(sight.bridges)
    now = link["linkinfo"]["info_data"]
    key, value = rng.choice([("vlan_filtering", 1), ("stp_state", 1), ("mcast_snooping", 0), ("ageing_time", 0), ("vlan_default_pvid", 0),
                             ("group_fwd_mask", 8), ("nf_call_iptables", 1), ("mcast_querier", 1)])  # fmt: skip
    old = now.get(key, 0)
    value = value if value != old else 1 - int(bool(old))
    steps, undo = (shell(name, f"ip link set {link['ifname']} type bridge {key} {each}") for each in (value, old))
    return Mutation(f"bridge {key}", (steps,), (undo,), (known(name, "link bridge-port", link["ifname"]),))


def fdb_wrong(sight: Sight, rng: Random) -> Mutation | None:
    """A static entry sends a station's frames to a wrong port, or to the bridge itself."""
    if not sight.ports:
        return None
    name, link = rng.choice(sight.ports)
    mac = rng.choice(sight.macs)
    flag = rng.choice(["static", "static", "local"])
    steps = (shell(name, f"bridge fdb replace {mac} dev {link['ifname']} master {flag}"),)
    return Mutation(
        "fdb-wrong", steps, (shell(name, f"bridge fdb del {mac} dev {link['ifname']} master"),), (known(name, "fdb-entry", mac),)
    )


def fdb_deleted(sight: Sight, rng: Random) -> Mutation | None:
    """An entry of a tunnel goes: to which far end its frames are sent."""
    found = [(name, each) for name, each in sight.everywhere("bridge -j fdb show") if "dst" in each]
    if not found:
        return None
    name, each = rng.choice(found)
    text = f"{each['mac']} dev {each['ifname']} dst {each['dst']}"
    steps, undo = (shell(name, f"bridge fdb {verb} {text}") for verb in ("del", "append"))
    truth = (known(name, "fdb-entry", each["mac"]), known(name, "tunnel fdb-entry", each["ifname"]))
    return Mutation("fdb-deleted", (steps,), (undo,), truth)


def fdb_remote(sight: Sight, rng: Random) -> Mutation | None:
    """An entry of a tunnel names another far end."""
    found = [(name, each) for name, each in sight.everywhere("bridge -j fdb show") if "dst" in each]
    if not found:
        return None
    name, each = rng.choice(found)
    head = f"{each['mac']} dev {each['ifname']}"
    lines = (f"del {head} dst {each['dst']}", f"append {head} dst 192.168.50.99")
    back = (f"del {head} dst 192.168.50.99", f"append {head} dst {each['dst']}")
    steps, undo = (tuple(shell(name, f"bridge fdb {line}") for line in both) for both in (lines, back))
    truth = (known(name, "fdb-entry", each["mac"]), known(name, "tunnel fdb-entry", each["ifname"]))
    return Mutation("fdb-remote", steps, undo, truth)


def tunnel_changed(sight: Sight, rng: Random) -> Mutation | None:
    """A VXLAN's own setting: its number, its port, its far end, whether it learns."""
    found = [(name, link) for name, link in sight.links if link.get("linkinfo", {}).get("info_kind") == "vxlan"]
    if not found:
        return None
    name, link = rng.choice(found)
    now, device = link["linkinfo"]["info_data"], link["ifname"]
    changes = [("learning" if not now.get("learning") else "nolearning", "nolearning" if not now.get("learning") else "learning")]
    if "remote" in now:
        changes.append(("remote 192.168.50.99", f"remote {now['remote']}"))
    if "local" in now:
        changes.append(("local 192.168.50.98", f"local {now['local']}"))
    done, undone = rng.choice(changes)
    steps, undo = (shell(name, f"ip link set {device} type vxlan {each}") for each in (done, undone))
    truth = (known(name, "tunnel link fdb-entry", device),)
    return Mutation(f"tunnel {done.split()[0]}", (steps,), (undo,), truth)


def _port(kind: str, name: str, device: str, done: str, undone: str) -> Mutation:
    steps, undo = (shell(name, f"bridge link set dev {device} {each}") for each in (done, undone))
    return Mutation(kind, (steps,), (undo,), (known(name, "bridge-port link", device),))


def _ports_of(sight: Sight, name: str, bridge: str) -> list[str]:
    return [link["ifname"] for where, link in sight.ports if where == name and link["master"] == bridge]


def _is_port(sight: Sight, name: str, device: str) -> bool:
    return any(where == name and link["ifname"] == device for where, link in sight.ports)


KINDS = (port_flag, port_isolated_all, port_state, port_pvid, vlan_deleted, bridge_setting, fdb_wrong, fdb_deleted, fdb_remote,
         tunnel_changed)  # fmt: skip
