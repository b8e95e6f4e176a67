"""The kernel's functions that a BPF program may call without touching the packet or its way: what they return
and what they write to (bpf-helpers(7)). Pure.

Names are those of the kernel's symbols. The verifier calls the functions of a kind of map directly
(map_gen_lookup, and BPF_MAP_CALL in kernel/bpf/verifier.c), so that these stand here as well.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from .value import MAP_OR_NULL, NUMBER, RegisterValue


class Helper(Struct, frozen=True, gc=False):
    """`writes`: the register with the address that it writes to, 0 for none."""

    returns: RegisterValue
    writes: int = 0


_TABLES = ("array", "percpu_array", "htab", "htab_percpu", "htab_lru", "htab_lru_percpu")
_LOOKUPS = (
    "bpf_map_lookup_elem",
    "bpf_map_lookup_percpu_elem",
    "__htab_map_lookup_elem",
    "trie_lookup_elem",
    *(f"{table}_map_lookup_elem" for table in _TABLES),
    "bpf_ringbuf_reserve",
)
_QUIET = (
    "bpf_map_update_elem",
    "bpf_map_delete_elem",
    "trie_update_elem",
    "trie_delete_elem",
    *(f"{table}_map_{what}_elem" for table in _TABLES for what in ("update", "delete")),
    "bpf_ktime_get_ns",
    "bpf_ktime_get_boot_ns",
    "bpf_ktime_get_coarse_ns",
    "bpf_ktime_get_tai_ns",
    "bpf_jiffies64",
    "bpf_trace_printk",
    "bpf_trace_vprintk",
    "bpf_get_smp_processor_id",
    "bpf_get_raw_cpu_id",
    "bpf_get_numa_node_id",
    "bpf_user_rnd_u32",
    "bpf_csum_diff",
    "bpf_spin_lock",
    "bpf_spin_unlock",
    "bpf_ringbuf_output",
    "bpf_ringbuf_submit",
    "bpf_ringbuf_discard",
    "bpf_ringbuf_query",
    "bpf_xdp_event_output",
    "bpf_skb_event_output",
    "bpf_xdp_get_buff_len",
    *(f"bpf_skb_load_helper_{bits}{kind}" for bits in (8, 16, 32) for kind in ("", "_no_cache")),
)
_WRITERS = {
    "bpf_skb_load_bytes": 3,
    "bpf_skb_load_bytes_relative": 3,
    "bpf_xdp_load_bytes": 3,
    "bpf_probe_read_kernel": 1,
    "bpf_probe_read_user": 1,
    "bpf_probe_read_compat": 1,
    "bpf_probe_read_kernel_str": 1,
}

HELPERS: Mapping[str, Helper] = {
    **{name: Helper(MAP_OR_NULL) for name in _LOOKUPS},
    **{name: Helper(NUMBER) for name in _QUIET},
    **{name: Helper(NUMBER, writes) for name, writes in _WRITERS.items()},
}
