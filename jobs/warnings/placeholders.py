"""Rule about placeholders of other programs, which are not replaced: `${HOST}`, `%HOST%`, `{{ host }}`.

Used by jobs.warnings. In steps, `${name}` is a saved value; jobs.targets.steps validates these names.
A URL with a placeholder in its host is refused by jobs.targets.endpoints.
"""

from __future__ import annotations

from collections.abc import Iterator

from jobs.definition import JobDefinition
from jobs.problems import Finding, KeyPath
from jobs.targets import FormBody, HttpTarget, JsonBody, TextBody
from jobs.targets.endpoints import find_placeholder_in_text, find_placeholder_in_url
from jobs.targets.steps import Step

_HINT = "write the value itself, or reference a secret: {secret: NAME}; ${name} is only for the kind steps"


def find_unknown_placeholders(job: JobDefinition) -> Iterator[Finding]:
    """Warn of placeholders in the request of an HTTP check."""
    check = job.check
    if not isinstance(check, HttpTarget) or isinstance(check, Step):
        return
    if (placeholder := find_placeholder_in_url(check.url)) is not None:
        yield _finding(("check", "url"), placeholder)
    for path, text in _texts(check):
        if (placeholder := find_placeholder_in_text(text)) is not None:
            yield _finding(path, placeholder)


def _finding(path: KeyPath, placeholder: str) -> Finding:
    return Finding(path, f"contains the placeholder {placeholder}, which is not replaced but sent literally", _HINT)


def _texts(check: HttpTarget) -> Iterator[tuple[KeyPath, str]]:
    for key, values in (("headers", check.headers), ("query", check.query)):
        yield from ((("check", key, name), value) for name, value in values.items() if isinstance(value, str))
    match check.body:
        case TextBody(text=str() as text):
            yield ("check", "body", "text"), text
        case FormBody(form=form):
            yield from (
                (("check", "body", "form", name), value) for name, value in form.items() if isinstance(value, str)
            )
        case JsonBody(json_=document):
            yield from _texts_in(document, ("check", "body", "json"))


def _texts_in(document: object, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(document, str):
        yield path, document
    elif isinstance(document, dict):
        for key, value in document.items():
            yield from _texts_in(value, (*path, key))
    elif isinstance(document, (list, tuple)):
        for index, value in enumerate(document):
            yield from _texts_in(value, (*path, index))
