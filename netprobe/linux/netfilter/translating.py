"""The rulesets of a namespace in which addresses are translated; of any other, nothing is printed."""

from __future__ import annotations

import re

from netprobe.errors import NetprobeError, is_short
from netprobe.linux import files
from netprobe.model import Blind, Ruleset

from .kernel import Nfnetlink, outline
from .proc import LEGACY_NAMES, NET, legacy_families
from .read import RulesetReading


def read_translating(fd: int, name: str) -> Ruleset:
    """The rules of the open namespace `fd`, in which the thread is, if any of its chains translates; no rules
    where none does, and a blind spot where it cannot be told.
    """
    try:
        if not _translates():
            return Ruleset()
        with RulesetReading(fd, name) as reading:
            return reading.ruleset()
    except (NetprobeError, OSError) as error:
        if is_short(error):
            raise
        return Ruleset((Blind(f"address translation of {name}", _why(error)),))


def _why(error: Exception) -> str:
    if isinstance(error, PermissionError):
        return "CAP_NET_ADMIN is missing"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _translates() -> bool:
    """Whether there is a chain of type nat. Raises OSError (EPERM without CAP_NET_ADMIN)."""
    with Nfnetlink() as netlink:
        found = outline(netlink)
    if any(chain.type == "nat" for chain in found.chains):
        return True
    return any(_has_nat(f"{NET}/{LEGACY_NAMES[family]}") for family in legacy_families())


def _has_nat(path: str) -> bool:
    """Whether the old engine has its table `nat` here."""
    return re.search(rb"^nat$", files.kernel(path), re.MULTILINE) is not None
