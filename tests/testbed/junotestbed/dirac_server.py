"""The DIRAC installation: first configuration server, then everything else by DIRAC's own installers; proxies; health."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from junotestbed import components
from junotestbed.certificates import USERS, User
from junotestbed.components import OWN, OWN_DATABASES, STOCK, Component
from junotestbed.configuration import write_initial_cs, write_local_files
from junotestbed.settings import SOURCE_DIR, Settings, TestbedError
from junotestbed.shell import last_lines, port_answers, run, tail, wait_for, write
from junotestbed.supervision import Tree
from junotestbed.worker_nodes import link_nodes, write_nodes

Say = Callable[[str], None]
# "Local and remote versions differ", says a busy configuration server of two commits at once: typed again the second is taken
_INSTALL_TRIES = 3


class DiracServer:
    """The DIRAC part of one testbed."""

    def __init__(self, settings: Settings, tree: Tree) -> None:
        self.settings = settings
        self.tree = tree
        self.root = settings.dirac_root

    # --- files --------------------------------------------------------------------------------------------------------------

    def write_files(self) -> None:
        """All files that are there before the first process: configuration and the configuration server's run folder.

        ComponentInstaller only knows the Tornado flavour of the master configuration server, which does not run with the
        Tornado of PyPI, so this one run folder is written by hand in the same layout.
        """
        write_local_files(self.settings)
        write_initial_cs(self.settings)
        write_nodes(self.settings)
        if self.installed:
            link_nodes(self.settings)
        folder = self.root / "runit/Configuration/Server"
        source = f"[[ -e {self.root}/bashrc ]] && source {self.root}/bashrc"
        command = f"exec dirac-service Configuration/Server --cfg {self.root}/etc/Configuration_Server.cfg < /dev/null"
        write(folder / "run", f"#!/bin/bash\n{source}\nexec 2>&1\n{command}\n", 0o755)
        write(folder / "log/run", f"#!/bin/bash\n{source}\nexec svlogd .\n", 0o755)
        write(folder / "log/config", "s10000000\nn20\n")
        link = self.root / "startup/Configuration_Server"
        if not link.is_symlink():
            link.symlink_to(folder)

    # --- commands -----------------------------------------------------------------------------------------------------------

    def as_host(self, *command: str, stdin: str | None = None) -> str:
        """Run a DIRAC command with the host's certificate."""
        env = self.settings.environment() | {"X509_USER_PROXY": str(self.root / "etc/no-proxy.pem")}
        return run([*command, "-o", "/DIRAC/Security/UseServerCertificate=yes"], env=env, stdin=stdin)

    def as_user(self, user: str, *command: str, stdin: str | None = None) -> str:
        return run(list(command), env=self.settings.environment(self.proxy(user)), stdin=stdin)

    def python(self, module: str, *arguments: str) -> str:
        env = self.settings.environment(self.root / "etc/no-proxy.pem") | {
            "PYTHONPATH": f"{SOURCE_DIR}/tests/testbed:{SOURCE_DIR}"
        }
        return run([str(self.settings.venv / "bin/python"), "-m", module, *arguments], env=env)

    def proxy(self, user: str) -> Path:
        return self.settings.proxies / f"{user}.pem"

    # --- proxies ------------------------------------------------------------------------------------------------------------

    def make_proxy(self, user: User, hours: int = 24, upload: bool = False) -> None:
        """A fresh proxy of a user in ``proxies/``; with ``upload`` also in ProxyDB, where agents fetch it."""
        self.settings.proxies.mkdir(parents=True, exist_ok=True)
        target = self.proxy(user.name)
        fresh = target.with_suffix(".new")
        if user.group:
            self._make_registered_proxy(user, fresh, hours, upload)
        else:
            self._make_bare_proxy(user, fresh, hours)
        fresh.replace(target)

    def _make_registered_proxy(self, user: User, fresh: Path, hours: int, upload: bool) -> None:
        folder = self.settings.users / user.name
        command = ["dirac-proxy-init", "-C", f"{folder}/usercert.pem", "-K", f"{folder}/userkey.pem", "-u", str(fresh)]
        command += ["-v", f"{hours}:00", "-g", user.group] + ([] if upload else ["-N"])
        said = run(command, env=self.settings.environment(fresh))
        if not fresh.exists():
            raise TestbedError(f"no proxy was made for {user.name}:\n{last_lines(said)}")

    def _make_bare_proxy(self, user: User, fresh: Path, hours: int) -> None:
        """A proxy without a DIRAC group, for somebody whom dirac-proxy-init refuses because the registry does not know him."""
        from DIRAC.Core.Security.X509Chain import X509Chain

        folder, chain = self.settings.users / user.name, X509Chain()
        steps = [chain.loadChainFromFile(f"{folder}/usercert.pem"), chain.loadKeyFromFile(f"{folder}/userkey.pem")]
        steps.append(chain.generateProxyToFile(str(fresh), hours * 3600))
        for step in steps:
            if not step["OK"]:
                raise TestbedError(f"no proxy for {user.name}: {step['Message']}")

    def renew_proxies(self, upload: bool = True) -> None:
        for user in USERS:
            self.make_proxy(user, upload=upload and user.upload)

    # --- first installation -------------------------------------------------------------------------------------------------

    @property
    def installed(self) -> bool:
        return (self.root / "installed").exists()

    def missing(self, wanted: Sequence[Component]) -> list[Component]:
        """Those of the components that are not installed yet."""
        return [component for component in wanted if not (self.root / "startup" / component.link).exists()]

    def install_stock(self, say: Say) -> None:
        """DIRAC's databases and components; what is there already stays as it is."""
        self.wait_for(components.CONFIGURATION_SERVER)
        self.python("junotestbed.install_components", "install")
        say(f"installed: {len(components.STOCK_DATABASES)} databases, {len(STOCK)} components of DIRAC")

    def install_own(self, say: Say) -> None:
        """This extension's database and components, by the commands that an administrator types."""
        for user in USERS:
            self.make_proxy(user, upload=False)
        self.python("junotestbed.install_components", "register")
        # it cannot be made twice: an installation that was cut short goes on behind it
        if not all((self.settings.run / "mariadb" / name).is_dir() for name in OWN_DATABASES):
            self.as_host("dirac-install-db", *OWN_DATABASES)
        new, said = self.missing(OWN), ""
        for _ in range(_INSTALL_TRIES):
            missing = self.missing(OWN)
            if not missing:
                break
            said = self.sysadmin(*[self._install_line(component) for component in missing])
        missing = self.missing(OWN)
        if missing:
            lacking = ", ".join(component.full_name for component in missing)
            raise TestbedError(f"the sysadmin CLI did not install {lacking}:\n{last_lines(said, 40)}")
        names = ", ".join([*OWN_DATABASES, *(component.full_name for component in new)])
        say(f"installed with dirac-install-db and dirac-admin-sysadmin-cli: {names}")

    def _install_line(self, component: Component) -> str:
        options = dict(component.options)
        if component.kind == "service":
            options["Port"] = str(self.settings.port(component.full_name))
        module = f" -m {component.module}" if component.module else ""
        return f"install {component.kind} {component.system} {component.name}{module}" + "".join(
            f" -p {k}={v}" for k, v in options.items()
        )

    def sysadmin(self, *lines: str) -> str:
        """Type lines into the sysadmin CLI as the administrator."""
        host = f"localhost:{self.settings.port('Framework/SystemAdministrator')}"
        return self.as_user("admin", "dirac-admin-sysadmin-cli", "-H", host, stdin="\n".join([*lines, "quit", ""]))

    def finish_installation(self) -> None:
        """What needs running services: statuses of storages and sites, and the production manager's proxy in ProxyDB."""
        self.sync_statuses()
        self.renew_proxies()
        link_nodes(self.settings)
        write(self.root / "installed", "")

    def sync_statuses(self) -> None:
        """Give storages and sites that are new to the status system their first status."""
        for element in ("Resource", "Site"):
            self.as_host("dirac-rss-sync", "--element", element, "--defaultStatus", "Active")

    # --- health -------------------------------------------------------------------------------------------------------------

    def log(self, component: Component) -> Path:
        return self.root / "startup" / component.link / "log/current"

    def answers(self, component: Component) -> bool:
        state = self.tree.state(component.link)
        if state.state != "run":
            return False
        if component.kind == "service":
            return port_answers("127.0.0.1", self.settings.port(component.full_name))
        if component.kind == "executor":
            # it says so once, which leaves the log after some thousand jobs; one that cannot connect ends soon
            return state.uptime > 30 or self.says(component, state.uptime, "Connected to ")
        return self.agent_cycled(component, state.uptime)

    def agent_cycled(self, component: Component, uptime: int) -> bool:
        """Whether an agent finished a cycle without error since its process started; that of a receiver or a worker node takes a
        minute, so that it is connected is enough."""
        signs = ("Cycle was successful", "NOTICE: Receiving ", "Job request OK", "Submitting JobWrapper")
        return self.says(component, uptime, *signs)

    def says(self, component: Component, uptime: int, *signs: str) -> bool:
        """Whether one of the signs is in the end of a component's log, since its process started."""
        try:
            lines = self.log(component).read_text(errors="replace").splitlines()[-4000:]
        except OSError:
            return False
        started = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() - uptime - 1))
        return any(line[:19] >= started and any(sign in line for sign in signs) for line in lines)

    def wait_for(self, component: Component, timeout: float = 60) -> float:
        return wait_for(component.full_name, lambda: self.answers(component), timeout, self.log(component))


def show_logs(settings: Settings, name: str, lines: int, follow: bool) -> int:
    """Print the end of a component's log; ``name`` is ``System/Component`` or a process of the infrastructure."""
    folders = {path.name: path for path in sorted((settings.infra / "startup").glob("*"))}
    for component in sorted(components.ALL, key=lambda component: component.full_name):
        folders[component.full_name] = settings.dirac_root / "startup" / component.link
    known = [name for name, folder in folders.items() if folder.exists()]
    path = folders.get(name, folders.get(name.replace("_", "/", 1), settings.run)) / "log/current"
    if path.exists():
        if follow:
            return subprocess.call(["tail", "-n", str(lines), "-F", str(path)])
        print(tail(path, lines))
        return 0
    if not name:
        print("\n".join(known))
        return 0
    raise TestbedError(f"no log of '{name}'; there are: {', '.join(known)}")
