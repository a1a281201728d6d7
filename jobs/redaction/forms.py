"""Computes the encoded forms in which other programs write a secret. Called by the redactor. Pure."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote, quote_plus

SHORTEST_SECRET = 4
"""Characters of a secret that is redacted. Shorter values occur in ordinary texts too often."""

_SHORTEST_LINE = 8
"""Characters of a line of a secret that is redacted without the other lines."""

_SHORTEST_IN_ANOTHER_CASE = 8
"""Characters of a value that is redacted in lower and upper case: shorter ones are ordinary words then."""

_MAX_LINE, _PIECE, _MAX_OF_A_LINE = 128, 64, 4096
"""Characters of a line that is redacted as a whole; of the pieces of a longer one; of these together."""

_MAX_WHOLE = 2048
"""Characters of a value that is redacted as a whole in every form. Longer ones are redacted by their pieces."""

_SHORTEST_PIECE = 16
"""Characters of a line of wrapped Base64."""

_WRAPPED_AT = (64, 76)
"""Characters of a line in PEM and in MIME."""

_NEVER_ESCAPED = re.compile("[A-Za-z0-9._-]*")
"""Characters that only programs escape that escape everything except letters and digits."""
_NEITHER_LETTER_NOR_DIGIT = re.compile("[^A-Za-z0-9]")
_ESCAPE = re.compile(r"%[0-9A-F]{2}")
_LEFT_BY_BROWSERS = "!'()*"
_LEFT_IN_URLS = ";,/?:@&=+$#" + _LEFT_BY_BROWSERS
_LEFT_IN_QUERIES = "/?:@!$'()*,;"
_DOTNET_JSON = re.compile("\\\\(u[0-9a-f]{4}|.)|[&'+<>`]")


@dataclass(frozen=True, slots=True)
class SecretForms:
    """`inside_base64`: the forms that the Base64 of a longer text contains."""

    plain: frozenset[str]
    inside_base64: frozenset[str]


def secret_forms(value: str) -> SecretForms:
    """Return every form of the value with at least SHORTEST_SECRET characters.

    Plain, reversed, in lower and upper case; URL-encoded by the rules of several programs, once or twice; escaped as in
    JSON (once or twice), HTML, Python, SQL and a shell; hexadecimal; Base64 of both alphabets, alone or within a longer
    text. Also each line of a multi-line value and each piece of a long one, because an excerpt can end within it.
    """
    plain: set[str] = set()
    inside: set[str] = set()
    for text in _text_variants(value):
        if len(text) > _MAX_WHOLE:
            plain.update((text, *_wrapped_base64(text.encode("utf-8", "replace"))))
            continue
        _add(text, plain, inside)
        # A query or a form that contains it URL-encoded can be encoded once more.
        for sent in {quote(text, "", errors="replace"), quote_plus(text, errors="replace")} - {text}:
            plain |= _url_encoded(sent)
            _add_encoded(sent, plain, inside)
        plain.update(_wrapped_base64(text.encode("utf-8", "replace")))
    for piece in _lines_and_pieces(value):
        _add(piece, plain, inside)
    return SecretForms(
        *(frozenset(form for form in forms if len(form) >= SHORTEST_SECRET) for forms in (plain, inside))
    )


def _add(text: str, plain: set[str], inside: set[str]) -> None:
    plain |= _escaped(text)
    plain.add(text[::-1])
    if len(text) >= _SHORTEST_IN_ANOTHER_CASE:
        plain.update((text.lower(), text.upper()))
    _add_encoded(text, plain, inside)


def _add_encoded(text: str, plain: set[str], inside: set[str]) -> None:
    raw = text.encode("utf-8", "replace")
    for digits in (raw.hex(), raw.hex(" "), raw.hex(":")):
        plain.update((digits, digits.upper()))
    for each in set(_inside_base64(raw)):
        inside.add(each)
        if not each.isalnum():
            plain |= _url_encoded(each) - {each}


def _text_variants(value: str) -> Iterator[str]:
    """Yield the value, and its variants with other line ends and encodings."""
    yield value
    bare = value.strip()
    if bare != value and len(bare) >= SHORTEST_SECRET:
        yield bare
    if not value.isascii():
        # Some programs decode UTF-8 as Latin-1, others drop non-ASCII characters.
        yield value.encode("utf-8", "replace").decode("latin-1")
        yield value.encode("ascii", "ignore").decode()
    if "\n" in bare:
        lines = bare.splitlines()
        yield "\n".join(lines)
        yield "\r\n".join(lines)
        yield "".join(line for line in lines if not _is_armour(line))


def _lines_and_pieces(value: str) -> Iterator[str]:
    """Yield the lines of a multi-line value, without PEM markers, and long ones in pieces."""
    lines = [line.strip() for line in value.splitlines()]
    if len(lines) < 2 and len(value) <= _MAX_LINE:
        return
    for line in lines:
        if _is_armour(line):
            continue
        width = len(line) if len(line) <= _MAX_LINE else _PIECE
        for at in range(0, min(len(line), _MAX_OF_A_LINE), width or 1):
            if len(piece := line[at : at + width]) >= _SHORTEST_LINE:
                yield piece


def _is_armour(line: str) -> bool:
    return line.startswith("-----")


def _escaped(text: str) -> set[str]:
    raw = text.encode("utf-8", "replace")
    bytewise = {f"%{raw.hex('%').upper()}", f"%{raw.hex('%')}"} if raw else {""}
    entities = {
        _NEITHER_LETTER_NOR_DIGIT.sub(lambda found: f"&#{ord(found[0])};", text),
        _NEITHER_LETTER_NOR_DIGIT.sub(lambda found: f"&#x{ord(found[0]):x};", text),
    }
    if _NEVER_ESCAPED.fullmatch(text):  # most tokens
        return {text, *bytewise, *entities}
    quoted = json.dumps(text)
    return {
        text,
        *bytewise,
        *entities,
        *_url_encoded(text),
        quoted[1:-1],
        json.dumps(quoted)[3:-3],
        json.dumps(quoted[1:-1], ensure_ascii=False)[1:-1],
        repr(raw)[2:-1],
        text.replace("'", "''"),
        text.replace("'", "'\"'\"'"),
        quoted[1:-1].replace("/", "\\/"),
        json.dumps(text, ensure_ascii=False)[1:-1],
        _dotnet_json(text),
        repr(text)[1:-1],
        html.escape(text),
        html.escape(text).replace("&#x27;", "&#39;").replace("&quot;", "&#34;"),
        html.escape(text, quote=False),
    }


def _dotnet_json(text: str) -> str:
    """Escape like System.Text.Json: more characters, and upper-case digits."""

    def escaped(matched: re.Match[str]) -> str:
        match matched[0]:
            case '\\"':
                return "\\u0022"
            case longer if len(longer) > 2:
                return "\\u" + longer[2:].upper()
            case single if len(single) == 1:
                return f"\\u{ord(single):04X}"
            case other:
                return other

    return _DOTNET_JSON.sub(escaped, json.dumps(text)[1:-1])


def _url_encoded(text: str) -> set[str]:
    if _NEVER_ESCAPED.fullmatch(text):
        return {text}
    encoded = {
        quote(text, errors="replace"),
        quote(text, "", errors="replace"),
        quote(text, _LEFT_BY_BROWSERS, errors="replace"),
        quote(text, _LEFT_IN_URLS, errors="replace"),
        quote(text, _LEFT_IN_QUERIES, errors="replace"),
        quote_plus(text, errors="replace"),
        quote_plus(text, "*", errors="replace").replace("~", "%7E"),
    }
    return encoded | {_ESCAPE.sub(lambda escape: escape[0].lower(), each) for each in encoded}


def _inside_base64(raw: bytes) -> Iterator[str]:
    """Yield the Base64 characters that depend only on the secret, for each alignment."""
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + raw).decode()
        whole = encoded[(before * 8 + 5) // 6 : (before + len(raw)) * 8 // 6]
        yield whole
        yield whole.translate(_URL_SAFE)


_URL_SAFE = str.maketrans("+/", "-_")


def _wrapped_base64(raw: bytes) -> Iterator[str]:
    """Yield the lines of its wrapped Base64, if there are several."""
    encoded = base64.b64encode(raw).decode()
    for width in _WRAPPED_AT:
        if len(encoded) > width:
            lines = (encoded[at : at + width] for at in range(0, len(encoded), width))
            yield from (line for line in lines if len(line) >= _SHORTEST_PIECE)
