"""One arrow: composition roots -> adapters -> use cases -> pure rules, never back."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "JUNODIRAC"
ROOTS = {"Agent", "Service", "scripts", "handler"}


def imports_of(source: str, package: str) -> Iterator[str]:
    """Full names of all modules that a source imports, also inside of functions."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def violations(directory: Path, is_forbidden) -> list[str]:
    found = []
    for path in sorted(directory.rglob("*.py")):
        package = ".".join(path.relative_to(ROOT).parent.parts)
        names = imports_of(path.read_text(), package)
        found += [f"{path.relative_to(ROOT)} imports {name}" for name in sorted(set(names)) if is_forbidden(name)]
    return found


def is_outside_core(name: str) -> bool:
    top = name.split(".")[0]
    return not (top in sys.stdlib_module_names or name == "JUNODIRAC" or name.startswith("JUNODIRAC.Core"))


def is_world(name: str) -> bool:
    """Modules of the standard library through which one reads clocks, opens things or sleeps."""
    return name.split(".")[0] in {"os", "io", "socket", "subprocess", "time", "random", "sqlite3", "urllib", "http", "threading"}


def is_root(name: str) -> bool:
    parts = name.split(".")
    return parts[0] == "JUNODIRAC" and not ROOTS.isdisjoint(parts[1:])


def test_core_imports_the_standard_library_and_itself_alone() -> None:
    assert violations(PACKAGE / "Core", is_outside_core) == []


def test_domain_and_logic_open_nothing_and_read_no_clock() -> None:
    assert violations(PACKAGE / "Core" / "Domain", is_world) + violations(PACKAGE / "Core" / "Logic", is_world) == []


def test_core_never_asks_what_time_it_is() -> None:
    clocks = {"now", "utcnow", "today"}
    calls = [
        f"{path.name}:{node.lineno}"
        for path in sorted((PACKAGE / "Core").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in clocks
    ]
    assert calls == []


def test_domain_does_not_import_logic() -> None:
    assert violations(PACKAGE / "Core" / "Domain", lambda name: name.startswith("JUNODIRAC.Core.Logic")) == []


@pytest.mark.parametrize("layer", ["Client", "DB"])
def test_adapters_do_not_import_composition_roots(layer: str) -> None:
    directories = sorted(PACKAGE.glob(f"*System/{layer}"))
    assert directories
    assert [line for directory in directories for line in violations(directory, is_root)] == []


@pytest.mark.parametrize(
    ("source", "package", "expected"),
    [
        ("import DIRAC", "JUNODIRAC.Core.Domain", "DIRAC"),
        ("def f():\n    from DIRAC.Core import Base", "JUNODIRAC.Core.Domain", "DIRAC.Core"),
        ("from JUNODIRAC import RawDataSystem", "JUNODIRAC.Core.Domain", "JUNODIRAC.RawDataSystem"),
        ("from ..Logic import Ports", "JUNODIRAC.Core.Domain", "JUNODIRAC.Core.Logic.Ports"),
        ("from ...RawDataSystem.Client import X", "JUNODIRAC.Core.Domain", "JUNODIRAC.RawDataSystem.Client"),
    ],
)
def test_the_walk_sees_every_form_of_import(source: str, package: str, expected: str) -> None:
    names = set(imports_of(source, package))
    assert expected in names
    assert any(is_outside_core(name) for name in names) or expected.startswith("JUNODIRAC.Core.Logic")
