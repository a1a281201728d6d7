"""Sizes of the product's folders, files and functions."""

from __future__ import annotations

import tomllib
from collections import Counter
from pathlib import PurePath
from statistics import median

from tests.project import ROOT, unfinished
from tests.project.product import modules
from tools.layout import DOCUMENT, describe, insert_tables, read_product

MAX_MODULES_IN_FOLDER = 20
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 45
MAX_MEDIAN_FUNCTION_LINES = 7

GENERATED: frozenset[str] = frozenset()
"""Files that hold a generated table."""


def test_a_folder_has_few_modules() -> None:
    counts = Counter(str(PurePath(module.path).parent) for module in modules())
    large = {folder: count for folder, count in counts.items() if count > MAX_MODULES_IN_FOLDER}
    assert {folder: count for folder, count in large.items() if folder not in unfinished.LARGE_FOLDERS} == {}


def test_a_file_is_short() -> None:
    long = {module.path: module.lines for module in modules() if module.lines > MAX_FILE_LINES}
    assert {path: lines for path, lines in long.items() if path not in GENERATED | unfinished.LONG_FILES} == {}


def test_a_function_is_short() -> None:
    long = {
        f"{module.path}:{node.name}": lines
        for module in modules()
        for node in module.functions()
        if (lines := (node.end_lineno or 0) - node.lineno + 1) > MAX_FUNCTION_LINES
    }
    assert {name: lines for name, lines in long.items() if name not in unfinished.LONG_FUNCTIONS} == {}


def test_most_functions_are_very_short() -> None:
    lengths = [(node.end_lineno or 0) - node.lineno + 1 for module in modules() for node in module.functions()]
    assert median(lengths) <= MAX_MEDIAN_FUNCTION_LINES


def test_import_contracts_have_no_stale_lines() -> None:
    """import-linter itself reports exceptions that match nothing, where a contract has any."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    quiet = [one["id"] for one in contracts if one.get("unmatched_ignore_imports_alerting", "error") != "error"]
    assert quiet == []
    optional = [layer for one in contracts for layer in one.get("layers", ()) if "(" in layer]
    assert optional == [], "an optional layer hides a module that is gone"


def test_the_documented_size_is_that_of_the_product() -> None:
    document = DOCUMENT.read_text(encoding="utf-8")
    assert insert_tables(document, describe(read_product())) == document, "./dev layout --write"
