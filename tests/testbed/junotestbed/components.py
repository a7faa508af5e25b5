"""What runs on the testbed of DIRAC: databases, services and agents, with the options that differ from the templates.

The options make a small machine of it: few worker processes, a safety net that comes around every minute. Everything else
comes from the templates, those of this extension included.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from junotestbed.settings import SITES

# stands for the folder of the sandboxes, which depends on the state folder
SANDBOXES = "<sandboxes>"

STOCK_DATABASES = (
    "InstalledComponentsDB",
    "ProxyDB",
    "FileCatalogDB",
    "FTS3DB",
    "TransformationDB",
    "ReqDB",
    "ResourceStatusDB",
    "AccountingDB",
    "SandboxMetadataDB",
    "JobDB",
    "JobLoggingDB",
    "TaskQueueDB",
    "PilotAgentsDB",
    "ProductionDB",
)
OWN_DATABASES = ("RawDataDB",)


@dataclass(frozen=True)
class Component:
    """One DIRAC component; ``module`` where the instance's name is not the module's."""

    kind: str
    system: str
    name: str
    options: Mapping[str, str] = field(default_factory=dict)
    module: str = ""

    @property
    def full_name(self) -> str:
        return f"{self.system}/{self.name}"

    @property
    def link(self) -> str:
        return f"{self.system}_{self.name}"


def service(system: str, name: str, **options: object) -> Component:
    return Component("service", system, name, {key: str(value) for key, value in options.items()})


def agent(system: str, name: str, module: str = "", **options: object) -> Component:
    return Component("agent", system, name, {key: str(value) for key, value in options.items()}, module)


STOCK = (
    service("Framework", "ComponentMonitoring"),
    service("Framework", "SystemAdministrator"),
    service("Framework", "ProxyManager"),
    service("Framework", "Notification"),
    service("DataManagement", "FileCatalog"),
    service("DataManagement", "FTS3Manager"),
    service("Transformation", "TransformationManager"),
    service("RequestManagement", "ReqManager"),
    service("ResourceStatus", "ResourceStatus"),
    service("Accounting", "DataStore"),
    service("Accounting", "ReportGenerator"),
    agent("Transformation", "TransformationAgent"),
    # what a killed agent held is given out again soon
    agent("Transformation", "RequestTaskAgent", ReservedSeconds=30),
    agent("Transformation", "InputDataAgent", PollingTime=60),
    # its ArchiveAfter is in days: what a test wants archived is made older than that
    agent("Transformation", "TransformationCleaningAgent", PollingTime=30, ArchiveAfter=1),
    agent("RequestManagement", "RequestExecutingAgent", MinProcess=2, MaxProcess=4),
    agent("RequestManagement", "CleanReqDBAgent", PollingTime=10, KickGraceSeconds=60),
    agent("DataManagement", "FTS3Agent", ProxyLifetime=43200, KickAssignedHours=0),
    # --- jobs
    service("WorkloadManagement", "JobManager", MaxParametricJobs=1000),
    service("WorkloadManagement", "JobMonitoring"),
    service("WorkloadManagement", "JobStateUpdate"),
    service("WorkloadManagement", "Matcher"),
    service("WorkloadManagement", "OptimizationMind"),
    service("WorkloadManagement", "SandboxStore", BasePath=SANDBOXES),
    service("Production", "ProductionManager"),
    Component("executor", "WorkloadManagement", "Optimizers"),
    # a job of which nothing was heard for 45 seconds is dead (the times are in periods of JobWrapper/CheckingTime)
    agent("WorkloadManagement", "StalledJobAgent", PollingTime=10, StalledTimeHours=4, FailedTimeHours=5, MatchedTime=120),
    agent("Transformation", "WorkflowTaskAgent", ReservedSeconds=60, FollowSeconds=5),
)

# one of them at each site that has processors: the agent that a pilot job starts on a worker node. They are no part of the
# installation of the server, so DIRAC's installer does not know them
WORKER_NODES = tuple(Component("agent", "WorkloadManagement", f"{site.short_name}JobAgent") for site in SITES if site.processors)

OWN = (
    service("RawData", "RawDataManager"),
    service("Production", "ChainManager"),
    agent("Production", "ChainAgent", PollingTime=10, ProbePeriodSeconds=5, CountSeconds=5, RefreshSeconds=60),
    agent(
        "Production",
        "ChainRecoveryAgent",
        PollingTime=10,
        SecondsPerCycle=30,
        StuckSeconds=20,
        UnsubmittedSeconds=120,
        FirstWaitSeconds=2,
        MaxWaitSeconds=20,
        CopyStuckSeconds=120,
        RegisterAfterSeconds=15,
        AuditAgainSeconds=20,
        ChecksumsPerSecond=0,
        TimeScale=0.1,
    ),
    agent("RawData", "RawReceiverAgent", module="DataReceiverAgent"),
    agent("RawData", "RTRawReceiverAgent", module="DataReceiverAgent"),
    agent("RawData", "IngestWatchAgent", PollingTime=10, MaxRetryDelay=30),
    agent("RawData", "BlockAgent", PollingTime=10, RepairPatienceSeconds=120),
    agent("RawData", "BlockValidationAgent", PollingTime=10, SecondsPerCycle=8, RetrySeconds=10, MaxRetrySeconds=30),
    agent("RawData", "BlockRepairAgent", PollingTime=10, SecondsPerCycle=8, StuckSeconds=120, TimeScale=0.02),
)

CONFIGURATION_SERVER = Component("service", "Configuration", "Server")
ALL = (CONFIGURATION_SERVER, *STOCK, *OWN, *WORKER_NODES)
