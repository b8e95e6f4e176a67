"""Traffic control of rtnetlink(7): queueing disciplines and filters.

pyroute2 has the options of most; what it lacks is the place of a classifier's actions, a filter's chain, and
programs by id. Numbers: include/uapi/linux/{rtnetlink,pkt_cls}.h.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from pyroute2.netlink import nla, nlmsg

from .structs import StructArray

# the modules of pyroute2 that know the options of these: 30 ms, which a network without them need not wait
# for
QDISC_OPTIONS = {"tbf": "sched_tbf", "netem": "sched_netem", "pfifo": "sched_pfifo", "bfifo": "sched_pfifo"}
ACTION_OPTIONS = {"gact": "act_gact", "mirred": "act_mirred"}
# struct tcmsg
TCMSG = (
    ("family", "B"),
    ("pad1", "B"),
    ("pad2", "H"),
    ("index", "i"),
    ("handle", "I"),
    ("parent", "I"),
    ("info", "I"),
)

# where each classifier keeps its actions (TCA_*_ACT)
ACTIONS_AT = {
    "u32": 7,
    "flower": 3,
    "matchall": 2,
    "bpf": 1,
    "basic": 3,
    "fw": 4,
    "route": 6,
    "cgroup": 1,
    "flow": 9,
}


def _plugin_options(module: str | None) -> Any:
    """pyroute2's class of the options of a qdisc or an action; None where there is none."""
    return import_module(f"pyroute2.netlink.rtnl.tcmsg.{module}").options if module else None


class QdiscMessage(nlmsg):
    """struct tcmsg of a queueing discipline."""

    fields = TCMSG
    nla_map = ((1, "TCA_KIND", "asciiz"), (2, "TCA_OPTIONS", "options"), (7, "TCA_STATS2", "stats2"))

    @staticmethod
    def options(message: Any, **_: Any) -> Any:
        return _plugin_options(QDISC_OPTIONS.get(message.get_attr("TCA_KIND"))) or message.cdata

    class stats2(nla):
        nla_map = ((3, "TCA_STATS_QUEUE", "queue"),)

        class queue(nla):
            """struct gnet_stats_queue."""

            fields = (("qlen", "I"), ("backlog", "I"), ("drops", "I"), ("requeues", "I"), ("overlimits", "I"))


class Action(nla):
    """What a filter does with a match."""

    nla_map = ((1, "TCA_ACT_KIND", "asciiz"), (2, "TCA_ACT_OPTIONS", "options"))

    @staticmethod
    def options(action: Any, **_: Any) -> Any:
        return _plugin_options(ACTION_OPTIONS.get(action.get_attr("TCA_ACT_KIND"))) or action.cdata


class Actions(nla):
    """A list of actions, numbered by their order."""

    nla_map = tuple((number, f"TCA_ACT_{number}", "action") for number in range(1, 33))  # TCA_ACT_MAX_PRIO
    action = Action


class SelectorKey(nlmsg):
    """struct tc_u32_key."""

    header = None
    fields = (("mask", ">I"), ("value", ">I"), ("offset", "i"), ("offset_mask", "i"))


class Selector(StructArray):
    """struct tc_u32_sel, whose keys stand behind a head as long as one of them: the first element is no
    key.
    """

    element = SelectorKey


class FilterOptions(nla):
    """The attributes of a filter, for any classifier: what they are called differs by it."""

    nla_map: Any = ((0, "TCA_UNSPEC", "none"),)
    actions = Actions
    selector = Selector


_PROGRAM = [
    (7, "TCA_BPF_NAME", "asciiz"),
    (8, "TCA_BPF_FLAGS", "uint32"),
    (9, "TCA_BPF_FLAGS_GEN", "uint32"),
    (11, "TCA_BPF_ID", "uint32"),
]


def _options_of(kind: str) -> type:
    named = [(ACTIONS_AT[kind], "TCA_ACTIONS", "actions")]
    named += [(5, "TCA_U32_SEL", "selector")] if kind == "u32" else []
    named += _PROGRAM if kind == "bpf" else []
    return type(kind, (nla,), {"nla_map": tuple(named), "actions": Actions, "selector": Selector})


FILTER_OPTIONS = {kind: _options_of(kind) for kind in ACTIONS_AT}


class FilterMessage(nlmsg):
    """struct tcmsg of a filter."""

    fields = TCMSG
    nla_map = ((1, "TCA_KIND", "asciiz"), (2, "TCA_OPTIONS", "options"), (11, "TCA_CHAIN", "uint32"))

    @staticmethod
    def options(message: Any, **_: Any) -> Any:
        return FILTER_OPTIONS.get(message.get_attr("TCA_KIND"), FilterOptions)
