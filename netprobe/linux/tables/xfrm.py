"""IPsec policies, by NETLINK_XFRM: which packets must be protected, which may not pass, and whether a key is
there.

Numbers are those of include/uapi/linux/xfrm.h; words are ip-xfrm(8)'s.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Set

from netprobe.linux.netlink import XFRM, Netlink, Record, Request, address
from netprobe.model import XfrmPolicy

XFRM_MSG_GETSA, XFRM_MSG_GETPOLICY, XFRM_MSG_GETDEFAULT = 18, 21, 40
DIRECTIONS = {0: "in", 1: "out", 2: "fwd"}
ACTIONS = {0: "allow", 1: "block"}
_BLOCKED = 1  # XFRM_USERPOLICY_BLOCK
MODES = {0: "transport", 1: "tunnel", 2: "ro", 3: "in_trigger", 4: "beet"}
PROTOCOLS = {50: "esp", 51: "ah", 108: "comp"}

Key = tuple[bytes, int, int, int]  # of a state: destination, protocol, reqid, mode


def read_policies() -> tuple[XfrmPolicy, ...]:
    """The policies of the namespace this thread is in, each with its templates.

    Needs CAP_NET_ADMIN; raises OSError.

    Policies of a single socket (IKE daemons set them for themselves) are left out.
    """
    try:
        with Netlink(XFRM) as netlink:
            dumped = netlink.dump(Request(XFRM_MSG_GETPOLICY))
            states = netlink.dump(Request(XFRM_MSG_GETSA)) if dumped else []
            defaults = _defaults(netlink)
    except OSError as error:
        if error.errno == errno.EPROTONOSUPPORT:  # a kernel without IPsec
            return ()
        raise
    keys = frozenset(_key_of_state(state) for state in states)
    found = (policy_of(record, keys) for record in dumped)
    return (*filter(None, found), *defaults)


def _defaults(netlink: Netlink) -> tuple[XfrmPolicy, ...]:
    """What holds for packets that no policy selects; nothing where all of them pass."""
    try:
        return defaults_of(netlink.ask(Request(XFRM_MSG_GETDEFAULT)))
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.EOPNOTSUPP):  # before Linux 5.14
            return ()
        raise


def defaults_of(record: Record) -> tuple[XfrmPolicy, ...]:
    """The directions that block by default, from an XFRM_MSG_GETDEFAULT message: of each IP version one."""
    blocked = [direction for direction in DIRECTIONS.values() if record[direction] == _BLOCKED]
    return tuple(
        XfrmPolicy(direction, every, every, "block", text=f"default {direction} block", default=True)
        for direction in blocked
        for every in ("0.0.0.0/0", "::/0")
    )


def policy_of(record: Record, keys: Set[Key] = frozenset()) -> XfrmPolicy | None:
    """One policy from an XFRM_MSG_NEWPOLICY message, given the keys that exist; None for a socket's own."""
    direction, action, priority, protocol = (
        record["dir"],
        record["action"],
        record["priority"],
        record["sel_proto"],
    )
    if direction not in DIRECTIONS:
        return None
    family = record["sel_family"]
    src = f"{_address(record['sel_saddr'], family)}/{record['sel_prefixlen_s']}"
    dst = f"{_address(record['sel_daddr'], family)}/{record['sel_prefixlen_d']}"
    templates = record.array("XFRMA_TMPL")
    words = [f"src {src} dst {dst}"]
    words += [f"proto {protocol}"] if protocol else []
    words += [f"sport {record['sel_sport']}"] if record["sel_sport_mask"] else []
    words += [f"dport {record['sel_dport']}"] if record["sel_dport_mask"] else []
    words += [f"dir {DIRECTIONS[direction]} priority {priority}"]
    words += [f"action {ACTIONS.get(action, str(action))}"] if action else []
    texts = tuple(_template_text(template) for template in templates)
    shown = " ".join([*words, *(f"tmpl {text}" for text in texts)])
    keyed = all(_is_keyed(template, keys) for template in templates) if templates else None
    return XfrmPolicy(
        DIRECTIONS[direction], src, dst, ACTIONS.get(action, str(action)), texts, shown, priority, keyed,
        protocol or None, _port(record, "sport"), _port(record, "dport"),
    )  # fmt: skip


def _port(record: Record, side: str) -> tuple[int, int] | None:
    mask = record[f"sel_{side}_mask"]
    return (record[f"sel_{side}"], mask) if mask else None


def _template_text(template: Record) -> str:
    protocol, mode, family = template["proto"], template["mode"], template["family"]
    ends = f"src {_address(template['saddr'], family)} dst {_address(template['daddr'], family)}"
    words = (
        f"{ends} proto {PROTOCOLS.get(protocol, protocol)} reqid {template['reqid']} mode"
        f" {MODES.get(mode, mode)}"
    )
    return words + (" level use" if template["optional"] else "")


def _is_keyed(template: Record, keys: Set[Key]) -> bool:
    """Whether a state fits the template (net/xfrm/xfrm_policy.c, xfrm_state_ok); zeros in a template fit
    anything.
    """
    daddr, protocol, reqid, mode = template["daddr"], template["proto"], template["reqid"], template["mode"]
    fitting = (
        key for key in keys if key[1] == protocol and key[3] == mode and (not reqid or key[2] == reqid)
    )
    return bool(template["optional"]) or any(not any(daddr) or key[0] == daddr for key in fitting)


def _key_of_state(state: Record) -> Key:
    """What a template is compared with, from an XFRM_MSG_NEWSA message."""
    return state["daddr"], state["proto"], state["reqid"], state["mode"]


def _address(value: bytes, family: int) -> str:
    return address(value if family == socket.AF_INET6 else value[:4])
