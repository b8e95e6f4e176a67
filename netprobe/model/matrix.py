"""Who reaches whom: members, what each asks another one for, and what came of all pairs."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from enum import IntEnum
from typing import Literal

from msgspec import Struct, field

from .place import Blind
from .protocol import Protocol
from .report import Cause, Report, Verdict

Pair = tuple[int, int]
"""A source and a destination: places in the list of members."""


class MemberAddress(Struct, frozen=True, gc=False):
    """An address of a member: the interface that has it, with its index and MAC.

    `network` is the prefix around it, "10.0.0.0/24".
    """

    address: str
    network: str
    interface: str
    index: int
    mac: str | None = None


class Member(Struct, frozen=True, gc=False):
    """One row and one column of the matrix: an endpoint as it was written, its namespace, and the addresses
    by which it can be asked for; none where it has none of that IP version.
    """

    endpoint: str
    namespace: str
    addresses: tuple[MemberAddress, ...] = ()
    group: str = ""


class Aim(Struct, frozen=True, gc=False):
    """What a member is asked for: the address, and the network that it shares with who asks; None where it
    is reached through routers.
    """

    address: MemberAddress
    network: str | None


class Plan(Struct, frozen=True, gc=False):
    """What is to be asked: `aims[i][j]` by member i for member j, None where there is nothing to ask."""

    protocol: Protocol
    members: tuple[Member, ...]
    aims: tuple[tuple[Aim | None, ...], ...]
    version: Literal[4, 6] = 4
    port: int | None = None
    timeout_ns: int = 1_000_000_000
    size: int = 56

    def count(self) -> int:
        """How many pairs are asked."""
        asked = sum(len(row) - row.count(None) for row in self.aims)
        return asked - sum(row[n] is not None for n, row in enumerate(self.aims))

    def pairs(self) -> Iterator[Pair]:
        """All pairs that are asked."""
        for i, row in enumerate(self.aims):
            for j, aim in enumerate(row):
                if aim is not None and j != i:
                    yield i, j


class PairState(IntEnum):
    """What came of one pair: one byte of a sweep."""

    UNASKED = 0
    SENT = 1  # and nothing came back
    ANSWERED = 2
    REFUSED = 3  # a reset, or an ICMP error that says so
    UNSENT = 4  # the kernel refused to send
    FULL = 5  # the neighbour table had no room
    LOST = 6  # the host of an end is lost: nobody knows


class Sweep(Struct, frozen=True, gc=False):
    """What the sensors report: for pair (i, j) of n members at i * n + j the state, and the round trip in ns.

    `errors` are the errnos of what could not be sent. `retried` pairs were asked once more. `kept` is the
    errno with which the kernel refused to remove neighbour entries of the run, or 0. `limit` is how many
    entries its table takes. `notes` are for people; `sampled`: of the plan some pairs alone were asked.
    `lost`: why nothing is known of a member, by its number; `blind` are the hosts of those.
    """

    states: bytearray
    rtt_ns: array[int]
    errors: dict[int, int]
    retried: int = 0
    interrupted: bool = False
    kept: int = 0
    limit: int = 0
    notes: tuple[str, ...] = ()
    sampled: bool = False
    lost: dict[int, str] = field(default_factory=dict)
    blind: tuple[Blind, ...] = ()


class PairGroup(Struct, frozen=True, gc=False):
    """Pairs that fail for one reason. `cause` None: none is known. `searched` is the pair that the cause was
    looked for with, `report` its answer; so many as `walked` were laid over the model and found to be mended
    with it. `intended`: somebody's tool keeps these apart on purpose.
    """

    verdict: Verdict
    summary: str
    pairs: tuple[Pair, ...]
    searched: Pair
    cause: Cause | None = None
    walked: int = 0
    intended: bool = False
    code: str = ""
    report: Report | None = None


class Matrix(Struct, frozen=True, gc=False):
    """Who reaches whom. `overall` is the worst that is known of a pair, `rtt_ns` 0 where none answered.

    `groups` hold all pairs that are not reachable; `complete` False: it was interrupted
    before all were asked. `sampled`: of very many pairs over several hosts some were asked: of each two hosts
    one, and each member three times at both ends.
    """

    protocol: Protocol
    version: Literal[4, 6]
    port: int | None
    members: tuple[Member, ...]
    overall: Verdict
    verdicts: tuple[bytes, ...]
    rtt_ns: array[int]
    groups: tuple[PairGroup, ...] = ()
    complete: bool = True
    retried: int = 0
    took_ns: int = 0
    blind: tuple[Blind, ...] = ()
    notes: tuple[str, ...] = field(default_factory=tuple)
    sampled: bool = False

    def verdict(self, i: int, j: int) -> Verdict | None:
        """What is known of a pair; None where it was not asked."""
        return VERDICTS[self.verdicts[i][j]]

    def rtt(self, i: int, j: int) -> int | None:
        """The round trip in ns of a pair that answered."""
        return self.rtt_ns[i * len(self.members) + j] or None

    def asked(self) -> Iterator[tuple[Pair, Verdict]]:
        """All pairs with a verdict."""
        for i, row in enumerate(self.verdicts):
            for j, code in enumerate(row):
                if (found := VERDICTS[code]) is not None:
                    yield (i, j), found

    def count(self, verdict: Verdict | None) -> int:
        """How many pairs have this verdict."""
        return sum(row.count(VERDICTS.index(verdict)) for row in self.verdicts)


VERDICTS: tuple[Verdict | None, ...] = (
    None, Verdict.REACHABLE, Verdict.UNREACHABLE, Verdict.UNDETERMINED, Verdict.INTERMITTENT,
)  # fmt: skip
"""The verdict that a byte of `Matrix.verdicts` stands for."""
