"""IPsec policies and states, which pyroute2 does not have. Shapes: include/uapi/linux/xfrm.h."""

from __future__ import annotations

from pyroute2.netlink import nlmsg

from .structs import StructArray

# struct xfrm_selector
_SELECTOR = (
    ("sel_daddr", "16s"), ("sel_saddr", "16s"),
    ("sel_dport", ">H"), ("sel_dport_mask", ">H"), ("sel_sport", ">H"), ("sel_sport_mask", ">H"),
    ("sel_family", "H"), ("sel_prefixlen_d", "B"), ("sel_prefixlen_s", "B"), ("sel_proto", "B"),
    ("__pad_sel", "3x"),
    ("sel_ifindex", "i"), ("sel_user", "I"),
)  # fmt: skip
_LIFETIMES = (("lft", "64s"), ("curlft", "32s"))


class Template(nlmsg):
    """struct xfrm_user_tmpl."""

    header = None
    fields = (
        ("daddr", "16s"), ("spi", ">I"), ("proto", "B"), ("__pad_id", "3x"), ("family", "H"),
        ("__pad_family", "2x"),
        ("saddr", "16s"), ("reqid", "I"), ("mode", "B"), ("share", "B"), ("optional", "B"),
        ("__pad_optional", "1x"),
        ("aalgos", "I"), ("ealgos", "I"), ("calgos", "I"),
    )  # fmt: skip


class PolicyMessage(nlmsg):
    """struct xfrm_userpolicy_info."""

    fields = (
        *_SELECTOR, *_LIFETIMES,
        ("priority", "I"), ("index", "I"), ("dir", "B"), ("action", "B"), ("flags", "B"), ("share", "B"),
        ("__pad_end", "4x"),
    )  # fmt: skip
    nla_map = ((5, "XFRMA_TMPL", "templates"),)

    class templates(StructArray):
        element = Template


class StateMessage(nlmsg):
    """struct xfrm_usersa_info, up to what a template is compared with."""

    fields = (
        *_SELECTOR,
        ("daddr", "16s"), ("spi", ">I"), ("proto", "B"), ("__pad_id", "3x"), ("saddr", "16s"),
        *_LIFETIMES,
        ("stats", "12s"), ("seq", "I"), ("reqid", "I"), ("family", "H"), ("mode", "B"),
    )  # fmt: skip


class DefaultMessage(nlmsg):
    """struct xfrm_userpolicy_default."""

    fields = (("in", "B"), ("fwd", "B"), ("out", "B"))


# XFRM_MSG_GETSA, XFRM_MSG_GETPOLICY: a dump's request has no body; XFRM_MSG_GETDEFAULT asks with one
REQUESTS = {18: nlmsg, 21: nlmsg, 40: DefaultMessage}
ANSWERS = {16: StateMessage, 19: PolicyMessage, 40: DefaultMessage}
