"""Which address of a range the kernel translates to. Pure.

It draws no lot: a hash of the packet's addresses decides, the same for each connection between the same two.

Kernel: net/netfilter/nf_nat_core.c (find_best_ips_proto, get_unique_tuple); include/linux/jhash.h (jhash2).
"""

from __future__ import annotations

import struct
from ipaddress import ip_address

_MASK = 0xFFFFFFFF
_START = 0xDEADBEEF
_WORDS = 4  # of union nf_inet_addr
_MIX = ((0, 2, 4), (1, 0, 6), (2, 1, 8), (0, 2, 16), (1, 0, 19), (2, 1, 4))
_FINAL = ((2, 1, 14), (0, 2, 11), (1, 0, 25), (2, 1, 16), (0, 2, 4), (1, 0, 14), (2, 1, 24))


def one_of(first: str, last: str, src: str, dst: str, zone: int, persistent: bool) -> str:
    """The address between `first` and `last` that a new connection from `src` to `dst` gets.

    `persistent`: whatever the destination is (NF_NAT_RANGE_PERSISTENT).
    """
    low, high, there, here = map(_words, (first, last, dst, src))
    # the hash reads network order as a little-endian machine has it
    counts = int(not persistent)
    whither = [*map(counts.__mul__, map(_swapped, there))]
    drawn = _hash([*map(_swapped, here), *_NOTHING][:_WORDS], whither[-1] ^ zone * counts)
    chosen: list[int] = []
    for at, (least, most) in enumerate(zip(low, high, strict=True)):
        start, many = {True: (least, most - least + 1), False: (0, _MASK)}[chosen == [*high[:at]]]
        chosen.append((start + (drawn * many >> 32)) & _MASK)
        drawn ^= whither[at]
    return str(ip_address(struct.pack(f">{len(chosen)}I", *chosen)))


_NOTHING = (0,) * _WORDS


def _words(address: str) -> tuple[int, ...]:
    """An address as numbers of 32 bits, the first one first."""
    packed = ip_address(address).packed
    return struct.unpack(f">{len(packed) // 4}I", packed)


def holds(first: str, last: str, address: str) -> bool:
    """Whether an address is between two others of the same IP version."""
    low, high, own = map(_words, (first, last, address))
    return low <= own <= high


def _swapped(word: int) -> int:
    return int.from_bytes(word.to_bytes(4, "big"), "little")


def _hash(words: list[int], seed: int) -> int:
    """Of four words."""
    start = _START + (_WORDS << 2) + seed
    state = [*map(_masked, map(start.__add__, words[:-1]))]
    for into, of, by in _MIX:  # each step also adds the third to the one that was taken
        state[into] = _masked(state[into] - state[of]) ^ _rolled(state[of], by)
        state[of] = _masked(state[of] + state[3 - into - of])
    state[0] = _masked(state[0] + words[-1])
    for into, of, by in _FINAL:
        state[into] = _masked((state[into] ^ state[of]) - _rolled(state[of], by))
    return state[2]


def _masked(number: int) -> int:
    return number & _MASK


def _rolled(word: int, by: int) -> int:
    return _masked(word << by | word >> 32 - by)
