"""Compiles and renders templates that users write: a part of Jinja2 whose time and output are bounded.

Allowed: `{{ }}` with names, attributes, items, comparisons, conditions and the filters in FILTERS; `{% if %}`; one
level of `{% for %}`. There are no calls, assignments, macros, includes or arithmetic, so that work is at most the
template times its values, and nothing of Python is reachable. Jinja2 is imported at the first use.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from jobs.model_base import escape_control_characters
from jobs.problems.findings import did_you_mean, join_names, suggest_name

if TYPE_CHECKING:
    from jinja2 import Environment, Template, nodes

MAX_TEMPLATE = 10_000
"""Characters."""
MAX_OUTPUT = 50_000
"""Characters of a rendered text, and of each value within it."""
MAX_RENDERING_S = 1.0
_MAX_PIECE = 100
"""Characters that `join` and `replace` insert."""

_ALLOWED_NODES = frozenset(
    {"Template", "Output", "TemplateData", "Name", "Getattr", "Getitem", "Const", "Filter", "Test", "If", "CondExpr"}
    | {"Compare", "Operand", "And", "Or", "Not", "Concat", "For", "Keyword", "Tuple", "List"}
)
_ALLOWED_TESTS = frozenset({"defined", "undefined", "none", "in", "equalto", "string", "number", "mapping"})


class TemplateProblem(ValueError):
    """A template cannot be compiled or rendered. The message is a clause with the line, without values."""


def _join(values: Iterable[object], separator: str = ", ") -> str:
    if len(separator) > _MAX_PIECE:
        raise TemplateProblem(f"the separator of join has more than {_MAX_PIECE} characters")
    return separator.join(str(each) for each in values)


def _replace(text: object, old: str, new: str) -> str:
    if not old or len(new) > _MAX_PIECE:
        raise TemplateProblem(f"replace requires a text to replace and a new one of at most {_MAX_PIECE} characters")
    return str(text).replace(old, new)


def _truncate(text: object, length: int = 200) -> str:
    shown = str(text)
    return shown if len(shown) <= length else f"{shown[: max(length - 1, 0)]}…"


_OWN_FILTERS: dict[str, Callable[..., Any]] = {
    "join": _join,
    "replace": _replace,
    "truncate": _truncate,
    "upper": lambda text: str(text).upper(),
    "lower": lambda text: str(text).lower(),
    "capitalize": lambda text: str(text).capitalize(),
    "trim": lambda text: str(text).strip(),
}
_JINJA_FILTERS = ("default", "escape", "first", "last", "length", "list", "sort", "tojson", "items", "round", "int")

FILTERS = (*_OWN_FILTERS, *_JINJA_FILTERS)
"""The filters of templates."""


def has_template(text: str) -> bool:
    return "{{" in text or "{%" in text or "{#" in text


def check_template(text: str, known_names: Iterable[str]) -> None:
    """Check the syntax and the names of a template.

    Raises:
        TemplateProblem: with the line and, for an unknown name, the nearest known one.
    """
    _compile(text, tuple(known_names))


def render_template(text: str, values: Mapping[str, object]) -> str:
    """Render a template. `values`: all of its names. Control characters of values are escaped.

    Raises:
        TemplateProblem: it is invalid, a value is missing, or it exceeds a limit.
    """
    if not has_template(text):
        return text
    from jinja2 import TemplateError

    template = _compile(text, tuple(values))
    ends_at = time.monotonic() + MAX_RENDERING_S
    pieces: list[str] = []
    length = 0
    try:
        for piece in template.generate(values):
            pieces.append(piece)
            length += len(piece)
            if length > MAX_OUTPUT:
                raise TemplateProblem(f"the text has more than {MAX_OUTPUT:,} characters")
            if time.monotonic() > ends_at:
                raise TemplateProblem(f"rendering takes longer than {MAX_RENDERING_S:g} s")
    except TemplateError as error:
        raise TemplateProblem(_describe(error.message or "it cannot be rendered", values)) from None
    except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
        if isinstance(error, TemplateProblem):
            raise
        raise TemplateProblem(f"it cannot be rendered: {error}") from None
    return "".join(pieces)


def _describe(message: str, values: Mapping[str, object]) -> str:
    """Add a suggestion to Jinja2's message about an undefined attribute: `'dict object' has no attribute 'tem'`."""
    name = message.rpartition("attribute ")[2].strip("'")
    known = {str(key) for value in values.values() if isinstance(value, Mapping) for key in value}
    return message + did_you_mean(suggest_name(name, known)) if "attribute" in message else message


@cache
def _environment() -> Environment:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_escape, cache_size=0
    )
    filters = {name: environment.filters[name] for name in _JINJA_FILTERS} | _OWN_FILTERS
    environment.filters.clear()
    environment.filters.update({name: _bounded(name, each) for name, each in filters.items()})
    environment.globals.clear()
    return environment


def _escape(value: object) -> object:
    if isinstance(value, str):
        return escape_control_characters(value)
    if callable(value) and not hasattr(value, "_undefined_name"):
        raise TemplateProblem("a method is not a value: use a filter")
    return value


def _bounded(name: str, apply: Callable[..., Any]) -> Callable[..., Any]:
    """Return the filter with a bound on its result. Jinja2's own marks, such as `pass_environment`, are retained."""
    from functools import update_wrapper

    def bounded(*values: Any, **named: Any) -> Any:
        result = apply(*values, **named)
        if isinstance(result, str) and len(result) > MAX_OUTPUT:
            raise TemplateProblem(f"the filter {name} returns more than {MAX_OUTPUT:,} characters")
        return result

    return update_wrapper(bounded, apply)


@cache
def _compile(text: str, known_names: tuple[str, ...]) -> Template:
    """Compiled templates are cached: a process has as many as its job files."""
    from jinja2 import TemplateSyntaxError, meta

    if len(text) > MAX_TEMPLATE:
        raise TemplateProblem(f"a template has at most {MAX_TEMPLATE:,} characters, this one has {len(text):,}")
    environment = _environment()
    try:
        tree = environment.parse(text)
        _check_nodes(tree)
        unknown = sorted(meta.find_undeclared_variables(tree) - set(known_names))
        if unknown:
            raise _explain_unknown(tree, unknown[0], known_names)
        return environment.from_string(text)
    except TemplateSyntaxError as error:
        raise TemplateProblem(f"line {error.lineno}: {error.message}") from None
    except RecursionError:
        raise TemplateProblem("it is nested too deeply") from None


def _explain_unknown(tree: nodes.Template, name: str, known_names: Iterable[str]) -> TemplateProblem:
    from jinja2 import nodes

    line = next((node.lineno for node in tree.find_all(nodes.Name) if node.name == name), 1)
    hint = did_you_mean(suggest_name(name, known_names)) or f"; known names: {join_names(sorted(known_names))}"
    return TemplateProblem(f"line {line}: {name!r} is not a name of messages{hint}")


def _check_nodes(tree: nodes.Template) -> None:
    from jinja2 import nodes

    for node in tree.find_all(nodes.Node):
        name = type(node).__name__
        if name not in _ALLOWED_NODES:
            raise TemplateProblem(f"line {node.lineno}: {name} is not allowed in templates of messages")
        if isinstance(node, nodes.Test) and node.name not in _ALLOWED_TESTS:
            raise TemplateProblem(f"line {node.lineno}: the test {node.name!r} is not allowed")
        if isinstance(node, nodes.Filter) and node.name not in FILTERS:
            hint = did_you_mean(suggest_name(node.name, FILTERS)) or f"; filters: {join_names(FILTERS)}"
            raise TemplateProblem(f"line {node.lineno}: {node.name!r} is not a filter{hint}")
        if isinstance(node, nodes.For) and (node.recursive or next(node.find_all(nodes.For), None) is not None):
            raise TemplateProblem(f"line {node.lineno}: a loop inside a loop is not allowed")


class TagValues(dict[str, str]):
    """`tags.stage` is undefined for a job without this tag, and its text is empty."""

    def __missing__(self, name: str) -> Any:
        from jinja2 import Undefined

        return Undefined(name=name)
