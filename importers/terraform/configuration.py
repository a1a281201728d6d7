"""The blocks of a configuration in HCL, and its resources with the values of variables and locals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from importers.ledger import UnresolvedText
from importers.terraform.expressions import Expression, parse_expression
from importers.terraform.scope import Budget, HclScope, TooLarge, UnknownHclValue
from importers.terraform.templates import Scanner
from jobs.problems import KeyPath

_MAX_PARTS = 100_000


@dataclass
class HclBlock:
    """`resource "a" "b" { ... }` has the kind `resource` and two labels."""

    kind: str
    labels: tuple[str, ...]
    line: int
    attributes: dict[str, Expression] = field(default_factory=dict)
    blocks: list[HclBlock] = field(default_factory=list)


def parse_hcl(text: str, shown: str) -> HclBlock:
    """Return a file as a block without a kind. Raises UnreadableSource with line and column."""
    scanner = Scanner(text, shown)
    root = HclBlock("", (), 1)
    _parse_parts(scanner, root, is_file=True)
    return root


def _parse_parts(scanner: Scanner, block: HclBlock, *, is_file: bool) -> None:
    scanner.enter()
    for _ in range(_MAX_PARTS):
        scanner.skip_blanks()
        if scanner.is_at_end and is_file:
            break
        if not is_file and scanner.take("}"):
            break
        _parse_part(scanner, block)
    else:
        scanner.fail("a block has too many parts")
    scanner.leave()


def _parse_part(scanner: Scanner, block: HclBlock) -> None:
    line = scanner.line()
    name = scanner.take_word() or scanner.fail("expected the name of an attribute or a block")
    scanner.skip_spaces()
    if scanner.peek() == "=" and scanner.peek(2) != "==":
        scanner.take("=")
        if name in block.attributes:
            scanner.fail(f"{name} occurs twice")
        block.attributes[name] = parse_expression(scanner)
        scanner.take(",")
        return
    labels: list[str] = []
    while not scanner.take("{"):
        label = _take_label(scanner)
        if not label:
            scanner.fail(f"expected = or {{ after {name}")
        labels.append(label)
        scanner.skip_spaces()
    inner = HclBlock(name, tuple(labels), line)
    _parse_parts(scanner, inner, is_file=False)
    block.blocks.append(inner)


def _take_label(scanner: Scanner) -> str:
    if not scanner.take('"'):
        return scanner.take_word()
    end = scanner.text.find('"', scanner.at)
    if end < 0 or "\n" in scanner.text[scanner.at : end]:
        scanner.fail("a label has no closing quote")
    label = scanner.text[scanner.at : end]
    scanner.at = end + 1
    return label


_MAX_INSTANCES = 500
_MAX_SHOWN = 1000
_STEPS_OF_LEAF = 10
"""What a value of a resource takes of the budget: each of its leaves is a line of the report."""


@dataclass(frozen=True)
class TerraformResource:
    """`values`: attributes, and blocks as lists of mappings. `lines`: by path, of a file in HCL."""

    file: str
    address: str
    kind: str
    values: dict[str, Any]
    lines: Mapping[KeyPath, int] = field(default_factory=dict)


class TerraformConfiguration:
    """Files of one module. `values`: of variables, before their defaults."""

    def __init__(self, files: Mapping[str, HclBlock], values: Mapping[str, Any]) -> None:
        self._files = files
        self._values = values
        self._defaults: dict[str, Expression | None] = {}
        self._locals: dict[str, Expression] = {}
        self._pending: set[str] = set()
        for root in files.values():
            for block in root.blocks:
                if block.kind == "variable" and block.labels:
                    self._defaults[block.labels[0]] = block.attributes.get("default")
                elif block.kind == "locals":
                    self._locals.update(block.attributes)
        self._budget = Budget(next(iter(files), "terraform"))
        self._scope = HclScope(self._variable, self._local, budget=self._budget)
        self._evaluated: dict[str, Any] = {}
        """Variables and locals by name."""

    def resources(self, kinds: frozenset[str]) -> Iterator[TerraformResource]:
        """Yield each instance of the resources of these types."""
        for file, root in self._files.items():
            for block in root.blocks:
                if block.kind == "resource" and len(block.labels) == 2 and block.labels[0] in kinds:
                    yield from self._instances(file, block)

    def others(self, kinds: frozenset[str]) -> Iterator[tuple[str, str, int]]:
        """Yield file, name and line of each other block."""
        for file, root in self._files.items():
            for block in root.blocks:
                if not (block.kind == "resource" and block.labels and block.labels[0] in kinds):
                    yield file, " ".join((block.kind, *block.labels)), block.line

    def _instances(self, file: str, block: HclBlock) -> Iterator[TerraformResource]:
        address = ".".join(block.labels)
        for key, scope in self._scopes(block):
            self._budget.spend(_STEPS_OF_LEAF)
            values: dict[str, Any] = {}
            lines: dict[KeyPath, int] = {(): block.line}
            self._fill(block, scope, values, lines, ())
            suffix = "" if key is None else f"[{key}]" if isinstance(key, int) else f'["{key}"]'
            yield TerraformResource(file, f"{address}{suffix}", block.labels[0], values, lines)

    def _scopes(self, block: HclBlock) -> Iterator[tuple[Any, HclScope]]:
        """Yield key and scope of each instance. An unknown number of instances is one."""
        if (count := block.attributes.get("count")) is not None:
            number = count.evaluate(self._scope)
            if isinstance(number, bool) or not isinstance(number, int):
                yield None, self._scope.with_names(count={"index": 0})
                return
            for index in range(min(number, _MAX_INSTANCES)):
                key = index if number > 1 else None
                yield key, self._scope.with_names(count={"index": index})
        elif (each := block.attributes.get("for_each")) is not None:
            yield from ((key, scope) for key, scope in self._each(each, "each"))
        else:
            yield None, self._scope

    def _each(self, source: Expression, name: str, scope: HclScope | None = None) -> Iterator[tuple[Any, HclScope]]:
        scope = scope or self._scope
        value = source.evaluate(scope)
        if isinstance(value, dict):
            entries = list(value.items())
        elif isinstance(value, list):
            entries = [(one if name == "each" else index, one) for index, one in enumerate(value)]
        else:
            yield None, scope
            return
        for key, one in entries[:_MAX_INSTANCES]:
            yield key, scope.with_names(**{name: {"key": key, "value": one}})

    def _fill(
        self, block: HclBlock, scope: HclScope, values: dict[str, Any], lines: dict[KeyPath, int], path: KeyPath
    ) -> None:
        for name, expression in block.attributes.items():
            if path or name not in ("count", "for_each"):
                values[name] = self._pay(expression, expression.evaluate(scope))
                lines[(*path, name)] = expression.line
        for inner in block.blocks:
            if inner.kind == "dynamic" and inner.labels:
                self._fill_dynamic(inner, scope, values, lines, path)
            else:
                self._add_block(inner.kind, inner, scope, values, lines, path)

    def _pay(self, expression: Expression, value: Any) -> Any:
        """Return the value of an attribute, at the cost of its leaves."""
        try:
            size = self._budget.measure(value)
        except TooLarge as error:
            size, value = 1, UnresolvedText(expression.text[:_MAX_SHOWN], str(error))
        self._budget.spend(_STEPS_OF_LEAF * size)
        return value

    def _fill_dynamic(
        self, block: HclBlock, scope: HclScope, values: dict[str, Any], lines: dict[KeyPath, int], path: KeyPath
    ) -> None:
        """`dynamic "header"` is a block for each entry of a collection."""
        name = block.labels[0]
        content = next((inner for inner in block.blocks if inner.kind == "content"), None)
        source = block.attributes.get("for_each")
        if content is None or source is None:
            return
        iterator = block.attributes.get("iterator")
        for _, inner in self._each(source, iterator.text if iterator is not None else name, scope):
            self._add_block(name, content, inner, values, lines, path)

    def _add_block(
        self,
        name: str,
        block: HclBlock,
        scope: HclScope,
        values: dict[str, Any],
        lines: dict[KeyPath, int],
        path: KeyPath,
    ) -> None:
        listed = values.setdefault(name, [])
        if not isinstance(listed, list):
            return
        self._budget.spend(_STEPS_OF_LEAF)
        place = (*path, name, len(listed))
        filled: dict[str, Any] = {}
        listed.append(filled)
        lines[place] = block.line
        self._fill(block, scope, filled, lines, place)

    def _variable(self, name: str) -> Any:
        if name in self._values:
            return self._values[name]
        default = self._defaults.get(name)
        if default is None:
            raise UnknownHclValue(f"var.{name}")
        return self._evaluate(f"var.{name}", default)

    def _local(self, name: str) -> Any:
        expression = self._locals.get(name)
        if expression is None:
            raise UnknownHclValue(f"local.{name}")
        return self._evaluate(f"local.{name}", expression)

    def _evaluate(self, name: str, expression: Expression) -> Any:
        if name in self._pending:
            raise UnknownHclValue(f"{name}, which needs itself")
        if name not in self._evaluated:
            self._pending.add(name)
            try:
                self._evaluated[name] = expression.evaluate(self._scope)
            finally:
                self._pending.discard(name)
        value = self._evaluated[name]
        if isinstance(value, UnresolvedText):
            raise UnknownHclValue(value.needs)
        return value
