"""Problems with ingest reach people by mail, once, and once more when they are over."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from junotestbed.configuration import write_cfg
from junotestbed.mail_sink import Mail, read_mails
from junotestbed.observe import Database, allConsumed, replicasOf, waitUntil
from junotestbed.shell import write
from junotestbed.traffic import announce, file_name, make_files

pytestmark = pytest.mark.integration

WATCH = "RawData_IngestWatchAgent"
CATALOGUE = "DataManagement_FileCatalog"
NOTIFICATION = "Framework_Notification"
# short times, and alerts that go to somebody other than the production manager
OPTIONS = {"ServiceDownSeconds": "5", "MailPeriodSeconds": "3600", "ProbeSeconds": "5", "MaxRetryDelay": "10"}
RECIPIENT = "shifter@localhost"
SILENT_TYPE = {
    "Topic": "juno.alarm", "SourceSE": "IHEP-JUNOEOS", "Destinations": "JINR-EOS", "EOSRoot": "/eos", "Campaign": "Alarm",
    "NamePattern": "Alarm.{RunNumber:d}.dat", "DirectoryPattern": "/juno/alarm/{Day:8}", "BlockRule": "{Day}",
    "SilenceAlarmSeconds": "1",
}  # fmt: skip


class Watch:
    """The testbed's watch, its mails since the test began, and the alerts in its table."""

    def __init__(self, testbed, database: Database) -> None:
        self.testbed, self.database = testbed, database
        self._before = len(read_mails(testbed.settings))

    def about(self, text: str) -> list[Mail]:
        return [mail for mail in read_mails(self.testbed.settings)[self._before :] if text in mail.text]

    def occurrences(self, problem: str) -> int:
        rows = self.database.rows("RawDataDB", "SELECT Occurrences FROM Alerts WHERE Problem = %s AND EndedTime IS NULL", problem)
        return rows[0][0] if rows else 0

    def goesOn(self, problem: str, cycles: int = 2) -> None:
        """Wait until the watch has seen a problem in so many more cycles."""
        before = self.occurrences(problem)
        waitUntil(f"{problem} seen again", lambda: self.occurrences(problem) >= before + cycles, 60)

    def log(self) -> str:
        folder = self.testbed.settings.dirac_root / "runit/RawData/IngestWatchAgent/log"
        return (folder / "current").read_text(errors="replace")


@pytest.fixture(scope="module")
def shortWatch(testbed) -> Iterator[int]:
    """The agent with short times, from a file of its own; earlier tests' problems are settled before.

    :returns: number of mails before its first
    """
    path = testbed.settings.dirac_root / f"etc/{WATCH}.cfg"
    before = path.read_text()
    alerts = {"RawData": {"Alerts": {"Recipients": RECIPIENT}, "Types": {"Alarm": SILENT_TYPE}}}
    content = {"Systems": {"RawData": {"Agents": {"IngestWatchAgent": OPTIONS}}}, "Operations": {"Defaults": alerts}}
    testbed.dirac.control("down", WATCH)
    database = Database(testbed)
    database.rows("RawDataDB", "UPDATE Quarantine SET State = 'Dropped' WHERE State = 'Open'")
    for table in ("Alerts", "IngestRates", "Sweeps"):
        database.rows("RawDataDB", f"DELETE FROM {table}")
    write_cfg(path, content)
    mails = len(read_mails(testbed.settings))
    testbed.dirac.control("up", WATCH)
    yield mails
    testbed.dirac.control("down", WATCH)
    write(path, before)
    testbed.dirac.control("up", WATCH)


@pytest.fixture
def watch(testbed, database, shortWatch) -> Watch:
    return Watch(testbed, database)


@pytest.fixture
def stopped(testbed) -> Iterator[Callable[[str], None]]:
    """Stops a service; what a test leaves stopped is started again."""
    names: list[str] = []

    def stop(name: str) -> None:
        names.append(name)
        testbed.dirac.control("down", name)

    yield stop
    testbed.dirac.control("up", *names)


def test_hundreds_of_refused_announcements_are_one_mail_with_type_share_reasons_and_command(testbed, watch, freshDay):
    directory = f"/eos/juno/raw/{freshDay[:4]}/{freshDay[4:]}"
    empty = [
        {"FileName": file_name("Raw", 9701, n, freshDay), "FilePath": directory, "Checksum": "00000001", "FileSize": 0}
        for n in range(250)
    ]
    nameless = [{"FilePath": directory, "Checksum": "00000001"} for _ in range(50)]
    announce(testbed.settings, "juno.raw", [(freshDay, content) for content in (*empty, *nameless)])
    waitUntil("all received", lambda: allConsumed(testbed), 60)
    sentence = "too many announcements of Type Raw are refused"
    waitUntil("a mail", lambda: bool(watch.about(sentence)), 60)
    watch.goesOn("quarantine:Raw")
    (mail,) = watch.about(sentence)
    print(f"From: {mail.sender}\nTo: {', '.join(mail.recipients)}\nSubject: {mail.subject}\n\n{mail.text}")
    assert mail.recipients == [RECIPIENT]
    assert sentence in mail.subject
    assert "100 %" in mail.text
    assert mail.text.index("ZeroSize") < mail.text.index("BadField")
    assert "dirac-juno-quarantine list --type Raw" in mail.text


def test_a_file_that_is_announced_with_another_content_is_told(testbed, watch, freshDay):
    (file,) = make_files(testbed.settings, "RTRaw", freshDay, 1, 1000, run=9702)
    announce(testbed.settings, "juno.rtraw", [(freshDay, file.announcement())])
    waitUntil("the file is registered", lambda: len(replicasOf([file])) == 1, 60)
    announce(testbed.settings, "juno.rtraw", [(freshDay, file.announcement(Checksum="0badcafe"))])
    waitUntil("a mail", lambda: bool(watch.about("files of Type RTRaw were announced again")), 60)
    (mail,) = watch.about("files of Type RTRaw were announced again")
    assert file.file_name in mail.text
    assert "dirac-juno-quarantine list --type RTRaw --code Conflict" in mail.text


def test_a_type_of_which_nothing_is_announced_is_told(watch, shortWatch):
    about = "no file of Type Alarm is announced"
    waitUntil("its record", lambda: watch.occurrences("silence:Alarm") > 0, 60)
    told = [mail for mail in read_mails(watch.testbed.settings)[shortWatch:] if about in mail.text]
    assert ["none ever came" in mail.text for mail in told] == [True]


def test_a_service_that_is_away_is_one_mail_and_one_when_it_is_back_also_if_the_watch_is_killed(testbed, watch, stopped):
    stopped(CATALOGUE)
    sentence, key = "DataManagement/FileCatalog does not answer", "service:DataManagement/FileCatalog"
    waitUntil("a mail", lambda: bool(watch.about(sentence)), 90)
    testbed.dirac.control("kill", WATCH)
    watch.goesOn(key)
    (mail,) = watch.about(sentence)
    assert "dirac-restart-component DataManagement FileCatalog" in mail.text
    testbed.dirac.control("up", CATALOGUE)
    waitUntil("a mail of its end", lambda: len(watch.about(sentence)) > 1, 90)
    assert "over: " in watch.about(sentence)[1].subject
    waitUntil("the alert's end", lambda: watch.occurrences(key) == 0, 30)
    assert len(watch.about(sentence)) == 2


def test_while_the_ledger_is_away_people_are_told_all_the_same_and_it_is_written_down_afterwards(testbed, watch):
    sentence = "RawData/RawDataDB does not answer"
    testbed.infra.control("down", "mariadb")
    try:
        waitUntil("a mail", lambda: bool(watch.about(sentence)), 90)
    finally:
        testbed.infra.control("up", "mariadb")
    waitUntil("a mail of its end", lambda: len(watch.about(sentence)) > 1, 90)
    assert watch.about("gives no sign of life") == []
    columns = "LastMailTime IS NOT NULL, EndedTime IS NOT NULL"
    written = f"SELECT {columns} FROM Alerts WHERE Problem = 'service:RawData/RawDataDB'"
    waitUntil("the alert with its end", lambda: watch.database.rows("RawDataDB", written) == [(1, 1)], 30)


def test_while_no_mail_can_be_sent_that_is_said_once_and_the_mail_comes_when_it_can(testbed, watch, stopped):
    said, key = "No mail can be sent", "service:DataManagement/FileCatalog"
    waitUntil("no alert of an earlier test", lambda: watch.occurrences(key) == 0, 60)
    before = watch.log().count(said)
    stopped(NOTIFICATION)
    stopped(CATALOGUE)
    waitUntil("the alert", lambda: watch.occurrences(key) > 0, 60)
    watch.goesOn(key, 3)
    assert watch.about("FileCatalog") == []
    assert watch.log().count(said) == before + 1
    testbed.dirac.control("up", NOTIFICATION)
    waitUntil("a mail", lambda: bool(watch.about("DataManagement/FileCatalog does not answer")), 90)
