"""Queues, filters of tc, programs before an interface, IPsec policies: what drops beside the tables."""

from __future__ import annotations

from random import Random

from mutations.mutation import Call, Mutation, known, shell
from mutations.sight import Sight

from netprobe.lab.crafted import DropByTc, DropByXdp

_DROPPING = (
    "matchall action drop",
    "matchall action police rate 8bit burst 1 conform-exceed drop",
    "u32 match u32 0 0 action drop",
    "flower ip_proto icmp action drop",
)


def queue_drops(sight: Sight, rng: Random) -> Mutation | None:
    """A queue that has no room, loses all, or is so slow that nothing comes out in time."""
    name, link = rng.choice(sight.wires)
    queue = rng.choice(["bfifo limit 10", "netem loss 100%", "tbf rate 8bit burst 20 limit 20", "pfifo limit 1000", "pfifo limit 0"])
    return _queue("queue " + queue.split()[0], name, link["ifname"], queue)


def queue_slow(sight: Sight, rng: Random) -> Mutation | None:
    """Another queue that is fast enough: nothing may be cried."""
    name, link = rng.choice(sight.wires)
    queue = rng.choice(["tbf rate 1gbit burst 100000 limit 1000000", "pfifo limit 100", "fq_codel", "htb default 1", "sfq"])
    return _queue("queue-harmless " + queue.split()[0], name, link["ifname"], queue)


def filter_drops(sight: Sight, rng: Random) -> Mutation | None:
    """A classifier of tc that drops, or a policer with no rate."""
    name, link = rng.choice(sight.wires)
    device, way = link["ifname"], rng.choice(["ingress", "egress"])
    what = rng.choice(_DROPPING)
    steps = (shell(name, f"tc qdisc add dev {device} clsact"), shell(name, f"tc filter add dev {device} {way} {what}"))
    return Mutation("tc-drops", steps, (shell(name, f"tc qdisc del dev {device} clsact"),), (known(name, "tc-filter qdisc", device),))


def program_drops(sight: Sight, rng: Random) -> Mutation | None:
    """A loaded program drops all that comes in."""
    name, link = rng.choice(sight.wires)
    device = link["ifname"]
    if rng.random() < 0.5:
        xdp = DropByXdp(name, device)
        undo = (shell(name, f"ip link set dev {device} xdpgeneric off"),)
        return Mutation("xdp-drops", (Call(xdp.command, xdp.apply, ()),), undo, (known(name, "xdp", device),))
    tc = DropByTc(name, device)
    steps = (shell(name, f"tc qdisc add dev {device} clsact"), Call(tc.command, tc.apply, ()))
    return Mutation("bpf-drops", steps, (shell(name, f"tc qdisc del dev {device} clsact"),), (known(name, "tc-filter qdisc", device),))


def policy_blocks(sight: Sight, rng: Random) -> Mutation | None:
    """An IPsec policy that blocks what goes to, or comes from, somebody's address."""
    name, (_, _, address) = rng.choice(sight.spaces), rng.choice(sight.addresses)
    selector = f"{rng.choice(['src', 'dst'])} {address['local']} dir {rng.choice(['in', 'out', 'fwd'])}"
    steps, undo = ((shell(name, f"ip xfrm policy {verb} {selector}{' action block' if verb == 'add' else ''}"),) for verb in ("add", "del"))
    return Mutation("xfrm-blocks", steps, undo, (known(name, "xfrm"),))


def _queue(kind: str, name: str, device: str, queue: str) -> Mutation:
    steps = (shell(name, f"tc qdisc replace dev {device} root {queue}"),)
    return Mutation(kind, steps, (shell(name, f"tc qdisc del dev {device} root"),), (known(name, "qdisc", device),))


KINDS = (queue_drops, queue_drops, queue_slow, filter_drops, program_drops, policy_blocks)
