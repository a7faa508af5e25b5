"""The commands that put things right, each as a person types it, and who does."""

from __future__ import annotations

from shlex import quote

from JUNODIRAC.Core.Domain.Explanation import Action, Role


def restart(system: str, component: str, role: Role = Role.DATA_MANAGER) -> Action:
    """Start a component of DIRAC again, on its host."""
    return Action(role, f"dirac-restart-component {system} {quote(component)}")


def restartService(name: str) -> Action:
    """Start a service again that does not answer.

    :param name: for example ``DataManagement/FTS3Manager``
    """
    system, _, component = name.partition("/")
    return restart(system, component)


def restartReceiver(typeName: str, instance: str = "") -> Action:
    """Start the receiver of a Type again; by its usual name, where it never gave a sign of life."""
    return restart("RawData", instance or f"{typeName}ReceiverAgent")


def storageStatus(se: str) -> Action:
    """Look after a storage that does not answer; whether it is banned is the first thing to know."""
    return Action(Role.SITE, "dirac-dms-show-se-status", se)


def ingestStatus(typeName: str) -> Action:
    """See what the receiver waits for."""
    return Action(Role.DATA_MANAGER, f"dirac-juno-ingest-status --type {quote(typeName)}")


def lookForForgotten(block: str, typeName: str, role: Role = Role.DATA_MANAGER) -> Action:
    """See which files of a block are missing."""
    return Action(role, f"dirac-juno-gaps --block {quote(block)} --type {quote(typeName)}")


def announceForgotten(block: str, typeName: str) -> Action:
    """Announce what lies on the source storage and was never announced."""
    look = lookForForgotten(block, typeName).command
    return Action(Role.DATA_MANAGER, f'{look} --announce --reason "never announced by the producer"')


def quarantined(verb: str, quarantineID: int, role: Role, reason: str = "") -> Action:
    """Look at or decide on one refused announcement."""
    why = f' --reason "{reason}"' if reason else ""
    return Action(role, f"dirac-juno-quarantine {verb} {quarantineID}{why}")


def listQuarantine(block: str, typeName: str, role: Role = Role.DATA_MANAGER) -> Action:
    """See all refused announcements of a block."""
    return Action(role, f"dirac-juno-quarantine list --block {quote(block)} --type {quote(typeName)}")


def blockVerb(verb: str, block: str, typeName: str, se: str = "", more: str = "", reason: str = "") -> str:
    """``dirac-juno-block <verb> ...``"""
    site = f" --site {quote(se)}" if se else ""
    extra = f" {more}" if more else ""
    why = f' --reason "{reason}"' if reason else ""
    return f"dirac-juno-block {verb} {quote(block)} --type {quote(typeName)}{site}{extra}{why}"


def openBlock(block: str, typeName: str, reason: str) -> Action:
    """Make transfers and metadata that a block lacks, and attach its files."""
    return Action(Role.DATA_MANAGER, blockVerb("open", block, typeName, reason=reason))


def flushBlock(block: str, typeName: str) -> Action:
    """Let a block's transfers take their last files."""
    return Action(Role.DATA_MANAGER, blockVerb("flush", block, typeName, reason="files wait in transfers that are at rest"))


def closeBlock(block: str, typeName: str) -> Action:
    """Wait for no more files."""
    return Action(Role.DATA_MANAGER, blockVerb("close", block, typeName, reason="no more files come"))


def retransfer(block: str, typeName: str, se: str, reason: str, role: Role = Role.DATA_MANAGER, party: str = "") -> Action:
    """Copy once more what failed; for a site's administrator or FTS3's operator, after the cause was put right.

    :param party: the storage element whose administrator acts, which may be the source
    """
    return Action(role, blockVerb("retransfer", block, typeName, se, "--only-failed", reason), party)


def retransferNamed(block: str, typeName: str, se: str, reason: str, role: Role) -> Action:
    """Copy named files once more, also those that are being copied: their requests are cancelled first."""
    return Action(role, blockVerb("retransfer", block, typeName, se, "--files names.txt", reason))


def validate(block: str, typeName: str, se: str) -> Action:
    """Compare ledger, catalogue and storage; the repair then takes care of the files that differ."""
    return Action(Role.DATA_MANAGER, blockVerb("validate", block, typeName, se, reason="a copy is not as it should be"))


def report(block: str, typeName: str) -> Action:
    """Each missing file by name."""
    return Action(Role.DATA_MANAGER, blockVerb("report", block, typeName))


def resume(
    se: str, role: Role = Role.DATA_MANAGER, reason: str = "the site works again", block: str = "", typeName: str = ""
) -> Action:
    """End a pause."""
    which = f" {quote(block)} --type {quote(typeName)}" if block else ""
    return Action(role, f'dirac-juno-block resume{which} --site {quote(se)} --reason "{reason}"', se if role is Role.SITE else "")


def allowStorage(se: str) -> Action:
    """Use a storage element again that somebody banned in DIRAC."""
    return Action(Role.DATA_MANAGER, f"dirac-admin-allow-se -a {quote(se)}")


def renewProxy() -> Action:
    """Give the system a new proxy of the production manager, typed as that user."""
    return Action(Role.DATA_MANAGER, "dirac-proxy-init")


def reopenAndReplay(block: str, typeName: str, quarantineID: int) -> Action:
    """Take a late file into its block after all."""
    again = quarantined("replay", quarantineID, Role.DATA_MANAGER, "late file").command
    return Action(Role.DATA_MANAGER, f"{blockVerb('reopen', block, typeName, reason='late file')} && {again}")


def startTransformation(transformationID: int) -> Action:
    """Go on with a transformation that somebody stopped."""
    return Action(Role.DATA_MANAGER, f"echo start {transformationID} | dirac-transformation-cli")
