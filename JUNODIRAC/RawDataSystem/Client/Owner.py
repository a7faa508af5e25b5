"""In whose name the receiver registers files and makes transformations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from DIRAC.ConfigurationSystem.Client.Helpers import Registry
from DIRAC.ConfigurationSystem.Client.Helpers.Operations import Operations

from JUNODIRAC.RawDataSystem.Client.DiracAnswer import ServiceRefusal

_SHIFTER_PATH = "Shifter/ProductionManager"


@dataclass(frozen=True)
class Owner:
    """A user and the group in which he acts."""

    name: str
    group: str
    dn: str
    vo: str

    @property
    def clientArguments(self) -> dict[str, Any]:
        """Arguments of a DIRAC client that make a trusted host act for this user.

        The host certificate alone would make the host the author of transformations, for ever: the author is taken from
        the caller, cannot be changed afterwards, and has no proxy with which transfers could be submitted.
        """
        return {"delegatedDN": self.dn, "delegatedGroup": self.group}


def productionManager(vo: str = "") -> Owner:
    """The production manager of the configuration, ``/Operations/.../Shifter/ProductionManager``.

    :raises ServiceRefusal: if the configuration does not name one
    """
    operations = Operations(vo=vo or None)
    name = operations.getValue(f"{_SHIFTER_PATH}/User", "")
    group = operations.getValue(f"{_SHIFTER_PATH}/Group", "")
    if not name or not group:
        raise ServiceRefusal(
            "Configuration",
            f"/Operations/{vo or 'Defaults'}/{_SHIFTER_PATH} has no User or no Group; "
            "set them, for example with dirac-admin-add-shifter",
        )
    found = Registry.getDNForUsername(name)
    if not found["OK"] or not found["Value"]:
        raise ServiceRefusal("Configuration", f"the production manager {name} has no DN; set /Registry/Users/{name}/DN")
    if group not in Registry.getGroupsForUser(name).get("Value", []):
        raise ServiceRefusal("Configuration", f"{name} is not in group {group}; add him to /Registry/Groups/{group}/Users")
    return Owner(name=name, group=group, dn=found["Value"][0], vo=Registry.getVOForGroup(group) or vo)
