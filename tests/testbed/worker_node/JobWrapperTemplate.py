#!/usr/bin/env python
"""DIRAC's own job wrapper, which looks for the payload's process five seconds after its start: here at once."""

from pathlib import Path

from DIRAC.Core.Base.Script import Script

Script.parseCommandLine()

from DIRAC.WorkloadManagementSystem.JobWrapper import JobWrapper  # noqa: E402

JobWrapper.CHILD_PID_POLL_INTERVALS = [0.1] * 300
stock = Path(JobWrapper.__file__).with_name("JobWrapperTemplate.py")
# the mark of the folder is put together here, because this file is a template, too
mark = "@SITE{}@".format("PYTHON")
exec(compile(stock.read_text().replace(mark, "@SITEPYTHON@"), stock, "exec"))
