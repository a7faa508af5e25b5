"""Block transfers as transformations of DIRAC's Transformation System."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import Any

from DIRAC import gLogger
from DIRAC.Core.Utilities.DErrno import cmpError
from DIRAC.Core.Utilities.List import breakListIntoChunks

from JUNODIRAC.Core.Domain.Block import Block
from JUNODIRAC.Core.Logic.Ports import BulkResult
from JUNODIRAC.RawDataSystem.Client.DiracAnswer import ServiceRefusal, valueOrRaise

COMPONENT = "Transformation/TransformationManager"
TRANSFORMATION_TYPE = "Replication"
# What the service holds in memory for one call, and one statement's length, stay within a few MB.
_MAX_FILES_PER_CALL = 10_000
# DIRAC's answer to a method that a service does not have
_UNKNOWN_METHOD = "Unknown method"
_OPEN = frozenset({"New", "Active", "Completing", "Completed", "Flush", "Stopped", "Idle", "Archived"})


class TransformationTransfers:
    """Opens the transfers of one Type and attaches files to them.

    :param client: DIRAC's TransformationClient, acting for the production manager
    :param plugin: name of the transformation plugin
    :param groupSize: files a task
    :param campaign: the transformation group
    :param filesPerCall: how many files are attached in one call
    """

    def __init__(
        self,
        client: Any,
        plugin: str,
        groupSize: int,
        campaign: str,
        filesPerCall: int = _MAX_FILES_PER_CALL,
    ) -> None:
        self._client = client
        self._plugin = plugin
        self._groupSize = groupSize
        self._campaign = campaign
        self._filesPerCall = max(1, min(filesPerCall, _MAX_FILES_PER_CALL))
        self._log = gLogger.getSubLogger("TransformationTransfers")

    def openTransfer(self, block: Block, targetSE: str, name: str) -> int:
        """Make sure that the block's transfer to this SE exists and is active.

        A transfer that a crash left half made is completed. One that somebody stopped stays stopped.

        :returns: the transformation's id
        :raises ServiceRefusal: if the name belongs to something else
        """
        found = self._find(name)
        if found is None:
            transformationID = self._create(block, targetSE, name)
            found = {"TransformationID": transformationID, "Status": "New"}
            self._log.info("Opened transfer", f"{name} = transformation {transformationID}")
        transformationID = int(found["TransformationID"])
        wanted = self._parameters(block, targetSE)
        self._checkOwnership(name, found, wanted)
        if block.isWholeDirectory:
            self._completeMetaQuery(transformationID, name, block)
        else:
            self.forgetQueries([transformationID])
        for parameter, value in wanted.items():
            if str(found.get(parameter, "")) != value:
                self._set(transformationID, parameter, value)
        if found["Status"] == "New":  # last, so that a transformation that is not New lacks nothing
            self._set(transformationID, "Status", "Active")
        return transformationID

    def forgetQueries(self, transformationIDs: Sequence[int]) -> None:
        """Take away the metadata queries, by which the stock InputDataAgent would attach files of other blocks."""
        for transformationID in transformationIDs:
            result = self._client.getTransformationMetaQuery(transformationID, "Input")
            if cmpError(result, errno.ENOENT):
                continue
            if valueOrRaise(result, COMPONENT):
                valueOrRaise(self._client.deleteTransformationMetaQuery(transformationID, "Input"), COMPONENT)

    def attachFiles(self, transformationIDs: Sequence[int], lfns: Sequence[str]) -> BulkResult:
        """Attach files to each of the transformations; those that are attached already stay as they are.

        All transformations in one call, of a method that this extension adds to DIRAC's service.

        :raises ServiceRefusal: if the service is not the extension's
        """
        successful: list[str] = []
        failed: dict[str, str] = {}
        for chunk in breakListIntoChunks(list(dict.fromkeys(lfns)), self._filesPerCall):
            answer = self._addFiles(list(transformationIDs), chunk)
            successful += answer["Successful"]
            failed.update(answer["Failed"])
        return BulkResult(tuple(successful), failed)

    def _addFiles(self, transformationIDs: list[int], lfns: list[str]) -> dict[str, Any]:
        result = self._client.addFilesToTransformations(transformationIDs, lfns)
        if not result["OK"] and _UNKNOWN_METHOD in str(result["Message"]):
            raise ServiceRefusal(
                COMPONENT,
                f"{result['Message']}: it is DIRAC's own service; restart it where JUNODIRAC is installed, without a HandlerPath",
            )
        answer: dict[str, Any] = valueOrRaise(result, COMPONENT)
        return answer

    # ------------------------------------------------------------------ steps

    def _parameters(self, block: Block, targetSE: str) -> dict[str, str]:
        """Additional parameters. "DataType", because "Type" is the transformation's own type."""
        return {"TargetSE": targetSE, "Block": block.name, "DataType": block.typeName}

    def _find(self, name: str) -> dict[str, Any] | None:
        found = valueOrRaise(self._client.getTransformations(condDict={"TransformationName": name}, extraParams=True), COMPONENT)
        return found[0] if found else None

    def _create(self, block: Block, targetSE: str, name: str) -> int:
        description = f"{block.typeName} block {block.name} to {targetSE}"
        origin = f"late files of {block.parent}" if block.parent else f"from {block.directory}"
        return int(
            valueOrRaise(
                self._client.addTransformation(
                    name,
                    description,
                    f"{description}, {origin}; made by the receiver of {block.typeName}",
                    TRANSFORMATION_TYPE,
                    self._plugin,
                    "Automatic",
                    "",
                    transformationGroup=self._campaign,
                    groupSize=self._groupSize,
                    body="",  # an empty body is a ReplicateAndRegister to the task's target
                    addFiles=False,
                    # lets the stock InputDataAgent find what was not attached here
                    inputMetaQuery=block.metadata if block.isWholeDirectory else None,
                ),
                COMPONENT,
            )
        )

    def _checkOwnership(self, name: str, found: dict[str, Any], wanted: dict[str, str]) -> None:
        """Refuse a transformation of this name that is not this transfer. One in state New may lack its parameters."""
        what = f"transformation {found['TransformationID']} has the name {name}"
        if found["Status"] not in _OPEN:
            raise ServiceRefusal(
                COMPONENT,
                f"{what} and is {found['Status']}, and names are unique for ever; rename it, or change TransformationRule",
            )
        for parameter, expected in wanted.items():
            value = found.get(parameter)
            if (value is None and found["Status"] != "New") or (value is not None and str(value) != expected):
                raise ServiceRefusal(
                    COMPONENT,
                    f"{what} but its {parameter} is {value or 'not set'}, not {expected}; rename it, or make "
                    "TransformationRule tell Types, blocks and destinations apart",
                )

    def _completeMetaQuery(self, transformationID: int, name: str, block: Block) -> None:
        result = self._client.getTransformationMetaQuery(transformationID, "Input")
        query = {} if cmpError(result, errno.ENOENT) else valueOrRaise(result, COMPONENT)
        if not query:
            valueOrRaise(self._client.createTransformationMetaQuery(transformationID, block.metadata, "Input"), COMPONENT)
        elif {key: str(value) for key, value in query.items()} != block.metadata:
            raise ServiceRefusal(COMPONENT, f"transformation {name} selects {query}, not {block.metadata}; correct or rename it")

    def _set(self, transformationID: int, parameter: str, value: str) -> None:
        valueOrRaise(self._client.setTransformationParameter(transformationID, parameter, value), COMPONENT)
