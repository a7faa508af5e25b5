import pytest
from fts3_standin.submission import BadSubmission, parse_submission, split_checksum, storage_element, url_path

FILE = {"sources": ["root://a//eos/x"], "destinations": ["root://b//eos/x"], "checksum": "ADLER32:1A", "filesize": 5}


def test_what_diracs_client_sends_is_understood():
    params = {
        "verify_checksum": "target",
        "overwrite": True,
        "retry": 3,
        "priority": None,
        "disable_cleanup": True,
        "delete": None,
    }
    parsed = parse_submission({"files": [{**FILE, "metadata": {"fileID": 4}}], "delete": None, "params": params})
    assert (parsed.verify_checksum, parsed.overwrite, parsed.cleanup, parsed.retry, parsed.priority) == (
        "target",
        True,
        False,
        3,
        3,
    )
    assert parsed.files[0].metadata == {"fileID": 4}


def test_alternative_sources_share_the_index_of_their_file_in_the_order_given():
    parsed = parse_submission({"files": [FILE, {**FILE, "sources": ["root://a//1", "root://c//2"]}]})
    assert [(entry.index, entry.source) for entry in parsed.files] == [
        (0, "root://a//eos/x"),
        (1, "root://a//1"),
        (1, "root://c//2"),
    ]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ([], "JSON object"),
        ({}, "files"),
        ({"files": []}, "not empty"),
        ({"files": [{}]}, "File 0: no source"),
        ({"files": [{**FILE, "destinations": []}]}, "exactly one destination"),
        ({"files": [{**FILE, "sources": ["/eos/x"]}]}, "Missing scheme"),
        ({"files": [{**FILE, "sources": ["root:///eos/x"]}]}, "Missing host"),
        ({"files": [{**FILE, "sources": ["root://a/"]}]}, "Missing path"),
        ({"files": [{**FILE, "sources": ["file:///etc/passwd"]}]}, "local files"),
        ({"files": [FILE], "params": {"verify_checksum": "sometimes"}}, "verify_checksum"),
        ({"files": [FILE], "params": {"retry": "often"}}, "retry"),
        ({"files": [FILE], "params": {"multihop": True}}, "Multihop"),
        ({"delete": ["root://a//x"]}, "Deletion"),
    ],
)
def test_a_bad_submission_is_refused_with_its_reason(body, text):
    with pytest.raises(BadSubmission, match=text):
        parse_submission(body)


def test_storages_are_told_apart_by_host_alone():
    assert (
        storage_element("root://127.0.0.1:1094//eos/a") == storage_element("root://127.0.0.1:2094//eos/b") == "root://127.0.0.1"
    )
    assert url_path("root://h:1//eos//a") == "/eos/a"


def test_checksums_reach_xrootd_in_lower_case():
    assert split_checksum("ADLER32:00AbC") == ("ADLER32", "00abc")
    assert split_checksum("adler32") == ("ADLER32", "")
