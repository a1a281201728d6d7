"""Which modules a program imports, found by reading it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tools.image.import_graph import ImportGraph, imported_names, modules_below, named_modules


def write(folder: Path, files: Mapping[str, str]) -> ImportGraph:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return ImportGraph([folder])


def reach(graph: ImportGraph, folder: Path, *names: str, without: str | None = None) -> set[str]:
    return {file.relative_to(folder).as_posix() for file in graph.reach(names, without)}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import a.b as c, d", {"a.b", "d"}),
        ("from a import b", {"a", "a.b"}),
        ("from . import b", {"top.pkg", "top.pkg.b"}),
        ("from ..other import b", {"top.other", "top.other.b"}),
        (
            "def f():\n    try:\n        import late\n    except ImportError:\n        import instead",
            {"late", "instead"},
        ),
        ("if TYPE_CHECKING:\n    import only_types\nelse:\n    import at_run_time", {"at_run_time"}),
        (
            "match x:\n    case 1:\n        import m\nwith a:\n    import n\ntry:\n    pass\nfinally:\n    import o",
            {"m", "n", "o"},
        ),
        (
            "class A:\n    async def f(self):\n        while 1: import p\n        else: import q",
            {"p", "q"},
        ),
        ("if typing.TYPE_CHECKING:\n    import only_types", set()),
    ],
)
def test_statements_are_found_wherever_they_are(source: str, expected: set[str]) -> None:
    assert set(imported_names(source.encode(), "top.pkg.module", is_package=False)) == expected


def test_a_package_is_the_base_of_its_relative_imports() -> None:
    assert set(imported_names(b"from .a import b", "top.pkg", is_package=True)) == {"top.pkg.a", "top.pkg.a.b"}


def test_everything_that_is_imported_through_others_is_reached(tmp_path: Path) -> None:
    graph = write(
        tmp_path,
        {
            "program.py": "import sdk.api.things",
            "sdk/__init__.py": "from sdk.client import Client",
            "sdk/client.py": "import json",
            "sdk/api/__init__.py": "",
            "sdk/api/things.py": "def types():\n    from sdk.model.thing import Thing",
            "sdk/api/others.py": "",
            "sdk/model/__init__.py": "",
            "sdk/model/thing.py": "from sdk._native import speed",
            "sdk/model/other.py": "",
            "sdk/_native.cpython-313-x86_64-linux-gnu.so": "",
        },
    )
    unused = {"sdk/api/others.py", "sdk/model/other.py"}
    files = {file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*") if file.is_file()}

    assert reach(graph, tmp_path, "program") == files - unused


def test_modules_in_a_folder_without_init_are_reached(tmp_path: Path) -> None:
    graph = write(tmp_path, {"program.py": "from azure.core import x", "azure/core/__init__.py": ""})
    assert reach(graph, tmp_path, "program") == {"program.py", "azure/core/__init__.py"}


def test_circles_end_and_missing_modules_are_ignored(tmp_path: Path) -> None:
    graph = write(tmp_path, {"a.py": "import b, gone.for_good", "b.py": "import a"})
    assert reach(graph, tmp_path, "a") == {"a.py", "b.py"}


def test_an_excluded_package_is_not_followed(tmp_path: Path) -> None:
    graph = write(
        tmp_path, {"a.py": "import seldom.x, often", "seldom/x.py": "import big", "often.py": "", "big.py": ""}
    )
    assert reach(graph, tmp_path, "a", without="seldom") == {"a.py", "often.py"}
    assert reach(graph, tmp_path, "a") == {"a.py", "often.py", "seldom/x.py", "big.py"}


def test_names_in_tables_are_found() -> None:
    source = b'X = {"a": "sdk.model.a", "b": ("sdk.b", "B")}\nY = "sdk"\nZ = "sdkx.y"'
    assert set(named_modules(source, ("sdk",))) == {"sdk.model.a", "sdk.b"}


def test_modules_of_packages_have_dotted_names(tmp_path: Path) -> None:
    write(tmp_path, {"one.py": "", "pkg/__init__.py": "", "pkg/sub/x.py": ""})
    assert sorted(name for name, _ in modules_below(tmp_path, ["one", "pkg"])) == ["one", "pkg", "pkg.sub.x"]
