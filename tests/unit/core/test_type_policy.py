"""A Type's policy: contradictions are refused by option, files resolve to LFN and block."""

from __future__ import annotations

import pytest
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
    policy = raw_policy()
    assert (policy.groupSize, policy.maxWaitSeconds, policy.plugin) == (50, 60, "BlockTransfer")
    assert policy.destinations == ("CNAF-STORM", "IN2P3-DCACHE", "JINR-EOS")


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
