"""The workflow that the jobs of a step execute, as the body of its transformation."""

from __future__ import annotations

from DIRAC.Interfaces.API.Job import Job
from DIRAC.Workflow.Utilities.Utils import addStepToWorkflow, getStepDefinition

from JUNODIRAC.Core.Domain.ChainDescription import ChainDescription, ChainStep, StepKind

#: the modules of a job, in order
MODULES = (
    "BeginTask",
    "CheckInputs",
    "RunProgram",
    "CheckOutput",
    "UploadOutput",
    "CommitOutput",
    "RegisterOutput",
    "ReportTask",
)
#: JobType, which is the type of the transformation, too
JOB_TYPES = {StepKind.PROCESS: "DataReconstruction", StepKind.MERGE: "Merge"}
_PACKAGE = "JUNODIRAC.Workflow.Modules"
#: what a job leaves for people
_SANDBOX = ("program.log", "summary.json", "job.json")


def jobBody(description: ChainDescription, step: ChainStep, logLevel: str = "INFO") -> str:
    """The workflow as XML, for stock WorkflowTasks, which sets site, name and numbers of each task, in bulk or one by one.

    It names no inputs: a job asks the service for those of its task.

    :param step: of kind process or merge
    :raises ValueError: for a step that runs no jobs
    """
    if step.kind not in JOB_TYPES:
        raise ValueError(f"step {step.name} is of kind {step.kind} and runs no jobs")
    job = Job(stdout="std.out", stderr="std.err")
    job.setName(f"{description.name}-{step.name}")
    job.setType(JOB_TYPES[step.kind])
    job.setCPUTime(step.cpuSeconds)
    job.setPriority(step.priority)
    job.setLogLevel(logLevel)
    job.setRAMRequirements(maxRAM=step.memoryMB)
    if step.cores > 1:
        job.setNumberOfProcessors(step.cores)
    job.setOutputSandbox(list(_SANDBOX))
    # the plan says where a task runs, not where DIRAC finds replicas
    job._addJDLParameter("DisableDataScheduling", "True")
    definition = getStepDefinition(f"{step.kind}Step", list(MODULES), importLine=_PACKAGE, parametersList=[])
    addStepToWorkflow(job.workflow, definition, step.name.replace("-", "_"))
    for name, value in (("PRODUCTION_ID", "00000000"), ("JOB_ID", "00000000")):
        job._addParameter(job.workflow, name, "string", value, f"set by the task manager: {name}")
    body: str = job.workflow.toXML()
    return body
