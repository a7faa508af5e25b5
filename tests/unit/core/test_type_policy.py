"""A Type's policy: contradictions are refused by option, files resolve to LFN and block."""

from __future__ import annotations

from pathlib import Path

import pytest
from diraccfg import CFG
from fakes import RAW_OPTIONS, raw_name, raw_policy
from hypothesis import given
from hypothesis import strategies as st

from JUNODIRAC.Core.Domain.Announcement import BadAnnouncement
from JUNODIRAC.Core.Domain.PolicyError import PolicyError
from JUNODIRAC.Core.Domain.Reason import Reason
from JUNODIRAC.Core.Domain.TypePolicy import TypePolicy

pytestmark = pytest.mark.unit

NAME = raw_name(42)


@pytest.mark.parametrize(
    "path",
    [
        "/eos/juno/raw/2023/0302",
        "/eos/juno/raw/2023/0302/",
        f"/eos/juno/raw/2023/0302/{NAME}",
        f"/eos/juno/raw/2023/0302/{NAME}/",
        "root://junoeos.example.org//eos/juno/raw/2023/0302",
        f"root://junoeos.example.org:1094//eos/juno/raw/2023/0302/{NAME}",
        "root://junoeos.example.org/eos/juno/raw/2023/0302/",
    ],
)
def test_every_form_of_the_path_gives_the_same_file(path: str) -> None:
    policy = raw_policy()
    file = policy.resolve(NAME, path)
    assert file.lfn == f"/juno/raw/2023/0302/{NAME}"
    assert file.block == "20230302"
    assert (file.fields["RunNumber"], file.fields["FileSequence"], file.fields["Year"]) == ("1207", "42", "2023")
    block = policy.blockOf(file)
    assert (block.directory, block.metadata) == ("/juno/raw/2023/0302", {"Block": "20230302", "Type": "Raw"})
    assert policy.transformationName(block.name, "JINR-EOS") == "Commissioning-20230302-JINR-EOS"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("juno/raw/2023/0302", Reason.BAD_PATH),
        ("/juno/raw/2023/0302", Reason.BAD_PATH),
        ("/eosx/juno/raw/2023/0302", Reason.BAD_PATH),
        ("/eos", Reason.BAD_PATH),
        ("/eos/", Reason.BAD_PATH),
        ("/eos/juno/raw/2023//0302", Reason.BAD_PATH),
        ("/eos/juno/raw/2023/0302/..", Reason.BAD_PATH),
        ("/eos//juno/raw/2023/0302", Reason.BAD_PATH),
        ("/eos/juno/raw/2023/0302/other.dat", Reason.BAD_PATH),
        ("/eos/juno/raw/23/0302", Reason.BAD_PATH),
        ("/eos/juno/raw/2023/0302?x=1", Reason.BAD_PATH),
        ("/eos/" + "x" * 300, Reason.NAME_TOO_LONG),
    ],
)
def test_a_path_elsewhere_is_refused(path: str, reason: Reason) -> None:
    with pytest.raises(BadAnnouncement) as caught:
        raw_policy().resolve(NAME, path)
    assert caught.value.reason == reason
    assert caught.value.fileName == NAME


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Daq.1.dat", Reason.BAD_NAME),
        (NAME.replace("global", "glob'al"), Reason.BAD_NAME),
        (NAME.replace("global", "glöbal"), Reason.BAD_NAME),
        (NAME.replace("global", "x" * 100), Reason.NAME_TOO_LONG),
    ],
)
def test_a_name_that_the_catalogue_or_the_pattern_does_not_take_is_refused(name: str, reason: Reason) -> None:
    with pytest.raises(BadAnnouncement) as caught:
        raw_policy().resolve(name, "/eos/juno/raw/2023/0302")
    assert caught.value.reason == reason


def test_a_name_of_128_characters_is_taken() -> None:
    name = NAME.replace("global", "g" * (128 - len(NAME) + len("global")))
    assert len(raw_policy().resolve(name, "/eos/juno/raw/2023/0302").fileName) == 128


def test_names_beyond_what_the_tables_hold_are_refused() -> None:
    policy = raw_policy(DirectoryPattern="/juno/{Part}/{Day}", BlockRule="{Part}{Day}")
    for part, day in (("p" * 100, "d" * 100), ("p" * 65, "d" * 65)):
        with pytest.raises(BadAnnouncement) as caught:
            policy.resolve(NAME, f"/eos/juno/{part}/{day}")
        assert caught.value.reason == Reason.NAME_TOO_LONG


@given(st.text(max_size=80), st.text(max_size=120))
def test_resolving_anything_gives_a_plain_lfn_or_a_bad_announcement(name: str, path: str) -> None:
    policy = raw_policy(NamePattern="{Name}.dat", DirectoryPattern="/{A}/{B}", BlockRule="{A}{B}", EOSRoot="")
    for fileName, filePath in ((name, path), (f"{name}.dat", f"/{path}/x")):
        try:
            file = policy.resolve(fileName, filePath)
        except BadAnnouncement as error:
            assert error.detail
        else:
            assert file.lfn.startswith("/")
            assert {"", ".", ".."}.isdisjoint(file.lfn.split("/")[1:])
            assert file.lfn.isascii()


def test_a_field_in_name_and_directory_must_agree() -> None:
    policy = raw_policy(DirectoryPattern="/juno/raw/{RunNumber:d}", BlockRule="{RunNumber}")
    assert policy.resolve(NAME, "/eos/juno/raw/1207").block == "1207"
    with pytest.raises(BadAnnouncement, match="RunNumber is '1207' in the name and '9' in the path"):
        policy.resolve(NAME, "/eos/juno/raw/9")


@pytest.mark.parametrize(
    ("options", "directory"),
    [
        ({"BlockRule": "{Year}"}, "/juno/raw/2023"),
        ({"BlockRule": "{Campaign}"}, "/juno/raw"),
        ({"LFNRule": "/juno/{Type}/{Year}{MonthDay}/{RunNumber}/{FileName}"}, "/juno/Raw/20230302"),
    ],
)
def test_the_blocks_directory_is_the_shortest_that_determines_it(options: dict[str, str], directory: str) -> None:
    policy = raw_policy(**options)
    file = policy.resolve(NAME, "/eos/juno/raw/2023/0302")
    assert policy.blockOf(file).directory == directory
    assert file.lfn.startswith(f"{directory}/")


BAD_OPTIONS = [
    ("Topic", {"Topic": ""}, "missing"),
    ("Topic", {"Topic": "juno raw"}, "Kafka"),
    ("SourceSE", {"SourceSE": " "}, "missing"),
    ("Destinations", {"Destinations": "CNAF-STORM, IHEP-JUNOEOS"}, "is the SourceSE"),
    ("Destinations", {"Destinations": "CNAF-STORM,CNAF-STORM"}, "twice"),
    ("Destinations", {"Destinations": ","}, "no storage element"),
    ("Campaign", {"Campaign": ""}, "TransformationRule uses it"),
    ("Campaign", {"Campaign": "a/b"}, "no plain name"),
    ("EOSRoot", {"EOSRoot": "eos"}, "absolute"),
    ("NamePattern", {"NamePattern": "Daq.{Run"}, "brace"),
    ("NamePattern", {"NamePattern": "a/{Run}"}, "'/'"),
    ("NamePattern", {"NamePattern": "{Block}.dat"}, "meaning of its own"),
    ("DirectoryPattern", {"DirectoryPattern": "juno/{Year:4}"}, "absolute"),
    ("DirectoryPattern", {"DirectoryPattern": "/juno//{Year:4}"}, "absolute"),
    ("BlockRule", {"BlockRule": "{RunNumber}"}, "never finer than a directory"),
    ("BlockRule", {"BlockRule": "{Month}"}, "unknown"),
    ("BlockRule", {"BlockRule": "{MonthDay}"}, "several directories"),
    ("BlockRule", {"BlockRule": "{Year}/{MonthDay}"}, "'/'"),
    ("LFNRule", {"LFNRule": "/juno/{Type}/{FileName}"}, "several blocks in one directory"),
    ("LFNRule", {"LFNRule": "{Directory}/{RunNumber}"}, "share an LFN"),
    ("LFNRule", {"LFNRule": "{FileName}"}, "absolute"),
    ("LFNRule", {"LFNRule": "{FileName}{Directory}"}, "absolute"),
    ("LFNRule", {"LFNRule": "/x/{FileName}{Directory}/y"}, "one block would have several|several blocks"),
    ("TransformationRule", {"TransformationRule": "{Campaign}-{Block}"}, "share a name"),
    ("TransformationRule", {"TransformationRule": "{Year}-{Block}-{SE}"}, "unknown"),
    ("GroupSize", {"GroupSize": "0"}, "needs a file"),
    ("GroupSize", {"GroupSize": "many"}, "whole number"),
    ("MaxWaitSeconds", {"MaxWaitSeconds": "-1"}, "not from 0"),
    ("MaxWaitSeconds", {"MaxWaitSeconds": "1.5"}, "whole number"),
    ("StatusTopic", {"StatusTopic": "juno raw"}, "Kafka"),
    ("StatusTopic", {"StatusTopic": "juno.raw"}, "it is the Topic too"),
    ("DeadLetterTopic", {"DeadLetterTopic": "juno.raw.status"}, "it is the StatusTopic too"),
    ("StatusTopic", {"Topic": "t" * 245}, "Kafka"),
    ("MaxSizeBytes", {"MaxSizeBytes": "0"}, "small enough"),
    ("MaxSizeBytes", {"MaxSizeBytes": "10 GB"}, "whole number"),
    ("StorageCheck", {"StorageCheck": "none"}, "no such choice; use Size or None"),
    ("StorageCheck", {"StorageCheck": ""}, "no such choice"),
    ("ChecksumCheck", {"ChecksumCheck": "Some"}, "use Ask or Sample or Trust"),
    ("ChecksumSampleShare", {"ChecksumSampleShare": "1.1"}, "from 0 to 1"),
    ("ChecksumSampleShare", {"ChecksumSampleShare": "-0.1"}, "from 0 to 1"),
    ("ChecksumSampleShare", {"ChecksumSampleShare": "nan"}, "from 0 to 1"),
    ("ChecksumSampleShare", {"ChecksumSampleShare": "1 %"}, "from 0 to 1"),
    ("GraceSeconds", {"GraceSeconds": "-1"}, "not from 0"),
    ("GraceSeconds", {"GraceSeconds": "99999999"}, "not from 0"),
    ("SweepSeconds", {"SweepSeconds": "1h"}, "whole number"),
    ("SweepMinAgeSeconds", {"SweepMinAgeSeconds": "-5"}, "not from 0"),
    ("SilenceAlarmSeconds", {"SilenceAlarmSeconds": "-5"}, "not from 0"),
    ("DateToleranceDays", {"DateToleranceDays": "-1"}, "not from 0"),
    ("DateToleranceDays", {"DateToleranceDays": "367"}, "not from 0"),
    ("DirectoryDate", {"DirectoryDate": "{Year}{MonthDay}"}, "NameDate is empty"),
    ("NameDate", {"NameDate": "{FileTime}"}, "DirectoryDate is empty"),
    ("NameDate", {"NameDate": "{MonthDay}", "DirectoryDate": "{Year}{MonthDay}"}, "{MonthDay} is unknown"),
    ("DirectoryDate", {"NameDate": "{FileTime}", "DirectoryDate": "{FileTime}"}, "{FileTime} is unknown"),
    ("DirectoryDate", {"NameDate": "{FileTime}", "DirectoryDate": "{Year:4}"}, "kinds belong in patterns"),
]


@pytest.mark.parametrize(("option", "options", "why"), BAD_OPTIONS)
def test_a_bad_option_is_refused_by_name_with_reason_and_remedy(option: str, options: dict[str, str], why: str) -> None:
    with pytest.raises(PolicyError, match=why) as caught:
        raw_policy(**options)
    assert caught.value.option == option
    assert caught.value.typeName == "Raw"
    assert caught.value.remedy
    assert f"RawData/Types/Raw/{option}" in str(caught.value)


@pytest.mark.parametrize("option", ["Topic", "SourceSE", "Destinations", "NamePattern", "DirectoryPattern", "BlockRule"])
def test_what_has_no_default_must_be_given(option: str) -> None:
    with pytest.raises(PolicyError, match="missing") as caught:
        TypePolicy.fromOptions("Raw", {name: value for name, value in RAW_OPTIONS.items() if name != option})
    assert caught.value.option == option


def test_defaults() -> None:
    policy = TypePolicy.fromOptions("Raw", RAW_OPTIONS)
    assert (policy.groupSize, policy.maxWaitSeconds, policy.settleSeconds, policy.plugin) == (50, 60, 3, "BlockTransfer")
    assert policy.destinations == ("CNAF-STORM", "IN2P3-DCACHE", "JINR-EOS")
    assert (policy.statusTopic, policy.deadLetterTopic) == ("juno.raw.status", "juno.raw.dead")
    assert (policy.maxSizeBytes, policy.graceSeconds) == (10_000_000_000, 600)
    assert (policy.storageCheck, policy.checksumCheck, policy.checksumSampleShare) == ("Size", "Ask", 0.01)
    assert (policy.directoryDate, policy.nameDate, policy.dateToleranceDays) == (None, None, 0)
    assert (policy.sweepSeconds, policy.sweepMinAgeSeconds, policy.silenceAlarmSeconds) == (3600, 600, 0)


# ---- dates

DATES = {"DirectoryDate": "{Year}{MonthDay}", "NameDate": "{FileTime}"}


def wrong_date(name_time: str, directory: str, tolerance_days: int = 0) -> str:
    """What is wrong with the date; empty if nothing."""
    policy = raw_policy(**DATES, DateToleranceDays=str(tolerance_days))
    try:
        policy.resolve(NAME.replace("20230302101530", name_time), f"/eos/juno/raw/{directory}")
    except BadAnnouncement as error:
        assert error.reason == Reason.WRONG_DATE
        return error.detail
    return ""


@pytest.mark.parametrize(
    ("name_time", "directory", "tolerance_days", "detail"),
    [
        ("20230302101530", "2023/0302", 0, ""),
        ("20230302", "2023/0302", 0, ""),
        ("20230303000000", "2023/0302", 0, "the name says 2023-03-03, the directory 2023-03-02: 1 days apart, 0 allowed"),
        ("20230303000000", "2023/0302", 1, ""),
        ("20230228235959", "2023/0301", 1, ""),
        ("20240228235959", "2024/0301", 1, "2 days apart, 1 allowed"),
        ("20230302101530", "2022/0302", 1, "365 days apart"),
        ("20230230101530", "2023/0302", 0, "the name's date '20230230' is no day"),
        ("2023030", "2023/0302", 0, "the name's date '2023030' is no day"),
        ("20230302101530", "2023/1302", 0, "the directory's date '20231302' is no day"),
        ("20231302101530", "2023/1302", 0, "the directory's date '20231302' is no day"),
        ("00000302101530", "0000/0302", 0, "the directory's date '00000302' is no day"),
    ],
)
def test_the_day_of_the_name_is_that_of_the_directory(name_time: str, directory: str, tolerance_days: int, detail: str) -> None:
    found = wrong_date(name_time, directory, tolerance_days)
    assert detail in found
    assert bool(detail) == bool(found)


def test_without_dates_in_the_policy_none_are_compared() -> None:
    assert raw_policy().resolve(NAME, "/eos/juno/raw/2022/9999").block == "20229999"


@given(st.lists(st.tuples(st.sampled_from(["0302", "0303", "1399"]), st.sampled_from(["", "/", f"/{NAME}", "/x"])), max_size=8))
def test_what_was_read_before_changes_nothing(places: list[tuple[str, str]]) -> None:
    def resolve(policy: TypePolicy, day: str, end: str) -> object:
        try:
            return policy.resolve(NAME, f"/eos/juno/raw/2023/{day}{end}")
        except BadAnnouncement as error:
            return error.reason, error.detail

    used = raw_policy(**DATES)
    for day, end in places:
        assert resolve(used, day, end) == resolve(raw_policy(**DATES), day, end)


def test_directories_without_end_do_not_fill_the_memory() -> None:
    policy = raw_policy()
    for number in range(3000):
        policy.resolve(NAME, f"/eos/juno/raw/{number:04}/0302")
    assert len(policy._resolver._places) <= 1000


def test_the_types_as_delivered_can_be_used_and_compare_dates() -> None:
    cfg = CFG()
    cfg.loadFromFile(str(Path(__file__).parents[3] / "etc/rawdata-operations.cfg"))
    types = cfg["Operations"]["Defaults"]["RawData"]["Types"]
    assert {"Raw", "RTRaw"} == set(types.listSections())
    for name in types.listSections():
        policy = TypePolicy.fromOptions(name, {option: types[name].getOption(option) for option in types[name].listOptions()})
        file_name = policy.namePattern.plainTemplate.replace("{FileTime}", "20230302101530").replace("{RunNumber}", "1")
        file_name = file_name.replace("{FileSequence}", "1").replace("{", "").replace("}", "")
        assert policy.resolve(file_name, f"/eos/juno/{name.lower()}/2023/0302").block == "20230302"
        with pytest.raises(BadAnnouncement) as caught:
            policy.resolve(file_name, f"/eos/juno/{name.lower()}/2023/0303")
        assert caught.value.reason == Reason.WRONG_DATE


def test_another_type_is_configuration_only() -> None:
    policy = TypePolicy.fromOptions(
        "RTRaw",
        {
            **RAW_OPTIONS,
            "Topic": "juno.rtraw",
            "DirectoryPattern": "/juno/rtraw/{Year:4}/{MonthDay:4}",
            "NamePattern": "RTRaw.{RunNumber:d}.{FileSequence:d}.rtraw",
            "TransformationRule": "{Type}-{Block}-{SE}",
        },
    )
    file = policy.resolve("RTRaw.1207.3.rtraw", "/eos/juno/rtraw/2023/1007")
    assert policy.transformationName(file.block, "JINR-EOS") == "RTRaw-20231007-JINR-EOS"
