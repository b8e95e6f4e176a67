"""Which address of a range the kernel translates to. Pure.

It draws no lot: a hash of the packet's addresses decides, the same for each connection between the same two.

Kernel: net/netfilter/nf_nat_core.c (find_best_ips_proto, get_unique_tuple); include/linux/jhash.h (jhash2).
"""

from __future__ import annotations

from ipaddress import IPv4Address, ip_address

_MASK = 0xFFFFFFFF
_START = 0xDEADBEEF
_WORDS = 4  # of union nf_inet_addr
_MIX = ((0, 2, 4), (1, 0, 6), (2, 1, 8), (0, 2, 16), (1, 0, 19), (2, 1, 4))
_FINAL = ((2, 1, 14), (0, 2, 11), (1, 0, 25), (2, 1, 16), (0, 2, 4), (1, 0, 14), (2, 1, 24))


def one_of(first: str, last: str, src: str, dst: str, zone: int, persistent: bool) -> str:
    """The address between `first` and `last` that a new connection from `src` to `dst` gets.

    `persistent`: whatever the destination is (NF_NAT_RANGE_PERSISTENT).
    """
    low, high, whither = (_words(each) for each in (first, last, dst))
    # the hash reads network order as a little-endian machine has it
    words = [_swapped(each) for each in _words(src)]
    top = len(low) - 1
    seed = 0 if persistent else _swapped(whither[top]) ^ zone
    drawn = _hash([*words, *[0] * (_WORDS - len(words))], seed)
    chosen: list[int] = []
    for at, (least, most) in enumerate(zip(low, high, strict=True)):
        whole = chosen != list(high[:at])
        start, many = (0, _MASK) if whole else (least, most - least + 1)
        chosen.append((start + (drawn * many >> 32)) & _MASK)
        drawn ^= 0 if persistent else _swapped(whither[at])
    return str(ip_address(b"".join(each.to_bytes(4, "big") for each in chosen)))


def _words(address: str) -> tuple[int, ...]:
    """An address as numbers of 32 bits, the first one first."""
    packed = ip_address(address).packed
    return tuple(int.from_bytes(packed[at : at + 4], "big") for at in range(0, len(packed), 4))


def holds(first: str, last: str, address: str) -> bool:
    """Whether an address is between two others, of the same IP version."""
    low, high, own = (ip_address(each) for each in (first, last, address))
    same = isinstance(low, IPv4Address) == isinstance(own, IPv4Address)
    return same and int(low) <= int(own) <= int(high)


def _swapped(word: int) -> int:
    return int.from_bytes(word.to_bytes(4, "big"), "little")


def _hash(words: list[int], seed: int) -> int:
    state = [(_START + (len(words) << 2) + seed) & _MASK] * 3
    while len(words) > len(state):
        state = [(one + word) & _MASK for one, word in zip(state, words, strict=False)]
        words = words[len(state) :]
        for into, of, by in _MIX:  # each step also adds the third to the one that was taken
            state[into] = (state[into] - state[of] & _MASK) ^ _rolled(state[of], by)
            state[of] = (state[of] + state[3 - into - of]) & _MASK
    state = [(one + word) & _MASK for one, word in zip(state, [*words, 0, 0], strict=False)]
    for into, of, by in _FINAL:
        state[into] = ((state[into] ^ state[of]) - _rolled(state[of], by)) & _MASK
    return state[2]


def _rolled(word: int, by: int) -> int:
    return (word << by | word >> 32 - by) & _MASK
