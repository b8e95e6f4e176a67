"""What connection tracking remembers, wrong: an entry, as if of earlier traffic, that leads the answers or the requests astray."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from mutations.flows import Flow
from mutations.mutation import Mutation, known, shell
from mutations.sight import Sight

_LIFE = 600  # seconds


def entry_wrong(sight: Sight, rng: Random, flows: Sequence[Flow]) -> Mutation | None:
    """For a flow that always has the same source port: the entry knows no translation, or another one than the rules would make."""
    fixed = [one for one in flows if one.source_port]
    tracking = [name for name in sight.spaces if "table" in sight.said(name, "nft list tables") or sight.said(name, "iptables-legacy-save")]
    if not fixed or not tracking:
        return None
    one, name = rng.choice(fixed), rng.choice(tracking)
    mine = sight.source(one.source, one.address)
    there = f"-p udp --src {mine} --dst {one.address} --sport {one.source_port} --dport {one.port}"
    wrong = rng.choice([one.address, "10.99.0.9"])
    back = f"--reply-src {wrong} --reply-dst {mine} --reply-port-src {one.port} --reply-port-dst {one.source_port}"
    state = rng.choice(["", "-u SEEN_REPLY"])
    steps = (shell(name, "conntrack -F"), shell(name, f"conntrack -I {there} {back} -t {_LIFE} {state}"))
    return Mutation("connection-wrong", steps, (shell(name, "conntrack -F"),), (known(name, "conntrack"),), warm=True)


KINDS = ()
ABOUT_FLOWS = (entry_wrong,)
