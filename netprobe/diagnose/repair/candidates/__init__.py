"""What could be wrong, one file a kind of object. Each yields repairs; the search tries them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

from netprobe.diagnose.repair.repair import Loss, Repair

from . import (
    addresses,
    anycast,
    before,
    beside,
    bridge_gone,
    bridges,
    connections,
    dispatched,
    halves,
    ipsec,
    kernel_routes,
    lacking,
    let_through,
    link_local,
    links,
    looped,
    macs,
    mapped,
    marked,
    meant,
    missing_routes,
    moved,
    neighbours,
    not_doubled,
    orphans,
    policy_rules,
    policy_siblings,
    pools,
    proxies,
    published,
    redirected,
    refusing,
    remade,
    renamed,
    routes,
    rules,
    sets,
    settings,
    shadowed,
    siblings,
    sources,
    stop,
    surplus,
    thrown,
    told,
    translation,
    tunnel_gone,
    tunnel_routes,
    tunnels,
    unasked,
    unconnected,
    uplinks,
    verdicts,
    way_out,
)

Kind = Callable[[Loss], Iterator[Repair]]

KINDS: tuple[Kind, ...] = (
    stop.candidates,
    before.candidates,
    links.candidates,
    moved.candidates,
    renamed.candidates,
    bridges.candidates,
    bridge_gone.candidates,
    neighbours.candidates,
    proxies.candidates,
    addresses.candidates,
    not_doubled.candidates,
    sources.candidates,
    anycast.candidates,
    told.candidates,
    pools.candidates,
    surplus.candidates,
    routes.candidates,
    missing_routes.candidates,
    looped.candidates,
    link_local.candidates,
    kernel_routes.candidates,
    siblings.candidates,
    beside.candidates,
    policy_rules.candidates,
    policy_siblings.candidates,
    thrown.candidates,
    marked.candidates,
    settings.candidates,
    rules.candidates,
    shadowed.candidates,
    sets.candidates,
    lacking.candidates,
    macs.candidates,
    meant.candidates,
    halves.candidates,
    orphans.candidates,
    dispatched.candidates,
    unasked.candidates,
    translation.candidates,
    published.candidates,
    mapped.candidates,
    let_through.candidates,
    redirected.candidates,
    refusing.candidates,
    connections.candidates,
    ipsec.candidates,
    tunnels.candidates,
    remade.candidates,
    tunnel_gone.candidates,
    tunnel_routes.candidates,
    unconnected.candidates,
    uplinks.candidates,
    verdicts.candidates,
    way_out.candidates,
)


_SHARE = 200  # of one kind


def candidates(loss: Loss) -> Iterator[Repair]:
    """All that could be wrong; the order does not matter, and no kind keeps the others from being tried."""
    loss.ask_the_hosts()
    for kind in KINDS:
        yield from islice(kind(loss), _SHARE)
