"""DIRAC's production and transformation services in memory, whose next call can fail before or after it has worked."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

from DIRAC import S_ERROR, S_OK


class Cut(Exception):
    """The process that starts a chain dies here."""


class Breaker:
    """Counts calls that change something, and dies at one of them.

    :param at: number of the call, from 1; 0: never
    :param after: whether the service has done it by then
    """

    def __init__(self, at: int = 0, after: bool = False) -> None:
        self.at, self.after, self.calls = at, after, 0

    def run(self, work: Callable[[], Any]) -> Any:
        self.calls += 1
        if self.calls == self.at and not self.after:
            raise Cut
        value = work()
        if self.calls == self.at:
            raise Cut
        return value


class FakeTransformations:
    """The part of TransformationClient that chains need; names are unique, as DIRAC's are."""

    def __init__(self, breaker: Breaker) -> None:
        self.breaker = breaker
        self.rows: dict[int, dict[str, Any]] = {}
        self.queries: dict[tuple[int, str], dict[str, str]] = {}

    def addTransformation(self, name, description, longDescription, typeName, plugin, agentType, fileMask, **options):
        if any(row["TransformationName"] == name for row in self.rows.values()):
            return S_ERROR(f"Transformation with name {name} already exists")
        return self.breaker.run(lambda: self._add(name, typeName, plugin, options))

    def _add(self, name, typeName, plugin, options):
        number = len(self.rows) + 100
        self.rows[number] = {
            "TransformationID": number, "TransformationName": name, "Type": typeName, "Plugin": plugin, "Status": "New",
            "Body": options["body"], "GroupSize": options["groupSize"], "AgentType": "Automatic",
        }  # fmt: skip
        for kind, key in (("Input", "inputMetaQuery"), ("Output", "outputMetaQuery")):
            if options[key]:
                self.queries[number, kind] = options[key]
        return S_OK(number)

    def getTransformations(self, condDict, columns=None, extraParams=False):
        def holds(row):
            return all(row[key] in (value if isinstance(value, list) else [value]) for key, value in condDict.items())

        return S_OK([dict(row) for row in self.rows.values() if holds(row)])

    def setTransformationParameter(self, number, parameter, value):
        return self.breaker.run(lambda: S_OK(self.rows[number].update({parameter: value})))

    def getTransformationMetaQuery(self, number, kind):
        found = self.queries.get((number, kind))
        return S_OK(found) if found else S_ERROR(errno.ENOENT, "no query")

    def createTransformationMetaQuery(self, number, query, kind):
        return self.breaker.run(lambda: S_OK(self.queries.update({(number, kind): query})))


class FakeProductions:
    """The part of ProductionClient that chains need: a production may have a name twice, and only New transformations join."""

    def __init__(self, breaker: Breaker, transformations: FakeTransformations) -> None:
        self.breaker, self.transformations = breaker, transformations
        self.rows: dict[int, dict[str, Any]] = {}
        self.links: dict[int, list[tuple[int, tuple[int, ...]]]] = {}

    def addProduction(self, name, description):
        return self.breaker.run(lambda: self._add(name, description))

    def _add(self, name, description):
        number = len(self.rows) + 1
        self.rows[number] = {"ProductionID": number, "ProductionName": name, "Description": description, "Status": "New"}
        self.links[number] = []
        return S_OK(number)

    def getProductions(self, condDict):
        return S_OK([row for row in self.rows.values() if row["ProductionName"] == condDict["ProductionName"]])

    def getProductionParameters(self, number, parameter):
        return S_OK(self.rows[number][parameter])

    def getProductionTransformations(self, number):
        return S_OK([{"TransformationID": member} for member, _ in self.links[number]])

    def addTransformationsToProduction(self, number, members, parents):
        for member in members:
            if self.transformations.rows[member]["Status"] != "New":
                return S_ERROR("Invalid transformation status")
            child = self.transformations.queries.get((member, "Input"))
            if parents and child != self.transformations.queries.get((parents[0], "Output")):
                return S_ERROR("checkMatchQuery result is False")
            if any(member == known for links in self.links.values() for known, _ in links):
                return S_ERROR("Duplicate entry")
        return self.breaker.run(lambda: S_OK(self.links[number].extend((member, tuple(parents)) for member in members)))

    def setProductionStatus(self, number, status):
        return self.breaker.run(lambda: self._switch(number, status))

    def _switch(self, number, status):
        self.rows[number]["Status"] = status
        for member, _ in self.links[number]:
            agentType = "Automatic" if status == "Active" else "Manual"
            self.transformations.rows[member] |= {"Status": status, "AgentType": agentType}
        return S_OK()


class FakeFields:
    """The catalogue's metadata fields."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def ensureFields(self, names) -> None:
        self.names |= set(names)
