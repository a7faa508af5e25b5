"""Which blocks a person means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from JUNODIRAC.Core.Domain.ChainRecords import ChainRefused, ChainScope
from JUNODIRAC.ProductionSystem.DB.ChainLedger import ChainLedger

#: keys of what a command sends
KEYS = frozenset({"Blocks", "From", "To", "Dataset", "EachNewBlock", "Again"})
_MAX_BLOCKS = 10_000


@dataclass(frozen=True)
class MeantBlocks:
    """What was asked for.

    :param named: numbers of the blocks that are named, by name: those of a dataset are not, because it may get others
    :param others: numbers of the blocks that datasets have now, by name
    """

    scope: ChainScope
    named: Mapping[str, int]
    others: Mapping[str, int]


def meantBlocks(ledger: ChainLedger, typeName: str, asked: Mapping[str, Any], now: datetime) -> MeantBlocks:
    """The blocks that a person means.

    :param asked: Blocks (names), From and To (names), Dataset (name), EachNewBlock, Again; each may be left out
    :raises ChainRefused: if there are none, or one of them is not there
    """
    unknown = sorted(set(asked) - KEYS)
    if unknown:
        raise ChainRefused(f"blocks are not chosen by {', '.join(unknown)}; known are {', '.join(sorted(KEYS))}")
    named = _named(ledger, typeName, [str(each) for each in asked.get("Blocks") or ()])
    first, last = str(asked.get("From") or ""), str(asked.get("To") or "")
    if first or last:
        named |= _range(ledger, typeName, first, last)
    dataset, eachNew = str(asked.get("Dataset") or ""), bool(asked.get("EachNewBlock"))
    others = _ofDataset(ledger, typeName, dataset) if dataset else {}
    if not named and not dataset and not eachNew:
        raise ChainRefused("no blocks are chosen; say which: --blocks A,B, --from A --to B, --dataset NAME or --each-new-block")
    if len(named) > _MAX_BLOCKS:
        raise ChainRefused(f"these are {len(named)} blocks; choose at most {_MAX_BLOCKS} at once")
    scope = ChainScope(tuple(named), eachNew, now if eachNew else None, (dataset,) if dataset else (), bool(asked.get("Again")))
    return MeantBlocks(scope, named, others)


def _named(ledger: ChainLedger, typeName: str, names: list[str]) -> dict[str, int]:
    found = ledger.blockNumbers(typeName, names)
    for name in names:
        if name not in found:
            raise ChainRefused(
                f"the ledger knows no block {name} of Type {typeName}; compare the name with dirac-juno-block-status, and choose"
                " --each-new-block for blocks that are to come"
            )
    return {name: found[name] for name in dict.fromkeys(names)}


def _range(ledger: ChainLedger, typeName: str, first: str, last: str) -> dict[str, int]:
    if not first or not last:
        raise ChainRefused("a range has two ends; write --from A --to B, or --each-new-block for what is to come")
    found = ledger.blockRange(typeName, first, last)
    if not found:
        raise ChainRefused(f"the ledger has no block of Type {typeName} from {first} to {last}; see dirac-juno-block-status")
    return found


def _ofDataset(ledger: ChainLedger, typeName: str, name: str) -> dict[str, int]:
    for dataset in ledger.readDatasets(name):
        if dataset.typeName != typeName:
            raise ChainRefused(
                f"dataset {name} is of Type {dataset.typeName}, and the chain starts from {typeName}; take another"
            )
        blocks = ledger.datasetBlocks(typeName, dataset.firstBlock, dataset.lastBlock)
        return ledger.blockNumbers(typeName, [block.name for block in blocks])
    raise ChainRefused(f"there is no dataset {name}; dirac-juno-dataset list shows those that there are")
