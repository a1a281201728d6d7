"""Parses expressions of Bicep. Called by tools.infra.bicep.parser."""

from __future__ import annotations

from collections.abc import Sequence

from tools.infra.bicep.errors import BicepError
from tools.infra.bicep.lexer import Token
from tools.infra.bicep.syntax import (
    ArrayNode,
    Call,
    Expression,
    Index,
    Interpolation,
    Literal,
    Loop,
    Member,
    Name,
    ObjectNode,
    Operation,
)

_PRECEDENCE = {
    **dict.fromkeys(("??",), 1),
    **dict.fromkeys(("||",), 2),
    **dict.fromkeys(("&&",), 3),
    **dict.fromkeys(("==", "!="), 4),
    **dict.fromkeys(("<", "<=", ">", ">="), 5),
    **dict.fromkeys(("+", "-"), 6),
    **dict.fromkeys(("*", "/", "%"), 7),
}
_CONSTANTS = {"true": True, "false": False, "null": None}


class ExpressionParser:
    """Reads tokens from a position on."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = tokens
        self._at = 0

    @property
    def current(self) -> Token:
        return self._tokens[self._at]

    def parse_expression(self) -> Expression:
        condition = self._binary(1)
        if not self._next_after_newlines("?"):
            return condition
        self._skip_newlines()
        self.expect("?")
        self._skip_newlines()
        first = self.parse_expression()
        self._skip_newlines()
        self.expect(":")
        self._skip_newlines()
        return Operation("?:", (condition, first, self.parse_expression()))

    def expect(self, value: str) -> Token:
        """Read this symbol or word. Raises BicepError."""
        token = self.current
        if token.value != value or token.kind == "text":
            raise BicepError(f"expected {value!r}, found {token.value or token.kind!r}", token.line)
        self._at += 1
        return token

    def accept(self, value: str) -> bool:
        """Read this symbol or word if it is next."""
        if self.current.value == value and self.current.kind in ("symbol", "word"):
            self._at += 1
            return True
        return False

    def word(self) -> str:
        token = self.current
        if token.kind != "word":
            raise BicepError(f"expected a name, found {token.value or token.kind!r}", token.line)
        self._at += 1
        return token.value

    def text(self) -> str:
        """Read a text without expressions."""
        token = self.current
        if token.kind != "text" or len(token.parts) != 1 or not isinstance(token.parts[0], str):
            raise BicepError("expected a text without expressions", token.line)
        self._at += 1
        return token.parts[0]

    def skip_newlines(self) -> None:
        self._skip_newlines()

    def _skip_newlines(self) -> None:
        while self.current.kind == "newline":
            self._at += 1

    def _next_after_newlines(self, value: str) -> bool:
        at = self._at
        while self._tokens[at].kind == "newline":
            at += 1
        return self._tokens[at].kind == "symbol" and self._tokens[at].value == value

    def _binary(self, least: int) -> Expression:
        left = self._unary()
        while self.current.kind == "symbol" and _PRECEDENCE.get(self.current.value, 0) >= least:
            operator = self.expect(self.current.value).value
            self._skip_newlines()
            left = Operation(operator, (left, self._binary(_PRECEDENCE[operator] + 1)))
        return left

    def _unary(self) -> Expression:
        if self.accept("!"):
            return Operation("!", (self._unary(),))
        if self.accept("-"):
            return Operation("-", (Literal(0), self._unary()))
        return self._postfix(self._primary())

    def _postfix(self, found: Expression) -> Expression:
        while True:
            line = self.current.line
            if self.accept("."):
                name = self.word()
                found = Call(name, self._arguments(), found, line) if self.accept("(") else Member(found, name, line)
            elif self.accept("["):
                found = Index(found, self.parse_expression())
                self.expect("]")
            elif self.accept("!"):  # asserts that it is not null
                continue
            else:
                return found

    def _primary(self) -> Expression:
        token = self.current
        self._at += 1
        if token.kind == "number":
            return Literal(int(token.value))
        if token.kind == "text":
            return parse_text(token)
        if token.kind == "word":
            if token.value in _CONSTANTS:
                return Literal(_CONSTANTS[token.value])
            return (
                Call(token.value, self._arguments(), None, token.line)
                if self.accept("(")
                else Name(token.value, token.line)
            )
        if token.value == "(":
            self._skip_newlines()
            inner = self.parse_expression()
            self._skip_newlines()
            self.expect(")")
            return inner
        if token.value == "{":
            return self._object()
        if token.value == "[":
            return self._array()
        raise BicepError(f"expected an expression, found {token.value or token.kind!r}", token.line)

    def _arguments(self) -> tuple[Expression, ...]:
        found: list[Expression] = []
        self._skip_newlines()
        while not self.accept(")"):
            found.append(self.parse_expression())
            self._skip_newlines()
            if not self.accept(","):
                self.expect(")")
                break
            self._skip_newlines()
        return tuple(found)

    def _object(self) -> ObjectNode:
        entries: list[tuple[str | Interpolation, Expression]] = []
        while not self._at_end_of("}"):
            token = self.current
            key = self.word() if token.kind == "word" else self._text_key()
            self.expect(":")
            entries.append((key, self.parse_expression()))
        names = [key for key, _ in entries]
        if len(set(names)) < len(names):
            raise BicepError("a key is given twice", self.current.line)
        return ObjectNode(tuple(entries))

    def _text_key(self) -> str | Interpolation:
        token = self.current
        if token.kind != "text":
            raise BicepError(f"expected a key, found {token.value!r}", token.line)
        self._at += 1
        key = parse_text(token)
        return key if isinstance(key, Interpolation) else str(key.value)

    def _array(self) -> ArrayNode | Loop:
        self._skip_newlines()
        if self.current.value == "for" and self.current.kind == "word":
            return self._loop()
        items: list[Expression] = []
        while not self._at_end_of("]"):
            items.append(self.parse_expression())
        return ArrayNode(tuple(items))

    def _at_end_of(self, bracket: str) -> bool:
        while self.current.kind == "newline" or self.current.value == ",":
            self._at += 1
        return self.accept(bracket)

    def _loop(self) -> Loop:
        self.expect("for")
        index = None
        if self.accept("("):
            item = self.word()
            self.expect(",")
            index = self.word()
            self.expect(")")
        else:
            item = self.word()
        self.expect("in")
        source = self.parse_expression()
        self.expect(":")
        condition = self.condition()
        body = self.parse_expression()
        self._skip_newlines()
        self.expect("]")
        return Loop(item, index, source, condition, body)

    def condition(self) -> Expression | None:
        """Read `if (...)` if it is next."""
        if not self.accept("if"):
            return None
        self.expect("(")
        self._skip_newlines()
        found = self.parse_expression()
        self._skip_newlines()
        self.expect(")")
        return found


def parse_text(token: Token) -> Literal | Interpolation:
    """Return the text of a token as an expression."""
    if len(token.parts) == 1 and isinstance(token.parts[0], str):
        return Literal(token.parts[0])
    return Interpolation(
        tuple(part if isinstance(part, str) else ExpressionParser(part).parse_expression() for part in token.parts)
    )
