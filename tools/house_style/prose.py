"""The prose of a file, with everything else masked. Called by tools.house_style.check.

A masked text has the length and the lines of the file, so a position in it is one in the file. What a rule must not
match across (code between two texts, a piece of code in backticks, a placeholder) is a control character.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import PurePath

_MASK = "\x00"
_LETTERS_AROUND_BLANK = re.compile(r"[A-Za-z,;:.)] +[A-Za-z({]")
_LITERAL = re.compile(
    r"(?P<prefix>[A-Za-z]{0,2})(?P<quote>\"\"\"|'''|\"|')(?P<text>(?:\\.|(?!(?P=quote)).)*)(?P=quote)", re.DOTALL
)
_PLACEHOLDER = re.compile(r"\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}")
_ESCAPE = re.compile(r"\\[nrt]")
_DIRECTIVE = re.compile(r"#\s*(?:noqa|type:|perf:|pragma|!).*")
_CODE_SPAN = re.compile(r"``[^`]+``|`[^`\n]+`")
_FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
_LINK_TARGET = re.compile(r"\]\([^)\n]*\)|<https?://[^>\n]*>|https?://\S+")
_HASH_COMMENT = re.compile(r"(?:^|(?<=\s))#.*", re.MULTILINE)
_SLASH_COMMENT = re.compile(r"(?:^|(?<=\s))//.*|/\*.*?\*/", re.MULTILINE | re.DOTALL)
_TEMPLATE_CODE = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|<script.*?</script>|<style.*?</style>|<[^>]*>", re.DOTALL)
_UNRELEASED = re.compile(r"^## \[(?!Unreleased).*", re.DOTALL | re.MULTILINE)


def prose_of(path: str, text: str) -> str:
    """Return the masked text. `path` decides how the file is read; of an unknown kind, nothing is prose."""
    return _reader_of(path)(text)


def _reader_of(path: str) -> Callable[[str], str]:
    name, suffix = PurePath(path).name, PurePath(path).suffix
    if name == "CHANGELOG.md":
        return lambda text: markdown_prose(_mask(text, _UNRELEASED))
    if name == "Jenkinsfile" or suffix in (".js", ".css"):
        return lambda text: _only(text, _SLASH_COMMENT)
    if name == "Dockerfile" or suffix in (".yaml", ".yml", ".toml"):
        return lambda text: _only(text, _HASH_COMMENT)
    by_suffix = {".md": markdown_prose, ".py": python_prose, ".html": _template_prose}
    return by_suffix.get(suffix, python_prose if name == "dev" else _blank)


def markdown_prose(text: str) -> str:
    """Mask blocks of code, pieces of code and the targets of links."""
    for pattern in (_FENCE, _CODE_SPAN, _LINK_TARGET):
        text = _mask(text, pattern)
    return text


def python_prose(text: str) -> str:
    """Mask everything except comments and the string literals that are sentences, docstrings included."""
    found = [*_comments(text), *_sentences(text)]
    return _mask(_unmasked(text, found), _CODE_SPAN)


def _template_prose(text: str) -> str:
    return _mask(text, _TEMPLATE_CODE)


def _comments(text: str) -> Iterator[tuple[int, str]]:
    """Yield the position and the text of each comment; of adjacent comment lines, with the line break between them."""
    if "#" not in text:
        return
    starts = _line_starts(text)
    previous = -2
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type != tokenize.COMMENT or _DIRECTIVE.match(token.string):
            continue
        line, column = token.start
        if line == previous + 1:
            yield starts[line - 1], " " * column
        yield starts[line - 1] + column, " " + token.string[1:]
        previous = line


@lru_cache(maxsize=1)
def parse(text: str) -> ast.Module:
    """Return the syntax tree. That of the last text is cached, as its prose and its names are checked in turn."""
    return ast.parse(text)


def _sentences(text: str) -> Iterator[tuple[int, str]]:
    starts, lines = _line_starts(text), text.split("\n")

    def position(line: int, column: int) -> int:
        return starts[line - 1] + len(lines[line - 1].encode()[:column].decode())

    for node in _literals(parse(text)):
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start = position(node.lineno, node.col_offset)
        segment = text[start : position(node.end_lineno, node.end_col_offset)]
        if (masked := _literal_prose(segment)) is not None:
            yield start, masked


def _literals(tree: ast.AST) -> Iterator[ast.expr]:
    """Yield the outermost string literals, each with those that it is concatenated with."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str)):
            yield node
        else:
            yield from _literals(node)


def _literal_prose(segment: str) -> str | None:
    """The texts of adjacent literals, with blanks for what is around them; None unless it is a sentence."""
    pieces, end = [], 0
    for match in _LITERAL.finditer(segment):
        is_pattern = "r" in match["prefix"].lower() or "b" in match["prefix"].lower()
        content = _mask(match["text"], _PLACEHOLDER) if "f" in match["prefix"].lower() else match["text"]
        content = _ESCAPE.sub("  ", content)
        before = " " * (match.start("text") - end)
        pieces += [before, _blank(content) if is_pattern else content]
        end = match.end("text")
    joined = "".join([*pieces, " " * (len(segment) - end)])
    return joined if _LETTERS_AROUND_BLANK.search(joined.replace(_MASK, "x")) else None


def _unmasked(text: str, found: Iterable[tuple[int, str]]) -> str:
    characters = list(_blank(text))
    for start, shown in found:
        end = start + len(shown)
        pairs = zip(shown, text[start:end], strict=True)
        characters[start:end] = (own if own == "\n" else character for character, own in pairs)
    return "".join(characters)


def _line_starts(text: str) -> list[int]:
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    return starts


def _blank(text: str) -> str:
    return "\n".join(_MASK * len(line) for line in text.split("\n"))


def _mask(text: str, pattern: re.Pattern[str]) -> str:
    return pattern.sub(lambda match: _blank(match[0]), text)


def _only(text: str, pattern: re.Pattern[str]) -> str:
    masked, end = [], 0
    for match in pattern.finditer(text):
        masked += [_blank(text[end : match.start()]), match[0].replace("#", " ").replace("//", "  ")]
        end = match.end()
    return "".join([*masked, _blank(text[end:])])
