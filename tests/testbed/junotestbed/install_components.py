"""Installs stock DIRAC databases and components with DIRAC's own ComponentInstaller, all in one process.

``dirac-install-component`` does the same calls for one component and then waits for runsvdir's next scan, five seconds
each time; here all are written first and runsvdir finds them together. Commits to the configuration are not locked by
DIRAC, so they come one after the other.

Run as ``python -m junotestbed.install_components``; reads nothing, prints a line for each thing installed.
"""

from __future__ import annotations

import sys
from pathlib import Path

from junotestbed.components import SANDBOXES, STOCK, STOCK_DATABASES, Component
from junotestbed.settings import Settings, TestbedError


def checked(result: dict, what: str):
    if not result["OK"]:
        raise TestbedError(f"{what}: {result['Message']}")
    return result["Value"]


def install_all() -> None:
    from DIRAC import gConfig
    from DIRAC.Core.Utilities.Extensions import extensionsByPriority
    from DIRAC.FrameworkSystem.Client.ComponentInstaller import gComponentInstaller as installer

    extensions = extensionsByPriority()
    checked(installer.getMySQLPasswords(), "database passwords in dirac.cfg")
    # not all scripts of DIRAC's databases can be run twice
    was_installed = (Settings.from_environment().dirac_root / "installed").exists()
    existing = checked(installer.getDatabases(), "databases that exist") if was_installed else []
    for name in STOCK_DATABASES:
        if name in existing:
            continue
        _, system = checked(installer.installDatabase(name), name)
        checked(installer.addDatabaseOptionsToCS(gConfig, system, name), name)
        print("database", name, flush=True)
    run_dirs = []
    for component in STOCK:
        run_dirs.append((component, _install(installer, component, extensions, gConfig)))
        print(component.kind, component.full_name, flush=True)
    for component, run_dir in run_dirs:
        link = Path(installer.startDir) / component.link
        if not link.is_symlink():
            link.symlink_to(run_dir)


def _install(installer, component: Component, extensions: list[str], gConfig) -> str:
    settings, options = Settings.from_environment(), dict(component.options)
    if component.kind == "service":
        options["Port"] = str(settings.port(component.full_name))
    if options.get("BasePath") == SANDBOXES:
        options["BasePath"] = str(settings.sandboxes)
    checked(
        installer.addDefaultOptionsToCS(gConfig, component.kind, component.system, component.name, extensions, options),
        component.full_name,
    )
    return checked(
        installer.installComponent(component.kind, component.system, component.name, extensions, component.module),
        component.full_name,
    )


def register_all() -> None:
    """Write what was installed into InstalledComponentsDB, as ``dirac-install-component`` does in its last step."""
    from DIRAC.FrameworkSystem.Utilities.MonitoringUtilities import monitorInstallation

    for component in STOCK:
        checked(
            monitorInstallation(component.kind, component.system, component.name, hostname="localhost", user="admin"),
            component.full_name,
        )


def main() -> int:
    from DIRAC import gConfig
    from DIRAC.Core.Base.Script import Script

    mode, sys.argv[1:] = sys.argv[1], ["-o", "/DIRAC/Security/UseServerCertificate=yes"]
    Script.parseCommandLine()
    try:
        {"install": install_all, "register": register_all}[mode]()
    except TestbedError as error:
        print(error, file=sys.stderr)
        return 1
    return 0 if gConfig else 1


if __name__ == "__main__":
    sys.exit(main())
