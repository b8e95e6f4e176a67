"""One kernel setting gets another value."""

from __future__ import annotations

from contextlib import suppress
from random import Random

from mutations.mutation import Call, Mutation, known
from mutations.settings_of_kernel import ALIASES, VALUES, names, pattern_of
from mutations.sight import Sight

from netprobe.lab.changes import typed
from netprobe.lab.namespaces import entered, read_sysctl, write_sysctl

_COPIED = {
    "net.ipv4.ip_forward": "net.ipv4.conf.*.forwarding",
    "net.ipv4.conf.all.forwarding": "net.ipv4.conf.*.forwarding",
    "net.ipv6.conf.all.forwarding": "net.ipv6.conf.*.forwarding",
    "net.ipv6.conf.all.disable_ipv6": "net.ipv6.conf.*.disable_ipv6",
}
"""What is written for all is copied to each interface (ip-sysctl.rst): the setting of one is the changed object as well."""


def sysctl(sight: Sight, rng: Random) -> Mutation | None:
    """Any of them, of any namespace and interface; first the setting is chosen, so that those of each interface do not outnumber others."""
    name = rng.choice(sight.spaces)
    with entered(name):
        there = names()
    pattern = rng.choice(sorted({pattern_of(each) for each in there}))
    setting = rng.choice([each for each in there if pattern_of(each) == pattern and "default" not in each])
    with suppress(OSError):
        old = read_sysctl(name, setting)
        value = rng.choice([each for each in VALUES[pattern] if each != old])
        spelt = {setting, ALIASES.get(setting, setting)}
        spelt |= {each for each in there if pattern_of(each) == _COPIED.get(setting)}
        return Mutation(
            f"sysctl {pattern.rpartition('.')[2]}",
            (_written(name, setting, value),),
            (_written(name, setting, old),),
            tuple(known(name, "sysctl", _typed(each)) for each in sorted(spelt)),
        )
    return None


def _typed(setting: str) -> str:
    """As sysctl(8) takes it: with dots, and slashes for the dots of an interface's name."""
    return setting.translate(str.maketrans("./", "/.")) if "/" in setting else setting


def _written(name: str, setting: str, value: str) -> Call:
    return Call(typed(name, f"sysctl -w {setting}={value}"), write_sysctl, (name, setting, value))


KINDS = (sysctl,)
