"""A job of a chain as DIRAC executes it: what it does in which order, and with which code it ends if something goes wrong."""

from __future__ import annotations

import os
import signal
import threading
from types import SimpleNamespace

import pytest
from DIRAC import S_ERROR, S_OK
from DIRAC.Core.Workflow.Workflow import fromXMLString
from jobfakes import AWAY, FakeCatalogue, FakeService, FakeStorage, adler, eventBytes

from JUNODIRAC.Core.Domain.ChainDescription import ChainDescription, ChainStep, StepInput, StepKind
from JUNODIRAC.Core.Domain.JobError import JobError
from JUNODIRAC.Core.Logic.Ports import BulkResult, TemporaryFailure
from JUNODIRAC.ProductionSystem.Client.JobBody import MODULES, jobBody
from JUNODIRAC.Workflow.Job.JobTools import JobTools
from JUNODIRAC.Workflow.Job.Patience import ChainCalls, Patience

pytestmark = pytest.mark.unit

LFN, OUT = "/juno/rtraw/2023/0302/a.rtraw", "/juno/esd/rerec/rawrec/20230302/a_7_1.esd"
REGISTRATION = {
    "productID": 3, "lfn": OUT, "guid": "", "se": "CNAF-STORM", "sizeBytes": 1, "checksum": "", "parents": [LFN], "metadata": {},
    "transformationID": 7, "takers": [8],
}  # fmt: skip
STEP = ChainStep(1, "raw-rec", StepKind.PROCESS, StepInput("RTRaw"), executable="juno-rawrec", cores=2)


class FakeReport:
    def __init__(self):
        self.said = []

    def setApplicationStatus(self, text, sendFlag=True):
        self.said.append(str(text))
        return S_OK()


class FakeRegistrar:
    def __init__(self):
        self.registered = []
        self.trouble = None
        self.failed = {}

    def register(self, outputs):
        if self.trouble:
            raise self.trouble
        self.registered += [each.lfn for each in outputs]
        return BulkResult((), self.failed)


@pytest.fixture
def world(tmp_path, monkeypatch):
    """Everything around a job, and ``execute`` that runs it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JOBID", "42")
    monkeypatch.setenv("DIRACSITE", "DIRAC.CNAF.it")
    monkeypatch.setattr(signal, "signal", lambda *args: None)
    program(tmp_path, monkeypatch, "juno-rawrec", "from JUNODIRAC.Workflow.Programs.RawRec import main; main()")
    content = eventBytes(tmp_path / "made", range(5))
    storages = {"CNAF-STORM": FakeStorage({LFN: content}), "IHEP-JUNOEOS": FakeStorage({LFN: content})}
    begin = {
        "AttemptID": 1, "Done": False, "Error": "", "Detail": "", "SiteSEs": ["CNAF-STORM"], "Unregistered": [],
        "Step": {"Chain": "rerec-1-v1", "Name": "raw-rec", "Kind": "process", "Executable": "juno-rawrec", "Arguments": [],
                 "Cores": 2, "MemoryMB": 4000, "OutputType": "ESD"},
        "Inputs": [{"LFN": LFN, "SizeBytes": len(content), "Checksum": adler(content), "Events": 5}],
        "Output": {"LFN": OUT, "SEs": ["CNAF-STORM", "IHEP-JUNOEOS"]},
    }  # fmt: skip
    commit = {"ProductID": 3, "Registration": REGISTRATION, "Error": "", "Detail": ""}
    service, registrar, report = FakeService(begin, commit), FakeRegistrar(), FakeReport()
    made = SimpleNamespace(service=service, registrar=registrar, report=report, storages=storages, body=body(), path=tmp_path)
    made.execute = lambda: execute(made)
    made.doubts = []
    made.doubt = lambda failures: S_OK(made.doubts.append(failures))
    return made


def program(tmp_path, monkeypatch, name, code):
    """A program in the PATH that runs this Python code."""
    folder = tmp_path / "bin"
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!{os.sys.executable}\n{code}\n")
    (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def body(step=STEP) -> str:
    return jobBody(ChainDescription("rerec", "1", "", (step,)), step)


def execute(world):
    patience = Patience(lambda seconds: None, patienceSeconds=20)
    calls = ChainCalls(world.service, patience)
    tools = JobTools(
        calls, calls, patience, FakeCatalogue(world.storages), world.storages.__getitem__, world.registrar, world.doubt,
        lambda seconds: None,
    )  # fmt: skip
    workflow = fromXMLString(world.body)
    for name, tool in (("JunoJobTools", tools), ("JobReport", world.report), ("FileReport", object()), ("Request", object())):
        workflow.addTool(name, tool)
    workflow.setValue("PRODUCTION_ID", "00000007")
    workflow.setValue("JOB_ID", "00000012")
    return workflow.execute()


def failed(world) -> tuple[str, str]:
    """Runs the job, which fails.

    :returns: name and detail with which the attempt was ended, after the job's own code was compared with them
    """
    result = world.execute()
    assert not result["OK"]
    ((_, exitCode, error, detail),) = world.service.named("endAttempt")
    assert result["Errno"] == exitCode == JobError.named(error).exitCode
    assert JobError.named(error).sentence in world.report.said[-1] or JobError.named(error).sentence[:100] in "".join(
        world.report.said
    )
    assert not world.service.named("commitOutput") or error in ("Refused", "DeclaredDead")
    return error, detail


def test_a_job_gets_its_input_runs_uploads_commits_and_registers(world):
    assert world.execute()["OK"]
    (begin,) = world.service.named("beginTask")
    assert begin[:4] == (7, 12, 42, "DIRAC.CNAF.it")
    assert [call[0] for call in world.service.calls] == ["beginTask", "noteUpload", "commitOutput"]
    ((attemptID, output, inputs),) = world.service.named("commitOutput")
    written = world.storages["CNAF-STORM"].files[OUT]
    assert (attemptID, inputs) == (1, [{"LFN": LFN, "Events": 5}])
    assert (output["LFN"], output["SE"], output["SizeBytes"]) == (OUT, "CNAF-STORM", len(written))
    assert output["Checksum"] == adler(written)
    assert world.registrar.registered == [OUT]
    assert world.report.said[-1] == "5 events of 1 file(s) at CNAF-STORM"


def test_a_job_leaves_what_people_want_to_read_and_no_data(world):
    world.execute()
    left = {path.name for path in world.path.iterdir()}
    assert {"program.log", "summary.json", "job.json"} <= left
    assert not {"inputs", OUT.rpartition("/")[2]} & left


@pytest.mark.parametrize("answer", [S_OK(1), S_ERROR(AWAY)])
def test_the_repair_is_told_of_a_corrupt_replica_and_the_job_takes_another_one(world, answer):
    world.storages["CNAF-STORM"].files[LFN] = b"bad"
    world.doubt = lambda failures: world.doubts.append(failures) or answer
    assert world.execute()["OK"]
    ((se, files),) = world.doubts[0].items()
    assert (se, list(files)) == ("CNAF-STORM", [LFN])


def test_two_executions_of_a_job_are_told_apart(world):
    world.execute()
    world.execute()
    first, second = world.service.named("beginTask")
    assert first[:4] == second[:4]
    assert first[4] != second[4]
    assert len(first[4]) <= 128


def test_statuses_of_a_job_are_few(world):
    """Each is a call to a service, from thousands of jobs at once."""
    world.execute()
    assert len(world.report.said) == 3


def test_a_task_that_others_have_done_is_left_alone_but_for_what_nobody_registered(world):
    world.service.begin |= {"Done": True, "Unregistered": [REGISTRATION]}
    assert world.execute()["OK"]
    assert [call[0] for call in world.service.calls] == ["beginTask"]
    assert world.registrar.registered == [OUT]
    assert world.storages["CNAF-STORM"].asked == []


# ---- what goes wrong: the attempt ends with the code of the job


def refusedTask(world):
    world.service.begin |= {"Error": "Refused", "Detail": "others"}
    return "Refused"


def corruptInput(world):
    for storage in world.storages.values():
        storage.files[LFN] = b"bad"
    return "InputCorrupt"


def unreadableInput(world):
    for storage in world.storages.values():
        storage.trouble = "timed out"
    return "InputUnreadable"


def goneInput(world):
    for storage in world.storages.values():
        storage.files.clear()
    return "InputGone"


def missingProgram(world):
    world.service.begin["Step"]["Executable"] = "no-such-program"
    return "ProgramMissing"


def wrongEvents(world):
    world.service.begin["Inputs"][0]["Events"] = 6
    return "EventsDiffer"


def fullStorages(world):
    for storage in world.storages.values():
        storage.writeTrouble = "disk full"
    return "UploadFailed"


def deadBeforeUpload(world):
    world.service.note = {"Error": "DeclaredDead", "Detail": "attempt 1"}
    return "DeclaredDead"


@pytest.mark.parametrize(
    "trouble",
    [refusedTask, corruptInput, unreadableInput, goneInput, missingProgram, wrongEvents, fullStorages, deadBeforeUpload],
)
def test_each_failure_has_its_code_and_ends_the_attempt(world, trouble):
    expected = trouble(world)
    assert failed(world)[0] == expected
    assert not any(OUT in storage.files for storage in world.storages.values())


WRITE = "import json, sys; of = lambda switch: sys.argv[sys.argv.index(switch) + 1]; out, s, i = map(of, SWITCHES)"
WRITE = WRITE.replace("SWITCHES", "('--output', '--summary', '--input')")
SAY = "json.dump({'inputs': [{'file': i, 'events': 5}], 'output': {'events': 5}}, open(s, 'w'))"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import sys; print('no conditions'); sys.exit(3)", "ProgramFailed"),
        ("import os; os.kill(os.getpid(), 9)", "ProgramKilled"),
        (f"{WRITE}; open(out, 'w').write('x')", "NoSummary"),
        (f"{WRITE}; {SAY}", "NoOutput"),
        (f"{WRITE}; {SAY}; open(out, 'wb')", "NoOutput"),
        (f"{WRITE}; {SAY}; open(out, 'wb').write(b'JUNO-EVENTS 1\\nxyz')", "BadRecords"),
    ],
)
def test_each_way_in_which_a_program_can_fail_has_its_code(world, monkeypatch, code, expected):
    program(world.path, monkeypatch, "other", code)
    world.service.begin["Step"]["Executable"] = "other"
    assert failed(world)[0] == expected


@pytest.mark.parametrize("error", ["Refused", "DeclaredDead"])
def test_an_output_that_the_service_refuses_is_removed_and_not_registered(world, error):
    world.service.commit = {"ProductID": 0, "Error": error, "Detail": "the input is in /juno/esd/other"}
    assert failed(world) == (error, "the input is in /juno/esd/other")
    assert not any(OUT in storage.files for storage in world.storages.values())
    assert not world.registrar.registered


def test_an_output_of_which_the_service_may_know_is_kept_if_it_does_not_answer(world):
    """It may have committed it, and the answer was lost."""
    world.service.down["commitOutput"] = 10**6
    result = world.execute()
    assert result["Errno"] == JobError.SERVICE_AWAY.exitCode
    assert OUT in world.storages["CNAF-STORM"].files


def test_a_service_that_is_away_for_a_while_costs_time_and_nothing_else(world):
    world.service.down |= {"beginTask": 2, "noteUpload": 2, "commitOutput": 2}
    assert world.execute()["OK"]


def test_a_service_that_stays_away_is_named_and_the_program_is_not_run(world):
    world.service.down["beginTask"] = 10**6
    result = world.execute()
    assert result["Errno"] == JobError.SERVICE_AWAY.exitCode
    assert AWAY in "".join(world.report.said) or JobError.SERVICE_AWAY.sentence in "".join(world.report.said)
    assert not (world.path / "program.log").exists()


@pytest.mark.parametrize(
    "trouble", [TemporaryFailure("DataManagement/FileCatalog", AWAY), KeyError("whatever"), RuntimeError("whatever")]
)
def test_a_registration_that_fails_is_left_to_the_recovery_and_no_failure(world, trouble):
    world.registrar.trouble = trouble
    assert world.execute()["OK"]
    assert not world.service.named("endAttempt")
    assert "RegistrationLeft" in world.report.said[-1]


def test_what_the_catalogue_says_against_an_output_is_shown(world):
    world.registrar.failed = {OUT: "the directory carries another Block"}
    assert world.execute()["OK"]
    assert "another Block" in world.report.said[-1]


def test_a_failure_that_nobody_thought_of_ends_the_attempt_too(world, monkeypatch):
    monkeypatch.setattr("JUNODIRAC.Workflow.Modules.CheckOutput.adler32", lambda path: 1 / 0)
    error, detail = failed(world)
    assert error == "Internal"
    assert "ZeroDivisionError" in detail


def test_a_job_that_is_told_to_stop_ends_its_program_and_its_attempt(world, monkeypatch):
    monkeypatch.undo()
    monkeypatch.chdir(world.path)
    monkeypatch.setenv("JOBID", "42")
    code = f"import os, time; open('{world.path}/pid', 'w').write(str(os.getpid())); time.sleep(600)"
    program(world.path, monkeypatch, "slow", code)
    world.service.begin["Step"]["Executable"] = "slow"
    before = signal.getsignal(signal.SIGTERM)

    def stop():
        while not ((world.path / "pid").exists() and (world.path / "pid").read_text()):
            threading.Event().wait(0.02)
        os.kill(os.getpid(), signal.SIGTERM)

    stopper = threading.Thread(target=stop)
    stopper.start()
    try:
        assert failed(world)[0] == "Stopped"
    finally:
        stopper.join()
        signal.signal(signal.SIGTERM, before)
    with pytest.raises(ProcessLookupError):
        os.kill(int((world.path / "pid").read_text()), 0)


# ---- the body


def test_the_body_names_what_the_job_needs_and_no_inputs(world):
    workflow = fromXMLString(body())
    values = {parameter.getName(): parameter.getValue() for parameter in workflow.parameters}
    assert values["JobType"] == "DataReconstruction"
    assert (values["NumberOfProcessors"], values["MaxRAM"], values["CPUTime"]) == ("2", "4000", "86400")
    assert not values["InputData"]
    assert [module.getName() for module in next(iter(workflow.step_definitions.values())).module_instances] == list(MODULES)


def test_a_step_that_copies_has_no_body():
    with pytest.raises(ValueError, match="runs no jobs"):
        body(ChainStep(1, "replicate", StepKind.REPLICATE, StepInput("ESD")))
