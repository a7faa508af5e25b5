"""The worker nodes: one JobAgent at each site that has processors, as a pilot job starts it, with a folder of its own.

A real worker node has no installation of the server, no password of a database and only the proxy of the pilot. So have these.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from junotestbed.components import WORKER_NODES, Component
from junotestbed.configuration import cs_url, write_cfg
from junotestbed.settings import CS_NAME, SITES, SOURCE_DIR, VO, Settings, Site
from junotestbed.shell import write

CODE = SOURCE_DIR / "tests/testbed/worker_node"

RUN = """#!/bin/bash
exec 2>&1
{exports}
cd {folder}
# not before there are jobs to ask for
until (exec 3<>/dev/tcp/127.0.0.1/{matcher}) 2>/dev/null; do sleep 0.3; done
exec dirac-agent {agent} --cfg {folder}/pilot.cfg < /dev/null
"""
# jobs do not survive the node that they run on
FINISH = """#!/bin/bash
for environment in $(grep -lsz '^JUNO_WORKER_NODE={folder}$' /proc/[0-9]*/environ); do
    pid=${{environment#/proc/}}
    kill -KILL ${{pid%/environ}} 2>/dev/null
done
exit 0
"""


def nodes() -> list[tuple[Site, Component]]:
    sites = [site for site in SITES if site.processors]
    return list(zip(sites, WORKER_NODES, strict=True))


def folder_of(settings: Settings, site: Site) -> Path:
    """Where the jobs of a site run, each in the folder of its number."""
    return settings.workers / site.dirac_name


def write_nodes(settings: Settings) -> None:
    """The files of all nodes; repeated at each start, they hold no state."""
    for site, component in nodes():
        _write_configuration(settings, site, component)
        _write_run_folder(settings, site, component)


def link_nodes(settings: Settings) -> None:
    """From now on they are supervised."""
    for _, component in nodes():
        link = settings.dirac_root / "startup" / component.link
        if not link.is_symlink():
            link.symlink_to(settings.dirac_root / "runit" / component.full_name)


def _write_configuration(settings: Settings, site: Site, component: Component) -> None:
    folder = folder_of(settings, site)
    write_cfg(
        folder / "etc/dirac.cfg",
        {
            "DIRAC": {
                "VirtualOrganization": VO,
                "NoSetup": "True",
                "Configuration": {"Name": CS_NAME, "Servers": cs_url(settings), "RefreshTime": "60"},
                "Security": {"UseServerCertificate": "no"},
            }
        },
    )
    options = {
        "Module": "WorkerJobAgent",
        "MaxCycles": "0",
        "PollingTime": "10",
        "SubmissionDelay": "0",
        "StopAfterFailedMatches": "1000000000",
        "StopAfterHostFailures": "1000000000",
        # the failure of one job is no reason not to run the next one
        "StopOnApplicationFailure": "False",
        "JobWrapperTemplate": str(CODE / "JobWrapperTemplate.py"),
    }
    write_cfg(
        folder / "pilot.cfg",
        {
            "LocalSite": {
                "Site": site.dirac_name,
                "LocalSE": site.se,
                "LocalCE": "Pool",
                "GridCE": f"{site.short_name.lower()}-node",
                "CEQueue": "testbed",
                "NumberOfProcessors": str(site.processors),
                "CPUTimeLeft": "100000000",
                "CPUNormalizationFactor": "10",
                "PilotReference": f"testbed-{site.short_name}",
            },
            # the file that jobs read, too
            "AgentJobRequirements": {"ExtraOptions": "pilot.cfg"},
            "Systems": {
                "WorkloadManagement": {"Agents": {component.name: options, "WorkerJobAgent": {"HandlerPath": "WorkerJobAgent"}}}
            },
        },
    )


def _write_run_folder(settings: Settings, site: Site, component: Component) -> None:
    folder, runit = folder_of(settings, site), settings.dirac_root / "runit" / component.full_name
    exports = settings.environment(settings.proxies / "pilot.pem") | {
        "HOME": str(folder),
        "DIRAC_ROOT_PATH": str(folder),
        "DIRAC": str(folder),
        # what else a job starts knows its site from it, too
        "DIRACSYSCONFIG": str(folder / "pilot.cfg"),
        # a job is run by the Python that the one of the virtual environment stands for, which does not know its packages
        "PYTHONPATH": f"{CODE}:{settings.site_packages}:{SOURCE_DIR}",
        "MALLOC_ARENA_MAX": "2",
        "JUNO_WORKER_NODE": str(folder),
    }
    wanted = (
        "PATH",
        "HOME",
        "DIRAC_ROOT_PATH",
        "DIRAC",
        "DIRACSYSCONFIG",
        "PYTHONPATH",
        "PYTHONUNBUFFERED",
        "X509_CERT_DIR",
        "X509_USER_PROXY",
    )
    wanted += ("MALLOC_ARENA_MAX", "RES_OPTIONS", "JUNO_WORKER_NODE")
    lines = "\n".join(f"export {name}={shlex.quote(exports[name])}" for name in wanted)
    matcher = settings.port("WorkloadManagement/Matcher")
    run_script = RUN.format(exports=lines, folder=folder, matcher=matcher, agent=component.full_name)
    write(runit / "run", run_script, 0o755)
    write(runit / "finish", FINISH.format(folder=folder), 0o755)
    write(runit / "log/run", "#!/bin/sh\nexec svlogd .\n", 0o755)
    write(runit / "log/config", "s10000000\nn5\n")
