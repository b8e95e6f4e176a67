"""IPsec policies, by NETLINK_XFRM: which packets must be protected, which may not pass, and whether a key is there.

Numbers are those of include/uapi/linux/xfrm.h; words are ip-xfrm(8)'s.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator, Sequence, Set
from typing import Any

from netprobe.model import XfrmPolicy

from .netlink import XFRM, Netlink, address, attributes

XFRM_MSG_GETSA, XFRM_MSG_GETPOLICY = 18, 21
XFRMA_TMPL = 5
DIRECTIONS = {0: "in", 1: "out", 2: "fwd"}
ACTIONS = {0: "allow", 1: "block"}
MODES = {0: "transport", 1: "tunnel", 2: "ro", 3: "in_trigger", 4: "beet"}
PROTOCOLS = {50: "esp", 51: "ah", 108: "comp"}

_SELECTOR = struct.Struct("=16s16s HHHH HBBB 3x iI")  # daddr saddr dport mask sport mask family prefixlen_d prefixlen_s proto ifindex user
_LIFETIMES = 64 + 32  # struct xfrm_lifetime_cfg, struct xfrm_lifetime_cur
_POLICY = struct.Struct("=IIBBBB")  # priority index dir action flags share
_TEMPLATE = struct.Struct("=16sIBxxx H2x 16s I BBBx III")  # daddr spi proto, family, saddr, reqid, mode share optional, algorithms
_STATE_ID = struct.Struct("=16sIB")
_STATE_TAIL = struct.Struct("=IHB")  # reqid family mode
STATE_TAIL_AT = 208  # behind selector, id, source, lifetimes, statistics and sequence number

Key = tuple[bytes, int, int, int]  # of a state: destination, protocol, reqid, mode


def read_policies() -> tuple[XfrmPolicy, ...]:
    """The policies of the namespace this thread is in, each with its templates. Needs CAP_NET_ADMIN; raises OSError.

    Policies of a single socket (IKE daemons set them for themselves) are left out.
    """
    try:
        with Netlink(XFRM) as netlink:
            dumped = [payload for _, payload in netlink.dump(XFRM_MSG_GETPOLICY, b"")]
            states = [payload for _, payload in netlink.dump(XFRM_MSG_GETSA, b"")] if dumped else []
    except OSError as error:
        if error.errno == errno.EPROTONOSUPPORT:  # a kernel without IPsec
            return ()
        raise
    keys = frozenset(_key_of_state(payload) for payload in states)
    return tuple(policy for payload in dumped if (policy := policy_of(payload, keys)) is not None)


def policy_of(payload: bytes, keys: Set[Key] = frozenset()) -> XfrmPolicy | None:
    """One policy from the payload of an XFRM_MSG_NEWPOLICY message, given the keys that exist; None for a socket's own."""
    daddr, saddr, dport, dmask, sport, smask, family, dlen, slen, protocol, _, _ = _SELECTOR.unpack_from(payload)
    priority, _, direction, action, _, _ = _POLICY.unpack_from(payload, _SELECTOR.size + _LIFETIMES)
    if direction not in DIRECTIONS:
        return None
    src, dst = f"{_address(saddr, family)}/{slen}", f"{_address(daddr, family)}/{dlen}"
    fields = attributes(payload, (_SELECTOR.size + _LIFETIMES + _POLICY.size + 7) & ~7)
    templates = [_TEMPLATE.unpack(chunk) for chunk in _chunks(fields.get(XFRMA_TMPL, b""))]
    words = [f"src {src} dst {dst}"]
    words += [f"proto {protocol}"] if protocol else []
    words += [f"sport {socket.ntohs(sport)}"] if smask else []
    words += [f"dport {socket.ntohs(dport)}"] if dmask else []
    words += [f"dir {DIRECTIONS[direction]} priority {priority}"]
    words += [f"action {ACTIONS.get(action, str(action))}"] if action else []
    texts = tuple(_template_text(template) for template in templates)
    shown = " ".join([*words, *(f"tmpl {text}" for text in texts)])
    keyed = all(_is_keyed(template, keys) for template in templates) if templates else None
    return XfrmPolicy(DIRECTIONS[direction], src, dst, ACTIONS.get(action, str(action)), texts, shown, priority, keyed)


def _chunks(data: bytes) -> Iterator[bytes]:
    return (data[at : at + _TEMPLATE.size] for at in range(0, len(data) - _TEMPLATE.size + 1, _TEMPLATE.size))


def _template_text(template: Sequence[Any]) -> str:
    daddr, _, protocol, family, saddr, reqid, mode, _, optional, *_ = template
    words = f"src {_address(saddr, family)} dst {_address(daddr, family)} proto {PROTOCOLS.get(protocol, protocol)}"
    return f"{words} reqid {reqid} mode {MODES.get(mode, mode)}" + (" level use" if optional else "")


def _is_keyed(template: Sequence[Any], keys: Set[Key]) -> bool:
    """Whether a state fits the template (net/xfrm/xfrm_policy.c, xfrm_state_ok); zeros in a template fit anything."""
    daddr, _, protocol, _, _, reqid, mode, _, optional, *_ = template
    fitting = (key for key in keys if key[1] == protocol and key[3] == mode and (not reqid or key[2] == reqid))
    return bool(optional) or any(not any(daddr) or key[0] == daddr for key in fitting)


def _key_of_state(payload: bytes) -> Key:
    """What a template is compared with, from the payload of an XFRM_MSG_NEWSA message (struct xfrm_usersa_info)."""
    daddr, _, protocol = _STATE_ID.unpack_from(payload, _SELECTOR.size)
    reqid, _, mode = _STATE_TAIL.unpack_from(payload, STATE_TAIL_AT)
    return daddr, protocol, reqid, mode


def _address(value: bytes, family: int) -> str:
    return address(value if family == socket.AF_INET6 else value[:4])
