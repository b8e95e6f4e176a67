"""Rules and policies as things a person can point at: their ids as typed, their text, and who made them."""

from __future__ import annotations

from itertools import chain as joined

from netprobe.model import Chain, Object, Rule, Statement, Table, Term
from netprobe.model.lookup import among, has, where
from netprobe.model.pattern import pattern
from netprobe.model.protocol import PORTED

from .ruling import Decision, Reason

# what a rule names a port of the destination by, as nft spells it
PORT_KEYS = tuple(f"{each} dport" for each in (*PORTED, "th"))
SOURCE_PORT_KEYS = tuple(key.replace("dport", "sport") for key in PORT_KEYS)

TRANSLATIONS = frozenset(("snat", "dnat", "masquerade", "redirect", "netmap"))
_TOOLS = {
    ("iptables", "ip"): "iptables", ("iptables", "ip6"): "ip6tables",
    ("iptables-legacy", "ip"): "iptables-legacy", ("iptables-legacy", "ip6"): "ip6tables-legacy",
    ("ebtables", "bridge"): "ebtables", ("arptables", "arp"): "arptables",
    ("arptables-legacy", "arp"): "arptables-legacy",
}  # fmt: skip

# By the names that these programs give their tables and chains, and the comments they leave. Sources: moby
# libnetwork/iptables, netavark src/firewall, firewalld src/firewall/core, ufw src/backend_iptables.py,
# kubernetes pkg/proxy, libvirt src/network.
_OWNERS = (
    ("docker", pattern(r"DOCKER|docker[-_0-9]|\bbr-[0-9a-f]{12}\b")),
    ("podman", pattern(r"NETAVARK|netavark|CNI-|podman[-_0-9]")),
    ("kubernetes", pattern(r"KUBE-|cali-|cali[0-9a-f]{11}|CILIUM|FLANNEL|kubernetes|kube-proxy")),
    ("ufw", pattern(r"\bufw6?-")),
    (
        "firewalld",
        pattern(
            r"\bfirewalld\b|_ZONES\b|\b(?:FWD[IO]?|IN|PRE|POST)_[a-zA-Z]+|_direct\b"
            r"|filter_(?:IN|FWD|INPUT|FORWARD)_"
        ),
    ),
    ("libvirt", pattern(r"LIBVIRT_|libvirt|guest_(?:output|input|cross|nat)|\bvirbr[0-9]")),
)

# Chains that these programs make for people to write in. Sources: the same, and CNI's portmap and firewall.
_FOR_PEOPLE = pattern(r"\ADOCKER-USER\Z|\ACNI-ADMIN\Z|_direct\Z")
_LEFT_BY_THE_ENGINE = pattern(r"-j RETURN\Z")  # what Docker itself ends its DOCKER-USER with
_OF_ENGINES = ("docker", "podman")


def tool(table: Table) -> str:
    """The command that prints and edits this table."""
    return _TOOLS.get((table.engine, table.family), "nft")


def is_for_nat(table: Table, chain: Chain) -> bool:
    """Whether a chain translates; in iptables those that are jumped to do so in the table nat."""
    return chain.type == "nat" or (tool(table) != "nft" and table.name == "nat")


def rule_object(table: Table, chain: Chain, rule: Rule) -> Object:
    """The rule as an object; its id is what a person would type to find it."""
    if rule.text.startswith("-P "):
        return _own_policy(table, chain, rule)
    translates = is_for_nat(table, chain) or bool(among(rule.statements, kind=TRANSLATIONS))
    kind = {True: "nat-rule", False: "rule"}[translates]
    if tool(table) == "nft":
        words: tuple[str, ...] = ("nft", table.family, table.name, chain.name, "handle", str(rule.handle))
    else:
        words = (tool(table), table.name, chain.name, str(rule.number))
    return Object(kind, " ".join(words), rule.text, _rule_owner(table, chain, rule), words)


def _rule_owner(table: Table, chain: Chain, rule: Rule) -> str | None:
    """The program that wrote a rule, as its habits show; people write in chains that are made for them, and
    about an engine's bridges in chains that are called otherwise than an engine's, and in what the host
    itself takes and sends, where engines have nothing but jumps.
    """
    names, texts = (table.name, chain.name), (rule.text, rule.comment or "")
    if _FOR_PEOPLE.search(chain.name):
        return owner(*names) if _LEFT_BY_THE_ENGINE.search(rule.text) else None
    who = owner(*names, *texts)
    theirs = who in _OF_ENGINES and not has(rule.statements, kind="jump")
    by_people = theirs and chain.hook in (None, "input", "output")
    return owner(*names) if by_people else who


def _own_policy(table: Table, chain: Chain, rule: Rule) -> Object:
    """The policy of a chain of one's own, which ebtables has as a rule."""
    words = (tool(table), table.name, chain.name, "policy")
    return Object("policy", " ".join(words), rule.text, owner(table.name, chain.name), words)


def policy_object(table: Table, chain: Chain) -> Object:
    """The policy of a base chain as an object."""
    who = owner(table.name, chain.name) or _only_owner(chain)
    if tool(table) == "nft":
        words: tuple[str, ...] = ("nft", table.family, table.name, chain.name, "policy")
        text = f"type {chain.type} hook {chain.hook} priority {chain.priority}; policy {chain.policy};"
    else:
        words = (tool(table), table.name, chain.name, "policy")
        text = f"-P {chain.name} {chain.policy.upper()}"
    return Object("policy", " ".join(words), text, who, words)


def owner(*texts: str) -> str | None:
    """The program whose habits these names, texts and comments show, or None."""
    return next((who for who, habit in _OWNERS if any(map(habit.search, texts))), None)


def _only_owner(chain: Chain) -> str | None:
    """Who hangs chains into this one, if it is one program alone: that one also sets the policy."""
    statements = joined.from_iterable(rule.statements for rule in chain.rules)
    owners = {owner(each.target) for each in where(statements, kind="jump")} - {None}
    return owners.pop() if len(owners) == 1 else None


def rule_decision(table: Table, chain: Chain, rule: Rule, hook: str) -> Decision:
    """A rule's say, with the kind of decision that its statements make it."""
    return Decision(
        rule_object(table, chain, rule),
        table.engine,
        table.family,
        table.name,
        chain.name,
        hook,
        reason_of(rule),
        rule.number,
        rule.handle,
    )


def policy_decision(table: Table, chain: Chain, hook: str) -> Decision:
    """A policy's say."""
    return Decision(
        policy_object(table, chain), table.engine, table.family, table.name, chain.name, hook, Reason.POLICY
    )


_REASONS = {
    "limit": Reason.LIMIT, "hashlimit": Reason.LIMIT, "quota": Reason.QUOTA, "connlimit": Reason.CONNLIMIT,
    "statistic": Reason.RANDOM,
    "rpfilter": Reason.RPFILTER, "recent": Reason.RECENT, "time": Reason.TIME, "queue": Reason.QUEUE,
    "tproxy": Reason.PROXY,
}  # fmt: skip


def reason_of(rule: Rule) -> Reason:
    """The kind of decision a rule makes: the first of its statements that is more than a comparison of
    headers.
    """
    return next(filter(None, map(_reason, rule.statements)), Reason.RULE)


def _reason(statement: Statement) -> Reason | None:
    if statement.kind in _REASONS:
        return _REASONS[statement.kind]
    if statement.kind not in ("match", "vmap") or statement.left is None:
        return None
    keys = _keys(statement.left)
    if any(key.startswith("fib saddr") and key.endswith(("oif", "oifname", "check")) for key in keys):
        return Reason.RPFILTER
    if keys & {"ip frag-off", "exthdr frag"}:
        return Reason.FRAGMENT
    if keys & {"numgen", "hash", "meta random"}:
        return Reason.RANDOM
    if (
        keys & {"ct state", "xt ctstate"}
        and statement.right == Term("value", "invalid")
        and statement.op in ("in", "==")
    ):
        return Reason.INVALID
    return None


def _keys(term: Term) -> set[str]:
    own = {term.text} if term.kind == "key" else {term.kind}
    return own.union(*(_keys(each) for each in term.args))
