"""Packets that rules lead another way by chance: the network as it is for them, and how they fare. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain as joined
from itertools import islice

from msgspec.structs import replace

from netprobe.model import Namespace, Need, Object, Ruleset, Snapshot
from netprobe.model.lookup import among, exchanged, where
from netprobe.rules.dice import MOST, fallen

from .predict import predict
from .prediction import Faring, Prediction


def fates(snapshot: Snapshot, prediction: Prediction) -> Iterator[Faring]:
    """How packets fare for each outcome of the dice on the way, as far as that can be told."""
    for network, found in _walks(snapshot, prediction):
        if isinstance(found, Prediction) and not (found.stop is not None and found.stop.is_unknown):
            yield Faring(network, found)


def falls(snapshot: Snapshot, prediction: Prediction) -> bool:
    """Whether there are such rules on the way."""
    return any(True for _ in _outcomes(snapshot, prediction))


def lacking(snapshot: Snapshot, prediction: Prediction) -> tuple[Need, ...]:
    """What must be read before it can be told of the first of them."""
    found = (found for _, found in _walks(snapshot, prediction) if not isinstance(found, Prediction))
    return next(filter(None, found), ())


def _walks(
    snapshot: Snapshot, prediction: Prediction
) -> Iterator[tuple[Snapshot, Prediction | tuple[Need, ...]]]:
    for network in islice(_outcomes(snapshot, prediction), MOST):
        yield network, predict(network, prediction.probe, ask=False)


def _outcomes(snapshot: Snapshot, prediction: Prediction) -> Iterator[Snapshot]:
    """The network with each outcome of the dice in the chains that the packet has met."""
    for name in dict.fromkeys(found.namespace for found in prediction.rules):
        passed = joined.from_iterable(found.rules for found in where(prediction.rules, namespace=name))
        for ruleset in _thrown(snapshot[name], passed):
            yield snapshot.with_namespace(replace(snapshot[name], ruleset=ruleset))


def _thrown(namespace: Namespace, passed: Iterable[Object]) -> Iterator[Ruleset]:
    """The rules with each outcome in the chains that these rules stand in, or lead to."""
    met = " ".join(f"{rule.id} {rule.text}" for rule in passed).split()
    for table in namespace.tables:
        for chain in among(table.chains, name=met):
            for rules in fallen(chain.rules):
                chains = exchanged(table.chains, chain, replace(chain, rules=rules))
                tables = exchanged(namespace.tables, table, replace(table, chains=chains))
                yield replace(namespace.filters, tables=tables)
