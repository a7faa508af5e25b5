"""Chains as DIRAC knows them: a production, and its transformations.

Everything here may be repeated: what is there is found by its name, and completed.
"""

from __future__ import annotations

import errno
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from DIRAC import gLogger
from DIRAC.Core.Utilities.DErrno import cmpError

from JUNODIRAC.Core.Domain.ChainTransformations import METADATA, WantedTransformation
from JUNODIRAC.RawDataSystem.Client.DFCCatalogue import DFCCatalogue
from JUNODIRAC.RawDataSystem.Client.DiracAnswer import ServiceRefusal, valueOrRaise
from JUNODIRAC.RawDataSystem.Client.TransformationTransfers import COMPONENT as TRANSFORMATIONS

PRODUCTIONS = "Production/ProductionManager"
NEW, ACTIVE, STOPPED = "New", "Active", "Stopped"
#: DIRAC's states of a transformation that works, or can be made to
_USABLE = frozenset({NEW, ACTIVE, STOPPED, "Flush", "Idle", "Completing", "Completed", "Archived"})


class ChainProductions:
    """Methods raise TemporaryFailure if a service does not answer, and ServiceRefusal if it says no.

    :param productions: DIRAC's ProductionClient, acting for the production manager
    :param transformations: DIRAC's TransformationClient, acting for the production manager
    """

    def __init__(self, productions: Any, transformations: Any, catalogue: DFCCatalogue) -> None:
        self._productions = productions
        self._transformations = transformations
        self._catalogue = catalogue
        self._log = gLogger.getSubLogger("ChainProductions")

    def defineFields(self) -> None:
        """Define the metadata of outputs."""
        self._catalogue.ensureFields(METADATA)

    # ---- productions

    def openProduction(self, name: str, description: str) -> int:
        """The production of this name, made if there is none.

        :param description: JSON
        :returns: its number
        """
        found = self._productionsNamed(name)
        if found:
            return int(found[0]["ProductionID"])
        made = int(valueOrRaise(self._productions.addProduction(name, description), PRODUCTIONS))
        self._log.info("Made production", f"{name} = {made}")
        return made

    def _productionsNamed(self, name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = valueOrRaise(
            self._productions.getProductions(condDict={"ProductionName": name}), PRODUCTIONS
        )
        return sorted(found, key=lambda each: int(each["ProductionID"]))

    def members(self, productionID: int) -> set[int]:
        """The transformations of a production."""
        found = valueOrRaise(self._productions.getProductionTransformations(productionID), PRODUCTIONS)
        return {int(each["TransformationID"]) for each in found}

    def join(self, productionID: int, transformationID: int, parents: Sequence[int]) -> None:
        """Make a transformation, which must be New, a part of a production."""
        result = self._productions.addTransformationsToProduction(productionID, [transformationID], list(parents))
        valueOrRaise(result, PRODUCTIONS)

    def setProductionStatus(self, productionID: int, status: str) -> None:
        """Bring a production to a status; DIRAC switches its transformations with it."""
        known = valueOrRaise(self._productions.getProductionParameters(productionID, "Status"), PRODUCTIONS)
        if known != status:
            valueOrRaise(self._productions.setProductionStatus(productionID, status), PRODUCTIONS)

    # ---- transformations

    def openTransformation(self, wanted: WantedTransformation, body: str, production: str) -> tuple[int, str]:
        """The transformation of this name, made or completed if need be, but not started.

        :returns: its number and status
        :raises ServiceRefusal: if the name belongs to something else
        """
        found = self._find(wanted.name)
        if found is None:
            found = {"TransformationID": self._create(wanted, body, production), "Status": NEW}
            self._log.info("Made transformation", f"{wanted.name} = {found['TransformationID']}")
        number = int(found["TransformationID"])
        self._checkOwnership(wanted, found)
        self._completeQuery(number, wanted.inputQuery, "Input")
        self._completeQuery(number, wanted.outputQuery, "Output")
        for parameter, value in wanted.parameters.items():
            if str(found.get(parameter, "")) != value:
                self.setParameter(number, parameter, value)
        return number, str(found["Status"])

    def setStatus(self, transformationID: int, status: str) -> None:
        """Start or stop a transformation.

        One that DIRAC's own commands stopped has to be made Automatic again, too: of others no tasks are submitted.
        """
        self.setParameter(transformationID, "Status", status)
        self.setParameter(transformationID, "AgentType", "Automatic")

    def statuses(self, transformationIDs: Collection[int]) -> dict[int, str]:
        """Status of each transformation."""
        if not transformationIDs:
            return {}
        found = valueOrRaise(
            self._transformations.getTransformations(
                condDict={"TransformationID": sorted(transformationIDs)}, columns=["TransformationID", "Status"]
            ),
            TRANSFORMATIONS,
        )
        return {int(row["TransformationID"]): str(row["Status"]) for row in found}

    def setParameter(self, transformationID: int, parameter: str, value: str) -> None:
        """Set one parameter of a transformation."""
        valueOrRaise(self._transformations.setTransformationParameter(transformationID, parameter, value), TRANSFORMATIONS)

    def _find(self, name: str) -> dict[str, Any] | None:
        condition = {"TransformationName": name}
        found = valueOrRaise(self._transformations.getTransformations(condDict=condition, extraParams=True), TRANSFORMATIONS)
        return found[0] if found else None

    def _create(self, wanted: WantedTransformation, body: str, production: str) -> int:
        return int(
            valueOrRaise(
                self._transformations.addTransformation(
                    wanted.name,
                    wanted.description,
                    f"{wanted.description}; step {wanted.step.number} of chain {production}",
                    wanted.typeName,
                    wanted.plugin,
                    "Automatic",
                    "",
                    transformationGroup=production,
                    groupSize=wanted.groupSize,
                    body=body,
                    # no limit: files come as long as there are blocks
                    maxTasks=0,
                    addFiles=False,
                    inputMetaQuery=dict(wanted.inputQuery) or None,
                    outputMetaQuery=dict(wanted.outputQuery) or None,
                ),
                TRANSFORMATIONS,
            )
        )

    def _checkOwnership(self, wanted: WantedTransformation, found: Mapping[str, Any]) -> None:
        """Refuse a transformation of this name that is another one. One in state New may lack its parameters."""
        what = f"transformation {found['TransformationID']} has the name {wanted.name}"
        if found["Status"] not in _USABLE:
            raise ServiceRefusal(
                TRANSFORMATIONS, f"{what} and is {found['Status']}, and names are unique for ever; give the chain another version"
            )
        for parameter, expected in wanted.parameters.items():
            value = found.get(parameter)
            if (value is None and found["Status"] != NEW) or (value is not None and str(value) != expected):
                raise ServiceRefusal(
                    TRANSFORMATIONS,
                    f"{what} but its {parameter} is {value or 'not set'}, not {expected}; rename it, or the chain",
                )

    def _completeQuery(self, transformationID: int, wanted: Mapping[str, str], kind: str) -> None:
        if not wanted:
            return
        result = self._transformations.getTransformationMetaQuery(transformationID, kind)
        query = {} if cmpError(result, errno.ENOENT) else valueOrRaise(result, TRANSFORMATIONS)
        if not query:
            made = self._transformations.createTransformationMetaQuery(transformationID, dict(wanted), kind)
            valueOrRaise(made, TRANSFORMATIONS)
