"""Places and things: where a hop or a cause lies, and the one object of the configuration behind it."""

from __future__ import annotations

from enum import StrEnum

from msgspec import UNSET, Struct, UnsetType


class Stage(StrEnum):
    """Where in the kernel's packet path a hop lies."""

    SOCKET = "socket"
    OUTPUT = "output"
    ROUTE = "route"
    NEIGHBOUR = "neighbour"
    QDISC = "qdisc"
    EGRESS = "egress"
    TRANSMIT = "transmit"
    RECEIVE = "receive"
    INGRESS = "ingress"
    BRIDGE_PREROUTING = "bridge-prerouting"
    BRIDGE_INPUT = "bridge-input"
    BRIDGE_FORWARD = "bridge-forward"
    BRIDGE_OUTPUT = "bridge-output"
    BRIDGE_POSTROUTING = "bridge-postrouting"
    BRIDGE = "bridge"
    PREROUTING = "prerouting"
    INPUT = "input"
    FORWARD = "forward"
    POSTROUTING = "postrouting"
    ARP = "arp"
    ARP_INPUT = "arp-input"
    ARP_OUTPUT = "arp-output"
    ENCAPSULATE = "encapsulate"
    DECAPSULATE = "decapsulate"
    DELIVER = "deliver"
    EXIT = "exit"


def stage_of(hook: str | None) -> Stage:
    """The stage at which the rules of a hook stand; those that hang at none are taken for FORWARD's."""
    return Stage(hook) if hook in tuple(Stage) else Stage.FORWARD


NOT_IN_TIME = "not read in time"  # why something is blind that a question had no time left for


class Blind(Struct, frozen=True, gc=False):
    """Something that could not be read, and why. Never the same value as 'nothing there'."""

    what: str
    why: str


_OF_RULES = ("rule", "nat-rule")


class Object(Struct, frozen=True, gc=False):
    """One thing of the configuration that a person can change.

    `id` is what they would type, `text` what its tool prints.

    `words` of a rule or policy are the words of its `id`: the name of a chain may have blanks in it.
    """

    kind: str
    id: str
    text: str = ""
    owner: str | None = None
    words: tuple[str, ...] | UnsetType = UNSET

    @property
    def line(self) -> tuple[str, ...]:
        """The words; none where they are not known."""
        return self.words or ()

    @property
    def key(self) -> str:
        """What tells it from others: its id, with its text where it is a rule that lacks in the chain of the
        id.
        """
        return f"{self.id} {self.text}" if self.kind in _OF_RULES and not self.line else self.id


def id_of(thing: Object | None) -> str:
    """The id of an object; "" where there is none."""
    return thing.id if thing is not None else ""


class Place(Struct, frozen=True, gc=False):
    """Where: a namespace, perhaps an interface, and a stage."""

    namespace: str | None
    interface: str | None
    stage: Stage
