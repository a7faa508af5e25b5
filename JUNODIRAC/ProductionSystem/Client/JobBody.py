"""The workflow of the jobs of a step."""

from __future__ import annotations

from JUNODIRAC.Core.Domain.ChainDescription import ChainDescription, ChainStep


def jobBody(description: ChainDescription, step: ChainStep, production: str) -> str:
    """The XML of a workflow.

    :param production: name of the chain's production
    """
    from DIRAC.Interfaces.API.Job import Job

    job = Job()
    job.setName(f"{production}-{step.name}")
    job.setExecutable(step.executable, arguments=" ".join(step.arguments))
    job.setCPUTime(step.cpuSeconds)
    job.setNumberOfProcessors(step.cores)
    job.setPriority(step.priority)
    return str(job.workflow.toXML())
