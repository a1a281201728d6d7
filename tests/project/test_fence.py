"""What moving code must not change: tests, what a start imports. Texts, pages and the API have snapshots of their own.

`python -m tests.project.test_fence` writes the files in tests/data/fence/ anew.
"""

from __future__ import annotations

import ast
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from scheduler.cli.registry import COMMANDS
from tests.project import ROOT
from tools.layout import Product, read_product

FOLDER = ROOT / "tests" / "data" / "fence"
TEST_NAMES = FOLDER / "test_names.txt"
START_IMPORTS = FOLDER / "start_imports.json"
ENTRIES = (
    "scheduler.cli.main",
    "scheduler.api.app",
    "scheduler.hosts.embedded.host",
    "scheduler.hosts.functions.queue",
)


def read_test_names() -> Counter[str]:
    """Return the names of all test functions: their modules may change."""
    return Counter(
        node.name
        for path in sorted(Path(ROOT, "tests").rglob("test_*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    )


def read_start_imports(product: Product) -> Mapping[str, list[str]]:
    """Return the libraries that importing a command or another entry imports, without the standard library's."""
    entries = {name: command.module for name, command in COMMANDS.items()} | {name: name for name in ENTRIES}
    return {name: sorted(product.libraries_of(module)) for name, module in sorted(entries.items())}


def test_every_test_is_still_there() -> None:
    assert Counter(TEST_NAMES.read_text(encoding="utf-8").split()) - read_test_names() == Counter()


def test_a_command_imports_no_further_library_at_its_start() -> None:
    before = json.loads(START_IMPORTS.read_text(encoding="utf-8"))
    now = read_start_imports(read_product())

    more = {name: sorted({*now[name]} - {*libraries}) for name, libraries in before.items() if name in now}
    assert {*ENTRIES} <= {*now}
    assert {name: libraries for name, libraries in more.items() if libraries} == {}


def write() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    TEST_NAMES.write_text("\n".join(sorted(read_test_names().elements())) + "\n", encoding="utf-8")
    text = json.dumps(read_start_imports(read_product()), indent=1)
    START_IMPORTS.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    write()
