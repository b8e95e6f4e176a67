"""What the rules decide about a packet: verdict, the rule behind it, what changed, and what might be
otherwise.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

from msgspec import Struct

from netprobe.model import ChainQuery, Object, SetQuery

from .packet import HookPacket


class HookVerdict(StrEnum):
    """What happens to the packet at a hook.

    `stolen`: another place goes on with it (synproxy, fwd to a device).
    """

    ACCEPT = "accept"
    DROP = "drop"
    REJECT = "reject"
    QUEUE = "queue"
    STOLEN = "stolen"
    UNDETERMINED = "undetermined"


class Reason(StrEnum):
    """What kind of decision it is, for the catalogue of causes."""

    RULE = "rule"
    POLICY = "policy"
    LIMIT = "limit"
    QUOTA = "quota"
    CONNLIMIT = "connlimit"
    RANDOM = "random"
    RPFILTER = "rpfilter"
    INVALID = "invalid"
    FRAGMENT = "fragment"
    RECENT = "recent"
    TIME = "time"
    QUEUE = "queue"
    PROXY = "proxy"
    UNKNOWN = "unknown"


class Decision(Struct, frozen=True, gc=False):
    """A rule or policy that had a say: the object to show, where it stands, and what kind of decision it
    is.
    """

    object: Object
    engine: str
    family: str
    table: str
    chain: str
    hook: str
    reason: Reason = Reason.RULE
    rule: int | None = None
    handle: int | None = None


class Doubt(Struct, frozen=True, gc=False):
    """Why a step has no plain answer: a condition on other packets (limit, quota, random), or something not
    understood.

    `likely`: the step holds in the main reading. `chance`: how often it holds, where that is known. `need`:
    what would settle it.
    """

    reason: Reason
    text: str
    likely: bool = False
    chance: float | None = None
    need: SetQuery | ChainQuery | None = None
    decision: Decision | None = None

    @property
    def object(self) -> Object | None:
        """The rule, as far as it is known."""
        return self.decision.object if self.decision is not None else None

    @property
    def ignorance(self) -> bool:
        """We do not know; as opposed to: it differs from packet to packet."""
        return self.reason is Reason.UNKNOWN or self.reason is Reason.TIME


class Rejection(Struct, frozen=True, gc=False):
    """How the sender is told: `kind` icmp, icmpv6 or tcp-reset; type and code of the ICMP error."""

    kind: str
    type: int = 0
    code: int = 0
    text: str = ""


class Translation(Struct, frozen=True, gc=False):
    """A change of address or port by NAT:

    `kind` SNAT, DNAT, MASQUERADE, REDIRECT, NETMAP, "SNAT undone" or "DNAT undone".

    `ports` is the range that the rule allows, when it names one; `decision` the rule, None for what an
    existing connection does.
    """

    kind: str
    before: HookPacket
    after: HookPacket
    ports: tuple[int, int] | None = None
    decision: Decision | None = None

    @property
    def object(self) -> Object | None:
        """The rule, if one made it."""
        return self.decision.object if self.decision is not None else None


class Ruling(Struct, frozen=True, gc=False):
    """What a hook does to a packet.

    `packet` is as it goes on; `decision` what decided a verdict other than a plain accept.

    `passed`: the rules that matched on the way. `counted`: the rules whose packet counters it moves: those,
    and the ones that it left behind their counter (a verdict map without its key). `spent`: rules that would
    have decided but for a quota or limit used up. `alternatives`: what happens to other packets of the same
    flow (limit, random), each with the `doubts` that lead there; of a verdict undetermined all that may be,
    the likely one first. That carries the doubts that stand in the way, and `needs`: questions whose answers
    would settle it; and `refused_by`, the one of all endings by whose rule it is refused, if at all.
    `rerouted`: the packet, at output, as the kernel has looked for a way for it anew; None where it has not.
    `diverted`: the interface that it is sent out of instead (fwd).
    """

    verdict: HookVerdict
    packet: HookPacket
    decision: Decision | None = None
    reject: Rejection | None = None
    passed: tuple[Decision, ...] = ()
    counted: tuple[Decision, ...] = ()
    translations: tuple[Translation, ...] = ()
    spent: tuple[Decision, ...] = ()
    alternatives: tuple[Ruling, ...] = ()
    doubts: tuple[Doubt, ...] = ()
    needs: tuple[SetQuery | ChainQuery, ...] = ()
    refused_by: Ruling | None = None
    rerouted: HookPacket | None = None
    diverted: str = ""


def weighed(answers: Collection[bool | None], telling: bool) -> bool | None:
    """The answer that decides if one of them gives it, else None if one of them is not known, else the
    other.
    """
    if telling in answers:
        return telling
    return None if None in answers else not telling
