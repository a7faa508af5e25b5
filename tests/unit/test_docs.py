"""The documentation names everything that a user or an administrator can type or set, and its links lead somewhere."""

from __future__ import annotations

import argparse
import ast
import configparser
import inspect
import re
import sys
from pathlib import Path

import pytest
from diraccfg import CFG

from JUNODIRAC.Core.Domain.Reason import Reason
from JUNODIRAC.Core.Domain.TypePolicy import TypePolicy

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.rst") if "_build" not in path.parts)
PROGRAMS = {"juno-merge", "juno-rawrec"}
TEMPLATES = sorted((ROOT / "JUNODIRAC").glob("*System/ConfigTemplate.cfg"))


def page(name: str) -> str:
    return (DOCS / name).read_text()


def names(text: str, word: str) -> bool:
    """Whether the text has the word as a word: ``Type`` is not named by ``Types``."""
    return re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text) is not None


def unnamed(text: str, words: set[str]) -> list[str]:
    return sorted(word for word in words if not names(text, word))


def commands() -> set[str]:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    lines = setup["options.entry_points"]["console_scripts"].split("\n")
    # the programs that jobs start are in chains.rst
    return {line.partition("=")[0].strip() for line in lines if line.strip()} - PROGRAMS


def load(path: Path) -> CFG:
    cfg = CFG()
    cfg.loadFromFile(str(path))
    return cfg


def options_in(cfg: CFG) -> set[str]:
    """Names of all options, at any depth."""
    found = set(cfg.listOptions())
    for section in cfg.listSections():
        found |= options_in(cfg[section])
    return found


def type_options() -> set[str]:
    """The options that TypePolicy reads: the names that stand as texts in ``fromOptions``, all in CamelCase."""
    tree = ast.parse(inspect.cleandoc(inspect.getsource(TypePolicy.fromOptions)))
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return {text for text in texts if re.fullmatch(r"(?:[A-Z]+[a-z]*)+", text)}


def parser_of_the_testbed() -> argparse.ArgumentParser:
    sys.path.insert(0, str(ROOT / "tests/testbed"))
    from junotestbed.cli import parser

    return parser()


def subcommands() -> dict[str, argparse.ArgumentParser]:
    actions = parser_of_the_testbed()._actions
    return next(action.choices for action in actions if isinstance(action, argparse._SubParsersAction))


def dash_heading(title: str) -> str:
    return f"{title}\n{'-' * len(title)}\n"


# ---- what is named


def test_every_command_has_a_section_in_the_user_guide_and_stands_in_setup_cfg():
    text = page("user.rst")
    assert [command for command in sorted(commands()) if dash_heading(command) not in text] == []
    assert set(re.findall(r"^(dirac-juno-[\w-]+)\n-+$", text, re.MULTILINE)) == commands()


@pytest.mark.parametrize("command", sorted(commands()))
def test_every_switch_of_a_command_is_in_its_section(command):
    (path,) = (ROOT / "JUNODIRAC").glob(f"*System/scripts/{command.replace('-', '_')}.py")
    source = path.read_text()
    switches = {f"--{name}" for name in re.findall(r'registerSwitch\(\s*"\w?",\s*"([\w-]+)', source)}
    text = page("user.rst").partition(dash_heading(command))[2]
    section = re.split(r"\n[^\n]+\n-{5,}\n", text)[0]
    assert unnamed(section, switches) == []


def test_every_option_of_the_raw_data_components_is_in_the_administrator_guide():
    template = ROOT / "JUNODIRAC/RawDataSystem/ConfigTemplate.cfg"
    cfg = load(template)
    assert {"RawDataManager"} == set(cfg["Services"].listSections())
    included = "\n".join(included_texts("administrator.rst"))
    wanted = options_in(cfg["Services"]) | options_in(cfg["Agents"]["DataReceiverAgent"])
    assert unnamed(included, wanted) == []
    # those of the receiver are explained one by one, too
    assert unnamed(page("administrator.rst"), options_in(cfg["Agents"]["DataReceiverAgent"])) == []


def test_every_option_of_the_components_of_chains_is_in_the_administrator_guide():
    cfg = load(ROOT / "JUNODIRAC/ProductionSystem/ConfigTemplate.cfg")
    assert {"ChainManager"} == set(cfg["Services"].listSections())
    assert unnamed("\n".join(included_texts("administrator.rst")), options_in(cfg)) == []


def test_every_marked_section_of_every_template_is_included():
    marked = {
        (path.relative_to(ROOT).as_posix(), name)
        for path in TEMPLATES
        for name in re.findall(r"^\s*##BEGIN (\w+)", path.read_text(), re.MULTILINE)
    }
    assert marked
    include = r"literalinclude:: \.\./(\S+)\n\s+:start-after: ##BEGIN (\w+)\n\s+:end-before: ##END"
    assert set(re.findall(include, page("administrator.rst"))) == marked


def included_texts(name: str) -> list[str]:
    """What the literalincludes of a page between ##BEGIN and ##END show."""
    texts = []
    for path, section in re.findall(r"literalinclude:: (\S+)\n\s+:start-after: ##BEGIN (\w+)\n", page(name)):
        texts.append((DOCS / path).read_text().partition(f"##BEGIN {section}\n")[2].partition("##END")[0])
    return texts


def test_every_option_of_a_type_is_in_the_administrator_guide_and_in_the_fragment():
    wanted = type_options()
    assert {"Topic", "BlockRule", "MaxWaitSeconds"} <= wanted
    text = page("administrator.rst").partition("\nTypes/<Type>\n")[2].partition("\nPlaceholders\n")[0]
    rows = set(re.findall(r"^   \* - ``(\w+)``$", text, re.MULTILINE))
    assert rows == wanted
    fragment = load(ROOT / "etc/rawdata-operations.cfg")["Operations"]["Defaults"]["RawData"]["Types"]["Raw"]
    assert set(fragment.listOptions()) == wanted


def test_defaults_of_a_type_are_as_the_code_has_them():
    from JUNODIRAC.Core.Domain.TypePolicy import _DEFAULTS

    text = page("administrator.rst")
    for option, default in _DEFAULTS.items():
        row = re.search(rf"   \* - ``{option}``\n     - ([^\n]+)\n", text)
        assert row
        assert default in row[1]


def test_every_reason_is_in_the_user_guide_with_sentence_and_remedy():
    text = page("user.rst").partition(".. _reasons:")[2]
    rows = re.findall(r"^   \* - ``(\w+)``\n     - ([^\n]+)\n     - ([^\n]+)$", text, re.MULTILINE)
    assert rows == [(str(reason), reason.sentence, reason.remedy) for reason in Reason]


def test_every_topic_is_in_the_administrator_guide():
    types = load(ROOT / "etc/rawdata-operations.cfg")["Operations"]["Defaults"]["RawData"]["Types"]
    named = {types[name].getOption("Topic") for name in types.listSections()}
    assert named
    topics = {f"{topic}{suffix}" for topic in named for suffix in ("", ".status", ".dead")}
    text = page("administrator.rst").partition(".. _topics:")[2]
    assert [topic for topic in sorted(topics) if f"``{topic}``" not in text] == []
    assert [topic for topic in sorted(topics) if f"``{topic}``" not in page("announcement.rst")] == []


@pytest.mark.parametrize("service", ["RawData/RawDataManager", "Production/ChainManager"])
def test_every_method_of_the_service_is_in_the_authorisation_table_with_its_right(service):
    folder = ROOT / f"JUNODIRAC/{service.partition('/')[0]}System/Service"
    source = "\n".join(path.read_text() for path in folder.glob("*.py"))
    rights = dict(re.findall(r"^    auth_(\w+) = (\w+)$", source, re.MULTILINE))
    assert set(rights) == set(re.findall(r"def export_(\w+)", source))
    shown = {
        "READERS": "authenticated",
        "MANAGERS": "ProductionManagement",
        "AGENTS": "TrustedHost`` or ``ProductionManagement",
    }
    table = page("administrator.rst").partition(f"* - Method of ``{service}``")[2].partition("\n\n")[0]
    assert table
    for method, right in rights.items():
        assert f"   * - ``{method}``\n     - ``{shown[right]}``\n" in table


def test_every_table_of_the_ledger_is_in_the_administrator_guide():
    schema = (ROOT / "JUNODIRAC/RawDataSystem/DB/RawDataDB.sql").read_text()
    tables = set(re.findall(r"CREATE TABLE IF NOT EXISTS `(\w+)`", schema))
    text = page("administrator.rst").partition("\nDatabase\n--------\n")[2]
    assert [table for table in sorted(tables) if f"``{table}``" not in text] == []


def test_every_command_and_option_of_the_testbed_is_in_its_page():
    text = page("testbed.rst")
    assert [name for name in subcommands() if f"``scripts/testbed {name}" not in text] == []
    for name, parser in subcommands().items():
        section = text.partition(f"\n``scripts/testbed {name}")[2].split("\n``scripts/testbed ")[0]
        longest = {max(action.option_strings, key=len) for action in parser._actions if action.option_strings} - {"--help"}
        shown = {"--lines": "-n LINES", "--follow": "-f"}
        assert [option for option in sorted(longest) if shown.get(option, option) not in section] == []


def test_every_environment_variable_of_the_testbed_is_in_its_page():
    sources = [ROOT / "scripts/install-dependencies", ROOT / "tests/conftest.py", *(ROOT / "tests/testbed").rglob("*.py")]
    used = {name for path in sources for name in re.findall(r"\b(?:JUNO_[A-Z0-9_]+|KAFKA_HOME)\b", path.read_text())}
    # set by the testbed for itself, to know its own processes
    used -= {"JUNO_TESTBED_SUPERVISED"}
    assert unnamed(page("testbed.rst"), used) == []


def test_every_action_of_the_stand_in_is_in_the_testbed_page():
    source = (ROOT / "tests/testbed/fts3_standin/rules.py").read_text()
    actions = set(re.findall(r'^    [A-Z_]+ = "(\w+)"', source, re.MULTILINE))
    assert "corrupt" in actions
    assert unnamed(page("testbed.rst"), actions) == []


# ---- links


def test_links_of_markdown_files_lead_somewhere():
    broken = []
    for path in (ROOT / "README.md", ROOT / "CHANGELOG.md"):
        for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
            if not re.match(r"https?://", target) and not (path.parent / target.partition("#")[0]).exists():
                broken.append(f"{path.name}: {target}")
    assert broken == []


def test_links_of_the_pages_lead_somewhere():
    labels = {label for path in PAGES for label in re.findall(r"^\.\. _([\w-]+):$", path.read_text(), re.MULTILINE)}
    broken = []
    for path in PAGES:
        text = path.read_text()
        files = re.findall(r"(?:literalinclude|image|figure)::\s+(\S+)", text) + re.findall(r":download:`[^<`]*<([^>]+)>`", text)
        documents = re.findall(r":doc:`(?:[^<`]*<)?([^>`]+)>?`", text)
        trees = re.findall(r"toctree::\n(?:   :[^\n]*\n)*\n((?:   \S+\n)+)", text)
        documents += [entry for tree in trees for entry in tree.split()]
        broken += [f"{path.name}: {name}" for name in files if not (path.parent / name).exists()]
        broken += [f"{path.name}: {name}" for name in documents if not (path.parent / f"{name}.rst").exists()]
        broken += [f"{path.name}: {label}" for label in re.findall(r":ref:`([\w-]+)`", text) if label not in labels]
    assert broken == []


def test_every_page_is_reached_from_the_index():
    listed = set(re.findall(r"^   ([\w/-]+)$", page("index.rst"), re.MULTILINE))
    assert {path.relative_to(DOCS).with_suffix("").as_posix() for path in PAGES} - {"index"} <= listed


def test_paths_of_the_source_tree_that_the_pages_name_exist():
    pattern = re.compile(r"``((?:tests|scripts|etc|JUNODIRAC|docs)/[\w./-]+)``")
    named = {(path.name, found) for path in PAGES for found in pattern.findall(path.read_text())}
    assert named
    assert sorted(f"{name}: {found}" for name, found in named if not (ROOT / found).exists()) == []


def test_no_place_is_left_for_output_that_was_never_pasted():
    assert [path.name for path in PAGES if "@@" in path.read_text()] == []
