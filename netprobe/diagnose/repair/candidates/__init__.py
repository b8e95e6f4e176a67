"""What could be wrong, one file a kind of object. Each yields repairs; the search tries them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

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
    kernel_routes,
    link_local,
    links,
    looped,
    macs,
    meant,
    moved,
    neighbours,
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
    siblings,
    sources,
    stop,
    surplus,
    told,
    translation,
    tunnel_gone,
    tunnel_routes,
    tunnels,
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
    sources.candidates,
    anycast.candidates,
    told.candidates,
    pools.candidates,
    surplus.candidates,
    routes.candidates,
    looped.candidates,
    link_local.candidates,
    kernel_routes.candidates,
    siblings.candidates,
    beside.candidates,
    policy_rules.candidates,
    policy_siblings.candidates,
    settings.candidates,
    rules.candidates,
    sets.candidates,
    macs.candidates,
    meant.candidates,
    orphans.candidates,
    dispatched.candidates,
    translation.candidates,
    published.candidates,
    redirected.candidates,
    refusing.candidates,
    connections.candidates,
    tunnels.candidates,
    remade.candidates,
    tunnel_gone.candidates,
    tunnel_routes.candidates,
    unconnected.candidates,
    uplinks.candidates,
    verdicts.candidates,
    way_out.candidates,
)


def candidates(loss: Loss) -> Iterator[Repair]:
    """All that could be wrong; the order does not matter."""
    loss.ask_the_hosts()
    for kind in KINDS:
        yield from kind(loss)
