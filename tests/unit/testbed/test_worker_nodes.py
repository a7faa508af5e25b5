"""What a worker node is given, and what an older testbed lacks."""

from __future__ import annotations

import pytest
from diraccfg import CFG
from junotestbed.components import ALL, WORKER_NODES
from junotestbed.configuration import is_old_cs, upgrade_cs, write_initial_cs
from junotestbed.settings import CS_NAME, PORTS, SITES, Settings
from junotestbed.worker_nodes import folder_of, nodes, write_nodes

pytestmark = pytest.mark.unit


@pytest.fixture
def settings(tmp_path) -> Settings:
    settings = Settings(tmp_path / "state")
    settings.choose(False)
    (settings.venv / "lib/python3.11/site-packages").mkdir(parents=True)
    return settings


def read(path) -> CFG:
    cfg = CFG()
    cfg.loadFromFile(str(path))
    return cfg


def test_every_service_has_a_port_of_its_own():
    services = [component for component in ALL if component.kind == "service"]
    assert len({PORTS[component.full_name] for component in services}) == len(services)


def test_a_node_gets_no_password_and_no_other_proxy_than_the_pilots(settings):
    write_nodes(settings)
    choices = settings.choices
    for site, component in nodes():
        run = settings.dirac_root / "runit" / component.full_name / "run"
        for path in (run, *folder_of(settings, site).rglob("*.cfg")):
            text = path.read_text()
            assert choices.database_password not in text
            assert choices.database_root_password not in text
        proxies = [line for line in run.read_text().splitlines() if "X509_USER_PROXY" in line]
        assert proxies == [f"export X509_USER_PROXY={settings.proxies}/pilot.pem"]


def test_each_node_knows_its_site_and_the_storage_there(settings):
    write_nodes(settings)
    assert len(WORKER_NODES) == 2
    for site, _ in nodes():
        local = read(folder_of(settings, site) / "pilot.cfg")["LocalSite"]
        assert (local["Site"], local["LocalSE"]) == (site.dirac_name, site.se)
        assert int(local["NumberOfProcessors"]) >= 8


def test_a_configuration_of_an_older_version_gets_what_jobs_need_and_keeps_what_was_installed(settings):
    write_initial_cs(settings)
    path = settings.dirac_root / f"etc/{CS_NAME}.cfg"
    new = read(path)
    assert not is_old_cs(settings)
    old = new.clone()
    old["Registry"]["Groups"].deleteKey("juno_pilot")
    old["Resources"]["StorageElements"].deleteKey("ProductionSandboxSE")
    old["Operations"]["Defaults"]["Transformations"].setOption("AllowedPlugins", "Broadcast")
    old.createNewSection("Systems/Framework")
    old.createNewSection("Systems/Framework/Services", contents=CFG())
    old["Systems"]["Framework"]["Services"].createNewSection("ProxyManager")
    old["Systems"]["Framework"]["Services"]["ProxyManager"].setOption("Port", "1")
    path.write_text(old.serialize())
    assert is_old_cs(settings)
    upgrade_cs(settings)
    upgraded = read(path)
    assert not is_old_cs(settings)
    assert upgraded["Resources"]["StorageElements"].isSection("ProductionSandboxSE")
    assert "ChainMerge" in upgraded.getOption("Operations/Defaults/Transformations/AllowedPlugins", [])
    assert upgraded.getOption("Systems/Framework/Services/ProxyManager/Port", 0) == 1


def test_a_testbed_that_was_never_started_has_no_old_configuration(settings):
    assert not is_old_cs(settings)


def test_both_sites_with_processors_are_in_the_configuration_with_storage_and_computing_element(settings):
    write_initial_cs(settings)
    sites = read(settings.dirac_root / f"etc/{CS_NAME}.cfg")["Resources"]["Sites"]["DIRAC"]
    with_nodes = {site.dirac_name: site.se for site in SITES if site.processors}
    assert {name: sites[name]["SE"] for name in sites.listSections() if sites[name].isSection("CEs")} == with_nodes
