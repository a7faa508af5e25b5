"""What the testbed takes from its environment, and what it refuses before it makes anything."""

from __future__ import annotations

import json
import stat

import pytest
from junotestbed.demo import parse_size
from junotestbed.settings import PORTS, SITES, Settings, TestbedError

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def noVariables(monkeypatch):
    for name in ("STATE", "PORT_BASE", "SUBNET"):
        monkeypatch.delenv(f"JUNO_TESTBED_{name}", raising=False)
    monkeypatch.delenv("JUNO_FTS3_ENDPOINT", raising=False)


@pytest.fixture
def settings(tmp_path) -> Settings:
    return Settings(tmp_path / "state")


@pytest.mark.parametrize(
    "path", ["/tmp/runit/x", "/tmp/myrunits", "/tmp/" + 80 * "x", "/tmp/two words", "/tmp/a'b", "/tmp/$HOME"]
)
def test_a_state_folder_that_dirac_or_a_socket_cannot_live_in_is_refused_with_its_name_and_the_remedy(monkeypatch, path):
    monkeypatch.setenv("JUNO_TESTBED_STATE", path)
    with pytest.raises(TestbedError) as refused:
        Settings.from_environment()
    assert path in str(refused.value)
    assert "JUNO_TESTBED_STATE" in str(refused.value)


@pytest.mark.parametrize("path", ["/tmp/x", "/tmp/" + 75 * "x", "/tmp/run-it_2.d"])
def test_any_other_state_folder_is_taken(monkeypatch, path):
    monkeypatch.setenv("JUNO_TESTBED_STATE", path)
    assert str(Settings.from_environment().state) == path


@pytest.mark.parametrize("base", ["0", "1024", "65000", "99999", "-5", "abc", "19000.0", "²"])
def test_a_port_base_out_of_range_is_refused_and_nothing_is_made(monkeypatch, settings, base):
    monkeypatch.setenv("JUNO_TESTBED_PORT_BASE", base)
    with pytest.raises(TestbedError, match="JUNO_TESTBED_PORT_BASE=") as refused:
        settings.choose(None)
    assert base in str(refused.value)
    assert not settings.state.exists()


@pytest.mark.parametrize("base", ["1025", "64999"])
def test_with_every_port_base_that_is_taken_all_ports_exist_and_differ(monkeypatch, settings, base):
    monkeypatch.setenv("JUNO_TESTBED_PORT_BASE", base)
    settings.choose(False)
    ports = [settings.port(name) for name in PORTS] + [settings.site_address(site)[1] for site in SITES]
    assert len(set(ports)) == len(ports)
    assert all(1024 < port < 65536 for port in ports)


@pytest.mark.parametrize("subnet", ["10.91", "10.91.1.0", "10.91.256", "10.91.0/24", "a.b.c"])
def test_a_subnet_that_is_none_is_refused(monkeypatch, settings, subnet):
    monkeypatch.setenv("JUNO_TESTBED_SUBNET", subnet)
    with pytest.raises(TestbedError, match="JUNO_TESTBED_SUBNET="):
        settings.choose(None)
    assert not settings.exists


def test_two_port_bases_give_two_testbeds_that_do_not_meet(monkeypatch, tmp_path):
    networks, ports = [], []
    for base in ("19000", "22000"):
        monkeypatch.setenv("JUNO_TESTBED_PORT_BASE", base)
        settings = Settings(tmp_path / base)
        settings.choose(True)
        networks.append({settings.gateway, *(settings.site_address(site)[0] for site in SITES)})
        ports.append({settings.port(name) for name in PORTS})
    assert not networks[0] & networks[1]
    assert not ports[0] & ports[1]


def test_choices_of_the_first_start_are_kept_whatever_the_environment_says_later(monkeypatch, settings):
    monkeypatch.setenv("JUNO_TESTBED_PORT_BASE", "23000")
    monkeypatch.setenv("JUNO_FTS3_ENDPOINT", "https://fts3.example:8446")
    settings.choose(False)
    first = settings.choices
    monkeypatch.setenv("JUNO_TESTBED_PORT_BASE", "24000")
    monkeypatch.setenv("JUNO_TESTBED_SUBNET", "10.1.1")
    monkeypatch.delenv("JUNO_FTS3_ENDPOINT")
    later = Settings(settings.state)
    later.choose(None)
    assert later.choices == first
    assert (first.port_base, first.netns, first.fts3_endpoint) == (23000, False, "https://fts3.example:8446")
    assert not later.has_standin


def test_another_choice_of_namespaces_than_the_first_is_refused(settings):
    settings.choose(False)
    later = Settings(settings.state)
    later.choose(False)
    with pytest.raises(TestbedError, match="'wipe' first"):
        later.choose(True)


def test_the_databases_passwords_are_made_anew_and_only_the_owner_reads_them(settings, tmp_path):
    other = Settings(tmp_path / "other")
    for made in (settings, other):
        made.choose(False)
        assert stat.S_IMODE(made.choices_file.stat().st_mode) == 0o600
    kept = json.loads(settings.choices_file.read_text())
    passwords = {c.database_password for c in (settings.choices, other.choices)}
    passwords |= {c.database_root_password for c in (settings.choices, other.choices)}
    assert len(passwords) == 4
    assert kept["database_password"] in passwords


def test_without_a_first_start_the_error_names_the_folder_and_the_command(settings):
    with pytest.raises(TestbedError, match="scripts/testbed up") as refused:
        settings.port("kafka")
    assert str(settings.state) in str(refused.value)


@pytest.mark.parametrize(("text", "size"), [("1", 1), ("50k", 50_000), ("3M", 3_000_000), ("2G", 2_000_000_000)])
def test_a_size_is_bytes_with_an_optional_unit(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "0", "0k", "k", "-1", "1.5M", "1 M", "1T", "1kB"])
def test_a_size_that_is_none_is_refused_with_what_was_given(text):
    with pytest.raises(TestbedError, match=f"--size {text}:"):
        parse_size(text)
