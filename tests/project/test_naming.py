"""Names that a reader can rely on: classes exist once, constants name their subject, callers are real."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache

import pytest

from tests.project import unfinished
from tests.project.product import Module, by_name, modules

BARE_CONSTANTS = frozenset(
    {"AGAIN", "ALL", "AMOUNT", "BUDGET", "CAPACITY", "DEADLINE", "DEFAULT", "EVERY", "FIRST", "GRACE", "INTERVAL"}
    | {"LARGEST", "LAST", "LEASE", "LIMIT", "LONGEST", "MARGIN", "MAX", "MAXIMUM", "MIN", "MOST", "NEEDED", "PATIENCE"}
    | {"PAUSE", "PERIOD", "POLL", "SECONDS", "SHORTEST", "SIZE", "SMALLEST", "STEP", "TIMEOUT", "TRIES", "WAIT"}
)
"""Words that name a quantity without its subject."""

_CALLERS = re.compile(
    r"\b(?:Called|Used|Made|Opened|Read|Sent|Raised|Caught|Run|Built)(?: and \w+)? by ([^.;:]*(?:\.\w[^.;:]*)*)"
)
_MODULE = re.compile(r"\b(?:jobs|scheduler|config|importers|observability)(?:\.\w+)+|\bfunction_app\b")


def test_a_class_name_exists_once() -> None:
    places = defaultdict(list)
    for module in modules():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(f"{module.path}:{node.lineno}")
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_a_constant_names_its_subject() -> None:
    bare = [
        f"{module.path}:{name}"
        for module in modules()
        for name in _constants(module)
        if name.strip("_") in BARE_CONSTANTS
    ]
    assert [name for name in bare if name not in unfinished.BARE_CONSTANTS] == []


def test_a_maximum_is_called_so() -> None:
    others = [
        f"{module.path}:{name}"
        for module in modules()
        for name in _constants(module)
        if re.match(r"_?(MOST|LONGEST|LARGEST)_", name)
    ]
    assert others == []


@cache
def _constants(module: Module) -> tuple[str, ...]:
    nodes = list(ast.walk(module.tree))
    members = {id(item) for node in nodes if isinstance(node, ast.ClassDef) and _is_enum(node) for item in node.body}
    assigned = [node for node in nodes if isinstance(node, ast.Assign | ast.AnnAssign)]
    return tuple(
        target.id
        for node in assigned
        if id(node) not in members  # of an enum its class is the subject
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name) and target.id.isupper()
    )


def _is_enum(node: ast.ClassDef) -> bool:
    return any(ast.unparse(base).endswith("Enum") for base in node.bases)


def callers_of(module: Module) -> Iterator[str]:
    """Yield the modules that its docstring names as its callers."""
    text = " ".join((ast.get_docstring(module.tree) or "").split())
    for sentence in _CALLERS.findall(text):
        yield from _MODULE.findall(sentence)


CALLERS = [(module.name, caller) for module in modules() for caller in callers_of(module)]


def test_callers_are_found() -> None:
    assert len(CALLERS) > 100


@pytest.mark.parametrize(("name", "caller"), CALLERS)
def test_a_named_caller_exists_and_imports_the_module(name: str, caller: str) -> None:
    if f"{name} {caller}" in unfinished.WRONG_CALLERS:
        return
    known = by_name()
    if caller not in known and caller.rpartition(".")[0] in known:
        caller = caller.rpartition(".")[0]  # a class or function of that module
    callers = [each for each in known.values() if each.name == caller or each.name.startswith(f"{caller}.")]
    assert callers, f"{known[name].path} names the caller {caller}, which does not exist"
    imported = set().union(*(each.imports() for each in callers))
    holders = set().union(*(known[each].imports() for each in imported if each in known))
    assert _reaches(imported | holders, known[name]), (
        f"neither {caller} nor a module that it imports imports {name}, whose docstring names it as a caller"
    )


def _reaches(imported: set[str], module: Module) -> bool:
    is_inside = module.is_package and any(each.startswith(f"{module.name}.") for each in imported)
    return is_inside or bool(imported & _ways_to(module))


def _ways_to(module: Module) -> set[str]:
    """Return the module, and the packages that hand on something of it."""
    found = {module.name}
    package = by_name().get(module.name.rpartition(".")[0])
    while package is not None and found & package.imports():
        found.add(package.name)
        package = by_name().get(package.name.rpartition(".")[0])
    return found
