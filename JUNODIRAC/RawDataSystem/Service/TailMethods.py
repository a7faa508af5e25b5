"""Methods of RawData/RawDataManager for the end of blocks."""

from __future__ import annotations

from JUNODIRAC.RawDataSystem.Service.RawDataService import READERS, RawDataService, answer


class TailMethods(RawDataService):
    """Everyone may look."""

    auth_getTails = READERS
    types_getTails = []  # type: ignore[var-annotated]

    @answer
    def export_getTails(self) -> list[int]:
        """Transformations of closed blocks that lack at most TailFiles of their Type at their site."""
        policies, _ = self._policies("")
        return self.ledger.readTails({name: policy.tailFiles for name, policy in policies.items()})
