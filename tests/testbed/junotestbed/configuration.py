"""The configuration files of the DIRAC installation: local ones, and what the configuration server starts with."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlparse

from diraccfg import CFG

from junotestbed.certificates import HOST_DN, USERS
from junotestbed.settings import CS_NAME, SITES, SOURCE_DIR, VO, Settings, Site
from junotestbed.shell import write

BASHRC = """# sourced by every run script that DIRAC's ComponentInstaller writes
export DIRAC_ROOT_PATH={root} DIRAC={root}
export PATH={venv}/bin:$DIRAC_ROOT_PATH/bin:/usr/sbin:/usr/bin:/sbin:/bin
export X509_CERT_DIR=$DIRAC_ROOT_PATH/etc/grid-security/certificates
# the sysadmin CLI writes Host = localhost for a database, which MariaDB's client takes for its Unix socket
export MYSQL_UNIX_PORT={socket}
export PYTHONUNBUFFERED=yes HOME=$DIRAC_ROOT_PATH/work
# the source tree that the testbed was started from, whatever the virtual environment has
export PYTHONPATH={source}/tests/testbed/loopback:{source}
# XRootD's client looks up the names of bare addresses: where nobody answers, not to wait long for it
export RES_OPTIONS="timeout:1 attempts:1"
# DIRAC asks scitags.org for a table before its first FTS3 job: nothing of the testbed goes out of this machine
export https_proxy=http://127.0.0.1:9 no_proxy=localhost,127.0.0.1,{fts3_host}
# DIRAC's clients open many small arenas otherwise
export MALLOC_ARENA_MAX=2
# the installer runs a new run script for five seconds, by its absolute path and with the installer's proxy: make that a no-op
case "$0" in "$DIRAC_ROOT_PATH"/runit/*/run) exit 0;; esac
# hide a proxy that somebody left in the temporary folder; it must be a file that exists
case "$0" in ./run) export X509_USER_PROXY=$DIRAC_ROOT_PATH/etc/no-proxy.pem;; esac
"""

# Debian's runit lacks these two, which DIRAC's ComponentInstaller calls
RUNSVCTRL = '#!/bin/sh\nmode=$1; shift; exec sv "$mode" "$@"\n'
RUNSVSTAT = """#!/bin/sh
# one line a folder with exactly one colon, and exit status 0 always: that is what DIRAC parses
for d in "$@"; do
    l=$(sv status "$d" 2>&1); l=${l%%;*}
    case ${l%%:*} in
        run) p=$(echo "$l" | sed -n 's/.*(pid \\([0-9]*\\)).*/\\1/p')
             t=$(echo "$l" | sed -n 's/.*(pid [0-9]*) \\([0-9]*\\)s.*/\\1/p')
             echo "$d: run (pid $p) $t seconds" ;;
        down|finish) t=$(echo "$l" | sed -n 's/.*: \\([0-9]*\\)s.*/\\1/p'); echo "$d: down $t seconds" ;;
        *) echo "$d: runsv not running" ;;
    esac
done
exit 0
"""


def write_cfg(path: Path, content: dict, mode: int = 0o644) -> None:
    cfg = CFG()
    cfg.loadFromDict(content)
    write(path, cfg.serialize(), mode)


def write_local_files(settings: Settings) -> None:
    """bashrc, wrappers, ``dirac.cfg`` and the configuration server's own file; repeated at each start, they hold no state."""
    root = settings.dirac_root
    for folder in ("startup", "runit", "control", "work", "etc/csbackup"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    fts3_host = urlparse(settings.fts3_endpoint).hostname
    places = {"root": root, "venv": settings.venv, "socket": settings.mysql_socket, "source": SOURCE_DIR, "fts3_host": fts3_host}
    write(root / "bashrc", BASHRC.format(**places))
    write(root / "bin/runsvctrl", RUNSVCTRL, 0o755)
    write(root / "bin/runsvstat", RUNSVSTAT, 0o755)
    write(root / "etc/no-proxy.pem", "", 0o600)
    _write_dirac_cfg(settings)
    _write_service_files(settings)


def _write_dirac_cfg(settings: Settings) -> None:
    root, choices = settings.dirac_root, settings.choices
    security = root / "etc/grid-security"
    database = {
        "User": "Dirac",
        "Password": choices.database_password,
        "Host": "127.0.0.1",
        "Port": str(settings.port("mariadb")),
    }
    write_cfg(
        root / "etc/dirac.cfg",
        {
            "DIRAC": {
                "VirtualOrganization": VO,
                "NoSetup": "True",
                # without it the service URLs carry the machine's own name, which is not in the certificate
                "Hostname": "localhost",
                "Configuration": {"Name": CS_NAME, "Servers": cs_url(settings), "RefreshTime": "15"},
                "Security": {"CertFile": f"{security}/hostcert.pem", "KeyFile": f"{security}/hostkey.pem"},
            },
            "LocalInstallation": {
                "Host": "localhost",
                "Database": database | {"RootUser": "root", "RootPwd": choices.database_root_password},
            },
            "Systems": {
                "Databases": database,
                "WorkloadManagement": {"Databases": {"JobParametersDB": job_parameters(settings)}},
            },
        },
        0o600,
    )


def job_parameters(settings: Settings) -> dict:
    """Where the parameters of jobs are kept; the stand-in for OpenSearch lets in everybody on this machine."""
    port = str(settings.port("opensearch-standin"))
    return {"Host": "127.0.0.1", "Port": port, "User": "Dirac", "Password": "none", "SSL": "no", "CRT": "no"}


def _write_service_files(settings: Settings) -> None:
    """Of the services that need something before, or outside, the central configuration."""
    root = settings.dirac_root
    # in the service's own file: in the central configuration DIRAC's installer would take it for an installed service's section
    smtp = {"Host": "127.0.0.1", "Port": str(settings.port("mail-sink")), "FromAddress": "dirac@localhost"}
    write_cfg(
        root / "etc/Framework_Notification.cfg",
        {"Systems": {"Framework": {"Services": {"Notification": {"SMTP": smtp}}}}},
    )
    write_cfg(
        root / "etc/Configuration_Server.cfg",
        {
            "DIRAC": {"Configuration": {"Master": "yes", "Name": CS_NAME}},
            "Systems": {
                "Configuration": {
                    "Services": {
                        "Server": {
                            "HandlerPath": "DIRAC/ConfigurationSystem/Service/ConfigurationHandler.py",
                            "Port": str(settings.port("Configuration/Server")),
                            "VerifyDiracXSyncOnCommit": "False",
                            "Authorization": {
                                "Default": "authenticated",
                                "publishSlaveServer": "TrustedHost",
                                "commitNewData": "CSAdministrator",
                                "rollbackToVersion": "CSAdministrator",
                                "getVersionContents": "ServiceAdministrator, CSAdministrator",
                                "forceGlobalConfigurationUpdate": "CSAdministrator",
                            },
                        }
                    }
                }
            },
        },
    )


def cs_url(settings: Settings) -> str:
    return f"dips://localhost:{settings.port('Configuration/Server')}/Configuration/Server"


def write_initial_cs(settings: Settings) -> None:
    """What the configuration server starts with; afterwards the file is the server's own."""
    path = settings.dirac_root / f"etc/{CS_NAME}.cfg"
    if not path.exists():
        write(path, initial_cs(settings).serialize(), 0o600)


def is_old_cs(settings: Settings) -> bool:
    """Whether the central configuration is one of a version that did not run jobs yet."""
    path, cfg = settings.dirac_root / f"etc/{CS_NAME}.cfg", CFG()
    if not path.exists():
        return False
    cfg.loadFromFile(str(path))
    return not cfg.isSection(f"Registry/Groups/{VO}_pilot")


def upgrade_cs(settings: Settings) -> None:
    """Bring what a new state would start with into the central configuration of an older one, whose server must not run."""
    path, cfg = settings.dirac_root / f"etc/{CS_NAME}.cfg", CFG()
    cfg.loadFromFile(str(path))
    write(path, cfg.mergeWith(initial_cs(settings)).serialize(), 0o600)


def initial_cs(settings: Settings) -> CFG:
    cfg = CFG()
    # the fragment that an administrator merges, then what only this testbed knows
    cfg.loadFromFile(str(SOURCE_DIR / "etc/rawdata-operations.cfg"))
    own = CFG()
    own.loadFromDict(
        {
            "DIRAC": {
                "VirtualOrganization": VO,
                "NoSetup": "True",
                "Configuration": {"Name": CS_NAME, "Servers": cs_url(settings), "MasterServer": cs_url(settings)},
            },
            "DiracX": {"DisabledVOs": VO},
            "Systems": {"Configuration": {"URLs": {"Server": cs_url(settings)}}, "WorkloadManagement": workload_management()},
            "Registry": registry(),
            "Resources": resources(settings),
            "Operations": {"Defaults": operations(settings)},
        }
    )
    return cfg.mergeWith(own)


def registry() -> dict:
    """Users, groups and the host with their rights."""
    trusted = "ServiceAdministrator, CSAdministrator, JobAdministrator, FullDelegation, ProxyManagement, Operator, SiteManager"
    properties = {
        "dirac_admin": f"{trusted}, NormalUser",
        f"{VO}_prod": "NormalUser, ProductionManagement, FileCatalogManagement, LimitedDelegation",
        f"{VO}_shifter": "NormalUser",
        "visitor": "LimitedDelegation",
        f"{VO}_pilot": "GenericPilot, LimitedDelegation",
    }
    registered = [user for user in USERS if user.group]
    return {
        "DefaultGroup": f"{VO}_shifter",
        "Users": {user.name: {"DN": user.dn, "Email": f"{user.name}@localhost"} for user in registered},
        "Groups": {
            group: {
                "Users": ", ".join(user.name for user in registered if user.group == group),
                "Properties": rights,
                "AutoUploadProxy": "False",
                **({} if group == "visitor" else {"VO": VO}),
            }
            for group, rights in properties.items()
        },
        "Hosts": {"localhost": {"DN": HOST_DN, "Properties": f"{trusted}, TrustedHost, ProductionManagement"}},
        "VO": {VO: {"VOAdmin": "admin"}},
    }


def storage_element(settings: Settings, site: Site) -> dict:
    host, port = settings.site_address(site)
    return {
        "BackendType": "XRootD",
        "GFAL2_XROOT": {
            "PluginName": "GFAL2_XROOT",
            "Protocol": "root",
            "Host": host,
            "Port": str(port),
            "Path": site.path,
            "Access": "remote",
        },
    }


def resources(settings: Settings) -> dict:
    return {
        "FileCatalogs": {"FileCatalog": {"AccessType": "Read-Write", "Status": "Active", "Master": "True"}},
        "FTSEndpoints": {"FTS3": {"TESTBED-FTS3": settings.fts3_endpoint}},
        # with ChecksumType DIRAC asks the source for its checksum, and compares it, before it submits a copy
        "StorageElements": {"ChecksumType": "ADLER32", "ProductionSandboxSE": sandbox_element(settings)}
        | {site.se: storage_element(settings, site) for site in SITES},
        "Sites": {"DIRAC": {site.dirac_name: {"SE": site.se} | computing_element(site) for site in SITES}},
    }


def sandbox_element(settings: Settings) -> dict:
    """The storage of SandboxStore, the only one that speaks DIRAC's own protocol."""
    return {
        "BackendType": "DISET",
        "AccessProtocols": "dips",
        "WriteProtocols": "dips",
        "DIP": {
            "PluginName": "DIP",
            "Protocol": "dips",
            "Host": "localhost",
            "Port": str(settings.port("WorkloadManagement/SandboxStore")),
            "Path": "/WorkloadManagement/SandboxStore",
            "Access": "remote",
        },
    }


def computing_element(site: Site) -> dict:
    if not site.processors:
        return {}
    queue = {"maxCPUTime": "200000", "SI00": "2500"}
    name = f"{site.short_name.lower()}-node"
    return {"CEs": {name: {"CEType": "SSH", "NumberOfProcessors": str(site.processors), "Queues": {"testbed": queue}}}}


def workload_management() -> dict:
    """Jobs that start soon, say soon that they are alive, and leave their working folders behind."""
    return {
        "Executors": {"JobScheduling": {"HoldTime": "10"}},
        # seconds: between two looks at the payload, and between two signs of life
        "JobWrapper": {"PollingTime": "1", "CheckingTime": "10", "MinCheckingTime": "10", "CleanUpFlag": "no"},
    }


def operations(settings: Settings) -> dict:
    manager = {"User": "prod", "Group": f"{VO}_prod"}
    return {
        "EMail": {"Production": "prod@localhost"},
        "Shifter": {"ProductionManager": manager, "DataManager": manager},
        "RawData": {
            "Kafka": {"Brokers": settings.kafka_brokers},
            # small groups that go out soon, since blocks here have tens of files, not thousands; the second look comes soon, too
            "Types": {
                name: {"GroupSize": "10", "MaxWaitSeconds": "5", "SecondLookSeconds": "10", "RepairAttempts": "4"}
                for name in ("Raw", "RTRaw")
            },
            "Sources": {"RetryWaitScale": "0.1"},
            "Chains": {"ZombieSeconds": "120"},
        },
        "Services": {"Catalogs": {"CatalogList": "FileCatalog"}},
        "InputDataPolicy": {"Default": "DIRAC.WorkloadManagementSystem.Client.DownloadInputData"},
        "ResourceStatus": {
            "Config": {
                "State": "Active",
                "Cache": "60",
                "StatusTypes": {"default": "all", "StorageElement": "ReadAccess, WriteAccess, CheckAccess, RemoveAccess"},
            }
        },
    }
