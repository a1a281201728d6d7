"""Measures how the product is cut into files: `./dev layout`. `--write` puts the tables into docs/architecture.md.

Nothing is imported or run. The numbers are signs, not limits: what a reader has to open to understand a subject.
"""

from __future__ import annotations

import argparse
import ast
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parent.parent
DOCUMENT = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- begin of ./dev layout -->\n", "<!-- end of ./dev layout -->\n"
PACKAGES = ("jobs", "config", "importers", "observability", "scheduler")
COMMANDS = re.compile(r"scheduler\.(cli\.commands\..+|features\.\w+\.\w*commands)")
"""Names of the modules of commands."""
MIN_LINES_OF_AREA = 5000
"""Lines of a folder of a package that is a separate area."""
MIN_LINES_OF_FILE = 4
"""Lines of a file that counts for the middle one: an empty `__init__.py` is not about size."""
SUBJECTS: Mapping[str, str] = {
    "silences": "silence|suppression",
    "windows": "window",
    "incidents": "incident",
    "objectives": "objective",
    "heartbeats": "heartbeat|ping(?=s?$|_)",
    "circuits": "circuit|breaker",
    "dead letters": "dead_?letter",
    "stored jobs": "stored_?job",
    "job sets": "job_?set",
    "API keys": "(api_?|function_?)key",
    "sessions": "session",
    "statistics": "statistic|rollup",
    "forecast": "forecast",
    "backups": "backup",
    "audit": "audit",
}
"""Subjects, and what a name contains that is about one, in any case."""


@dataclass(frozen=True)
class Module:
    """`at_start`: the modules that are imported with this one. `imports`: these, and those imported by functions."""

    name: str
    path: Path
    lines: int
    import_lines: int
    at_start: frozenset[str]
    imports: frozenset[str]
    names: tuple[str, ...]
    shapes: tuple[str, ...] = field(default=())

    @property
    def folder(self) -> str:
        return str(self.path.parent)


class Product:
    def __init__(self, modules: Iterable[Module]) -> None:
        self.modules = tuple(modules)
        self._by_name = {module.name: module for module in self.modules}

    @cached_property
    def areas(self) -> Mapping[str, Sequence[Module]]:
        """Return the modules of each area: a package, or a large folder of one. Each module is in one of them."""
        lines = Counter[str]()
        for module in self.modules:
            lines[_second_folder(module)] += module.lines
        areas: defaultdict[str, list[Module]] = defaultdict(list)
        for module in self.modules:
            folder = _second_folder(module)
            areas[folder if lines[folder] >= MIN_LINES_OF_AREA else module.path.parts[0]].append(module)
        return dict(sorted(areas.items()))

    @cached_property
    def single_uses(self) -> frozenset[str]:
        """Return the names of the modules that exactly one other module imports."""
        importers = Counter(used for module in self.modules for used in self._find(module.imports) - {module.name})
        return frozenset(name for name, count in importers.items() if count == 1 and not self._is_package(name))

    def folders_of(self, subject: str) -> frozenset[str]:
        """Return the folders with a file, class or function whose name is about the subject."""
        return frozenset(module.folder for module in self.modules if any(_matches(subject, (*module.names,))))

    def shapes_of(self, subject: str) -> frozenset[str]:
        """Return the classes with fields whose name is about the subject."""
        return frozenset(name for module in self.modules for name in _matches(subject, module.shapes))

    def libraries_of(self, name: str) -> frozenset[str]:
        """Return the libraries that importing this module imports, itself or by other modules of the product."""
        reached, waiting = {name}, [name]
        libraries: set[str] = set()
        while waiting:
            imports = self._by_name[waiting.pop()].at_start
            further = self._find(imports) - reached
            reached |= further
            waiting += further
            libraries.update(used.partition(".")[0] for used in imports)
        return frozenset(libraries - sys.stdlib_module_names - {*PACKAGES})

    def longest_chain(self) -> tuple[str, ...]:
        """Return the longest chain of modules of which each imports the next one, from a command's module on."""
        chains: dict[str, tuple[str, ...]] = {}

        def chain_from(name: str, above: frozenset[str]) -> tuple[str, ...]:
            if name not in chains:
                used = self._find(self._by_name[name].at_start) - above - {name}
                below = (chain_from(each, above | {name}) for each in sorted(used))
                chains[name] = (name, *max(below, key=len, default=()))
            return chains[name]

        commands = (module.name for module in self.modules if COMMANDS.fullmatch(module.name))
        return max((chain_from(name, frozenset()) for name in commands), key=len, default=())

    def _find(self, imports: Iterable[str]) -> frozenset[str]:
        """Return the modules among what import statements name."""
        return frozenset(name for name in imports if name in self._by_name)

    def _is_package(self, name: str) -> bool:
        return self._by_name[name].path.name == "__init__.py"


@cache
def read_product(root: Path = ROOT) -> Product:
    names = [f"{package}/**/*.py" for package in PACKAGES]
    listing = subprocess.check_output(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *(f":(glob){n}" for n in names)],
        cwd=root,
        text=True,
    )
    paths = (Path(name) for name in listing.split("\0") if name and (root / name).is_file())
    return Product(_read_module(root, path) for path in sorted(paths))


def _read_module(root: Path, path: Path) -> Module:
    text = (root / path).read_text(encoding="utf-8")
    tree = ast.parse(text)
    at_start = [*_imports(tree.body)]
    statements = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    return Module(
        name=".".join(path.with_suffix("").parts).removesuffix(".__init__"),
        path=path,
        lines=text.count("\n"),
        import_lines=sum((node.end_lineno or node.lineno) - node.lineno + 1 for node in statements),
        at_start=_named(at_start),
        imports=_named(statements),
        names=(path.stem, *(node.name for node in tree.body if isinstance(node, _Definition) and node.name[0] != "_")),
        shapes=tuple(node.name for node in classes if _has_fields(node)),
    )


_Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def _imports(body: Iterable[ast.stmt]) -> Iterator[ast.Import | ast.ImportFrom]:
    """Yield the statements that run when the module is imported, without those for type checkers."""
    for node in body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif (isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.unparse(node.test)) or isinstance(node, ast.Try):
            yield from _imports([*node.body, *node.orelse])


def _named(statements: Iterable[ast.Import | ast.ImportFrom]) -> frozenset[str]:
    names: set[str] = set()
    for node in statements:
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(names)


def _has_fields(node: ast.ClassDef) -> bool:
    return sum(isinstance(statement, ast.AnnAssign) for statement in node.body) >= 2


def _matches(subject: str, names: Iterable[str]) -> Iterator[str]:
    pattern = re.compile(SUBJECTS[subject], re.IGNORECASE)
    return (name for name in names if pattern.search(name))


def _second_folder(module: Module) -> str:
    return "/".join(module.path.parts[: 2 if len(module.path.parts) > 2 else 1])


def describe(product: Product) -> str:
    """Return the tables as Markdown."""
    chain = product.longest_chain()
    return "\n".join(
        [
            "| Area | Files | Lines | Middle file | Imports | Files with one importer |",
            "|---|---:|---:|---:|---:|---:|",
            *(_describe_area(product, name, modules) for name, modules in product.areas.items()),
            _describe_area(product, "**all**", product.modules),
            "",
            "| Subject | Folders | Shapes |",
            "|---|---:|---:|",
            *(f"| {name} | {len(product.folders_of(name))} | {len(product.shapes_of(name))} |" for name in SUBJECTS),
            "",
            f"The longest chain of imports of a command: {len(chain)} modules, from `{chain[0]}` to `{chain[-1]}`.",
            "",
        ]
    )


def _describe_area(product: Product, name: str, modules: Sequence[Module]) -> str:
    def total(number: Callable[[Module], int]) -> int:
        return sum(map(number, modules))

    lines = total(lambda module: module.lines)
    middle = median(module.lines for module in modules if module.lines >= MIN_LINES_OF_FILE)
    imports = 100 * total(lambda module: module.import_lines) / lines
    single = total(lambda module: module.name in product.single_uses)
    return f"| {name} | {len(modules):,} | {lines:,} | {middle:g} | {imports:.1f} % | {single:,} |"


def insert_tables(document: str, tables: str) -> str:
    """Return the document with these tables. Raises ValueError: it does not mark their place."""
    before, _, rest = document.partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise ValueError(f"{DOCUMENT.name} has no lines {BEGIN.strip()} and {END.strip()}")
    return f"{before}{BEGIN}\n{tables}\n{END}{after}"


def main() -> None:
    parser = argparse.ArgumentParser("./dev layout", description=__doc__.partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="put the tables into docs/architecture.md")
    options = parser.parse_args()
    tables = describe(read_product())
    print(tables, end="")
    if options.write:
        DOCUMENT.write_text(insert_tables(DOCUMENT.read_text(encoding="utf-8"), tables), encoding="utf-8")


if __name__ == "__main__":
    main()
