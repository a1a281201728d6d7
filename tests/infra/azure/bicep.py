"""Parses the part of Bicep that infra/bicep uses. Called by tests.infra.azure.evaluation.

What the parser does not know is an error, and so is a name that is not declared or not used. The compiler itself comes
with the Azure CLI, which tests do not need.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

_BLANK = re.compile(r"(?:[ \t\r]|//[^\n]*|/\*.*?\*/|#disable-next-line[^\n]*)*", re.DOTALL)
_TOKEN = re.compile(r"\n|\d+|\w+|'''.*?'''|'|&&|\|\||\?\?|[=!<>]=|[{}\[\]()=:,.?@!<>+\-*/%]", re.DOTALL)
_TEXT = re.compile(r"((?:[^'\\$\n]|\\[nrt\\'$]|\$(?!\{))*)('|\$\{)")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}
_OPERATORS = (("??",), ("||",), ("&&",), ("==", "!="), ("<", "<=", ">", ">="), ("+", "-"), ("*", "/", "%"))
_PRECEDENCE = {operator: level for level, operators in enumerate(_OPERATORS, 1) for operator in operators}
_CONSTANTS = {"true": True, "false": False, "null": None}
_TYPES = ("string", "int", "bool", "array", "object")
_DECORATORS = ("allowed", "description", "maxLength", "maxValue", "minLength", "minValue", "secure")
_KNOWN_BEFORE = ("id", "name", "type", "apiVersion")
"""What a resource is before its deployment."""


class BicepError(ValueError):
    """What is wrong in a file, or what the parser does not know. `line`: 0 if it is about the whole file."""

    def __init__(self, message: str, line: int = 0, file: str = "") -> None:
        self.message, self.line = message, line
        super().__init__(f"{file}:{line}: {message}")


@dataclass(frozen=True, slots=True)
class Node:
    """An expression. `parts`, by kind:

    constant: the value. text: texts and expressions. name: the name. access, safe access: base and key. call: the name
    of the function or operator, then arguments. if: condition and both values. secret: symbol of the vault and name.
    object: keys and values in turn. array: items. for: item, index, source, condition, body.
    """

    kind: str
    parts: tuple[Any, ...]
    line: int = field(default=0, compare=False)

    def walk(self) -> Iterator[Node]:
        """Yield this expression and those in it."""
        yield self
        for part in self.parts:
            if isinstance(part, Node):
                yield from part.walk()

    def names(self, own: frozenset[str] = frozenset()) -> Iterator[Node]:
        """Yield the names in it that no loop of its own defines."""
        if self.kind == "name" and self.parts[0] not in own:
            yield self
        inner = own | {*self.parts[:2]} if self.kind == "for" else own
        for at, part in enumerate(self.parts):
            if isinstance(part, Node):
                yield from part.names(own if at == 2 else inner)  # the third part of a loop is its source

    def entries(self) -> dict[Any, Node]:
        """Return the values of an object by their keys: texts, or expressions."""
        keys = (key.parts[0] if key.kind == "constant" else key for key in self.parts[::2])
        return dict(zip(keys, self.parts[1::2], strict=True))


@dataclass(frozen=True, slots=True)
class Declaration:
    """A statement. `kind`: its first word. `type`: of a resource with its API version, of a module its path."""

    kind: str
    name: str
    type: str
    value: Node | None
    line: int
    decorators: dict[str, Node | None] = field(default_factory=dict)
    condition: Node | None = None
    is_existing: bool = False

    @property
    def body(self) -> dict[Any, Node]:
        """The entries of a resource or a module; those of one pass of its loop."""
        assert self.value is not None
        node = self.value.parts[-1] if self.value.kind == "for" else self.value
        if node.kind != "object":
            raise BicepError(f"{self.name} is not an object", self.line)
        entries: dict[Any, Node] = node.entries()
        return entries

    def nodes(self) -> Iterator[Node]:
        for node in (self.value, self.condition, *self.decorators.values()):
            if node is not None:
                yield node

    def fixed(self) -> Iterator[Node]:
        """Yield what must be known before the deployment."""
        if self.kind == "var" and self.value is not None and self.value.kind == "for":
            yield self.value
        if self.kind in ("resource", "module") and self.value is not None:
            yield self.body["name"]
            yield from self.value.parts[2:4] if self.value.kind == "for" else (self.condition,)


class BicepFile:
    """The declarations of a file, or of a file of parameters (.bicepparam). Raises BicepError, with file and line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._has_types = path.suffix == ".bicep"
        try:
            self.declarations = list(_Parser(path.read_text(encoding="utf-8")).parse_file())
            self.symbols = self._collect_symbols()
            self._check()
        except BicepError as error:
            raise BicepError(error.message, error.line, path.name) from None

    @cached_property
    def modules(self) -> dict[str, BicepFile]:
        """The files of the modules, by their paths in this file."""
        return {path: BicepFile(self.path.parent / path) for path in {each.type for each in self.of_kind("module")}}

    def of_kind(self, *kinds: str) -> list[Declaration]:
        return [each for each in self.declarations if each.kind in kinds]

    def _collect_symbols(self) -> dict[str, Declaration]:
        found: dict[str, Declaration] = {}
        for each in self.of_kind("param", "var", "resource", "module"):
            if found.setdefault(each.name, each) is not each:
                raise BicepError(f"declared twice: {each.name}", each.line)
        return found

    def _check(self) -> None:
        used: set[str] = set()
        for each in self.declarations:
            if each.kind in ("param", "output") and self._has_types and each.type not in _TYPES:
                raise BicepError(f"the type {each.type!r} of {each.name} is not supported", each.line)
            _check_declaration(each)
            for name in (name for node in each.nodes() for name in node.names()):
                if name.parts[0] not in self.symbols:
                    raise BicepError(f"{name.parts[0]} is not declared", name.line)
                used.add(name.parts[0])
            for node in filter(None, each.fixed()):
                self._check_fixed(each, node)
        if self._has_types and (unused := sorted({each.name for each in self.of_kind("param", "var")} - used)):
            raise BicepError(f"not used: {', '.join(unused)}")

    def _check_fixed(self, declared: Declaration, node: Node) -> None:
        for symbol in (self.symbols.get(each.parts[0]) for each in node.names()):
            if symbol is not None and symbol.kind == "var" and symbol.value is not None:
                self._check_fixed(declared, symbol.value)
        deployed = {each.name for each in self.of_kind("resource", "module")}
        for base, key in (access.parts for access in node.walk() if access.kind == "access"):
            if base.kind == "name" and base.parts[0] in deployed and key.parts[0] not in _KNOWN_BEFORE:
                message = f"{declared.name}: a name, a condition, a count or a variable uses what is known later"
                raise BicepError(message, base.line)


def _check_declaration(declared: Declaration) -> None:
    if declared.kind == "resource" and "@" not in declared.type:
        raise BicepError(f"{declared.name} has no API version", declared.line)
    if declared.kind in ("resource", "module") and "name" not in declared.body:
        raise BicepError(f"{declared.name} has no name", declared.line)
    if unknown := declared.decorators.keys() - set(_DECORATORS):
        raise BicepError(f"the decorator {', '.join(unknown)} is not supported", declared.line)


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._token = ""
        self._read()

    def _read(self) -> str:
        """Read the next token, and return the one before it."""
        blank = _BLANK.match(self._text, self._at)
        start = blank.end() if blank else self._at
        found = _TOKEN.match(self._text, start)
        if found is None and start < len(self._text):
            raise BicepError(f"unexpected {self._text[start]!r}", self._text.count("\n", 0, start) + 1)
        before, self._token = self._token, found[0] if found else ""
        self._at = found.end() if found else start
        return before

    @property
    def _line(self) -> int:
        return self._text.count("\n", 0, self._at - len(self._token)) + 1

    def _fail(self, expected: str) -> BicepError:
        return BicepError(f"expected {expected}, found {self._token!r}", self._line)

    def _accept(self, *tokens: str) -> str:
        """Read the token if it is one of these. Return it, otherwise an empty text."""
        return self._read() if self._token in tokens else ""

    def _expect(self, token: str) -> None:
        if not self._accept(token):
            raise self._fail(repr(token))

    def _word(self) -> str:
        if not re.fullmatch(r"[A-Za-z_]\w*", self._token):
            raise self._fail("a name")
        return self._read()

    def _skip(self, *tokens: str) -> None:
        while self._accept("\n", *tokens):
            pass

    def parse_file(self) -> Iterator[Declaration]:
        self._skip()
        while self._token:
            if (declared := self._declaration()) is not None:
                yield declared
            if self._token not in ("\n", ""):
                raise BicepError(f"unexpected {self._token!r}", self._line)
            self._skip()

    def _declaration(self) -> Declaration | None:
        decorators: dict[str, Node | None] = {}
        while self._accept("@"):
            name = self._word()
            self._expect("(")
            decorators[name] = None if self._token == ")" else self._expression()
            self._expect(")")
            self._skip()
        line, keyword = self._line, self._word()
        if keyword in ("targetScope", "using"):
            if keyword == "targetScope":
                self._expect("=")
            self._plain_text()
            return None
        if keyword in ("metadata", "param", "var", "output"):
            name, kind = self._word(), self._word() if self._token != "=" and self._token != "\n" else ""
            value = self._expression() if self._accept("=") else None
            if value is None and keyword != "param":
                raise BicepError(f"{keyword} {name} has no value", line)
            return Declaration(keyword, name, kind, value, line, decorators)
        if keyword in ("resource", "module"):
            name, kind, is_existing = self._word(), self._plain_text(), bool(self._accept("existing"))
            self._expect("=")
            condition = self._condition()
            return Declaration(keyword, name, kind, self._expression(), line, decorators, condition, is_existing)
        raise BicepError(f"unknown statement {keyword!r}", line)

    def _plain_text(self) -> str:
        node = self._primary()
        if node.kind != "constant" or not isinstance(node.parts[0], str):
            raise BicepError("expected a text without expressions", node.line)
        return node.parts[0]

    def _condition(self) -> Node | None:
        return self._in_parentheses() if self._accept("if") else None

    def _in_parentheses(self) -> Node:
        self._expect("(")
        self._skip()
        node = self._expression()
        self._skip()
        self._expect(")")
        return node

    def _expression(self) -> Node:
        line, condition = self._line, self._binary(1)
        if not re.compile(r"\s*\?(?!\?)").match(self._text, self._at - len(self._token)):
            return condition
        values = []
        for sign in "?:":
            self._skip()
            self._expect(sign)
            self._skip()
            values.append(self._expression())
        return Node("if", (condition, *values), line)

    def _binary(self, least: int) -> Node:
        left = self._unary()
        while _PRECEDENCE.get(self._token, 0) >= least:
            line, operator = self._line, self._read()
            self._skip()
            left = Node("call", (operator, left, self._binary(_PRECEDENCE[operator] + 1)), line)
        return left

    def _unary(self) -> Node:
        line = self._line
        if self._accept("!"):
            return Node("call", ("!", self._unary()), line)
        if self._accept("-"):
            return Node("call", ("-", Node("constant", (0,)), self._unary()), line)
        node = self._primary()
        while sign := self._accept(".", "["):
            kind = "safe access" if self._accept("?") else "access"
            if sign == "[":
                node = Node(kind, (node, self._expression()), line)
                self._expect("]")
                continue
            key = self._word()
            if self._token != "(":
                node = Node(kind, (node, Node("constant", (key,))), line)
            elif key == "getSecret" and node.kind == "name":
                node = Node("secret", (node, *self._arguments()), line)
            else:
                raise BicepError(f"the method {key} is not supported", line)
        return node

    def _primary(self) -> Node:
        line, token = self._line, self._token
        if token == "(":
            return self._in_parentheses()
        if token == "'":
            return self._interpolated_text()
        if re.match(r"\w", token):
            self._read()
            if self._token == "(":
                return Node("call", (token, *self._arguments()), line)
            if token.isdigit():
                return Node("constant", (int(token),), line)
            return Node("constant", (_CONSTANTS[token],), line) if token in _CONSTANTS else Node("name", (token,), line)
        if token.startswith("'''"):
            return Node("constant", (self._read()[3:-3].removeprefix("\n"),), line)
        if self._accept("{"):
            return Node("object", tuple(self._entries()), line)
        if self._accept("["):
            self._skip()
            return self._loop() if self._accept("for") else Node("array", tuple(self._items("]")), line)
        raise self._fail("an expression")

    def _interpolated_text(self) -> Node:
        """Read a text: the current token is its quote, and `_at` is behind that."""
        line, parts = self._line, list[Any]()
        while True:
            found = _TEXT.match(self._text, self._at)
            if found is None:
                raise BicepError("a text does not end", line)
            parts.append(re.sub(r"\\(.)", lambda escaped: _ESCAPES.get(escaped[1], escaped[1]), found[1]))
            self._at = found.end()
            self._read()
            if found[2] == "'":
                return Node("constant" if len(parts) == 1 else "text", tuple(parts), line)
            parts.append(self._expression())
            if self._token != "}":
                raise self._fail("'}'")

    def _arguments(self) -> Iterator[Node]:
        self._expect("(")
        return self._items(")")

    def _items(self, end: str) -> Iterator[Node]:
        self._skip()
        while not self._accept(end):
            yield self._expression()
            if self._token not in (",", "\n", end):
                raise self._fail(repr(end))
            self._skip(",")

    def _entries(self) -> Iterator[Node]:
        keys: list[Node] = []
        self._skip()
        while not self._accept("}"):
            line = self._line
            keys.append(self._primary() if self._token == "'" else Node("constant", (self._word(),), line))
            if keys[-1] in keys[:-1]:
                raise BicepError("a key is given twice", line)
            yield keys[-1]
            self._expect(":")
            yield self._expression()
            if self._token not in (",", "\n", "}"):
                raise self._fail("'}'")
            self._skip(",")

    def _loop(self) -> Node:
        line, index = self._line, ""
        if self._accept("("):
            item = self._word()
            self._expect(",")
            index = self._word()
            self._expect(")")
        else:
            item = self._word()
        self._expect("in")
        source = self._expression()
        self._expect(":")
        condition = self._condition()
        body = self._expression()
        self._skip()
        self._expect("]")
        return Node("for", (item, index, source, condition, body), line)
