"""Policies from the configuration: the fragment that we ship works, and errors say where."""

from pathlib import Path

import pytest

from JUNODIRAC.RawDataSystem.Client.DiracAnswer import ServiceRefusal
from JUNODIRAC.RawDataSystem.Client.Owner import productionManager
from JUNODIRAC.RawDataSystem.Client.TypePolicies import BadTypeConfiguration, loadTypePolicies, loadTypePolicy

FRAGMENT = (Path(__file__).parents[3] / "etc/rawdata-operations.cfg").read_text()


def test_the_shipped_fragment_holds_usable_types(configuration):
    configuration(FRAGMENT)
    policies = loadTypePolicies()
    assert set(policies) == {"Raw", "RTRaw"}
    file = policies["Raw"].resolve("Daq.1.Phy.main.tag.20230302101010.0001.dat", "/eos/juno/raw/2023/0302/")
    assert (file.lfn, file.block) == ("/juno/raw/2023/0302/Daq.1.Phy.main.tag.20230302101010.0001.dat", "20230302")
    assert policies["Raw"].transformationName("20230302", "JINR-EOS") == "Commissioning-20230302-JINR-EOS"
    assert policies["RTRaw"].transformationName("20230302", "JINR-EOS") == "RTRaw-20230302-JINR-EOS"


def test_a_missing_type_names_its_section_and_the_known_types(configuration):
    configuration(FRAGMENT)
    with pytest.raises(BadTypeConfiguration, match=r"/Operations/Defaults/RawData/Types/ESD: .*RTRaw, Raw"):
        loadTypePolicy("ESD")


def test_a_bad_option_names_its_path_value_and_remedy(configuration):
    configuration(FRAGMENT.replace("GroupSize = 50", "GroupSize = many"))
    with pytest.raises(BadTypeConfiguration, match=r"/Operations/Defaults/RawData/Types/Raw/GroupSize: 'many' .*whole number"):
        loadTypePolicy("Raw")


def test_no_types_at_all_is_said(configuration):
    configuration("")
    with pytest.raises(BadTypeConfiguration, match="RawData/Types"):
        loadTypePolicies()


REGISTRY = """
Registry
{
  Users
  {
    prod
    {
      DN = /O=JUNO/CN=prod
    }
  }
  Groups
  {
    juno_prod
    {
      Users = prod
      VO = juno
    }
  }
}
"""


def test_the_owner_is_the_production_manager(configuration):
    configuration(FRAGMENT + REGISTRY)
    owner = productionManager()
    assert (owner.name, owner.group, owner.vo) == ("prod", "juno_prod", "juno")
    assert owner.clientArguments == {"delegatedDN": "/O=JUNO/CN=prod", "delegatedGroup": "juno_prod"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (REGISTRY, "Shifter/ProductionManager"),
        (FRAGMENT, "/Registry/Users/prod/DN"),
        (FRAGMENT + REGISTRY.replace("Users = prod", "Users = other"), "/Registry/Groups/juno_prod/Users"),
    ],
)
def test_a_missing_production_manager_says_what_to_set(configuration, text, said):
    configuration(text)
    with pytest.raises(ServiceRefusal, match=said):
        productionManager()
