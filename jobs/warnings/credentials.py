"""Credentials that stand in the job file as plain text. Used by jobs.warnings. Values are never repeated."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from urllib.parse import parse_qsl, urlsplit

from jobs.definition import JobDefinition
from jobs.model import SecretRef
from jobs.problems import Finding, Path
from jobs.targets import FormBody, HttpTarget, JsonBody
from jobs.warnings.requests import requests_of

SHORTEST = 6
"""Characters. What is shorter is a word such as `Fetch` (of X-CSRF-Token) or `none`, not a credential."""

_CREDENTIAL_NAME = re.compile(
    r"passw(or)?d|passphrase|^pwd$|secret|(^|[-_])(token|sig|signature|credentials?)$|(?<!csrf[-_])token$"
    r"|api[-_]?key|access[-_]?key|account[-_]?key|subscription[-_]?key|functions[-_]?key|auth[-_]?key"
    r"|^authorization$|^proxy-authorization$|^cookie$|^sas$",
    re.IGNORECASE,
)
_FUNCTION_KEY = re.compile(r"^code$", re.IGNORECASE)
"""The query parameter in which Azure Functions take their key."""
_SHORTEST_FUNCTION_KEY = 20
"""Characters. Other parameters of that name are codes of countries, currencies and the like."""


def credentials_in_the_file(job: JobDefinition) -> Iterator[Finding]:
    """Warn of headers, parameters, form fields and JSON values that hold a credential."""
    for path, request in requests_of(job):
        yield from _in_headers(path, request)
        yield from _in_query(path, request)
        match request.body:
            case FormBody(form=form):
                yield from _in_values((*path, "body", "form"), form)
            case JsonBody(json_=dict() as document):
                yield from _in_values((*path, "body", "json"), document)


def _in_headers(path: Path, request: HttpTarget) -> Iterator[Finding]:
    for name, value in request.headers.items():
        if not _is_credential(name, value):
            continue
        where, kind = (*path, "headers", name), name.lower()
        scheme = str(value).partition(" ")[0].lower()
        if kind == "authorization" and scheme in ("bearer", "basic"):
            form = (
                "bearer, token: {secret: NAME}"
                if scheme == "bearer"
                else "basic, username: NAME, password: {secret: NAME}"
            )
            hint = f"write auth: {{kind: {form}}}; in the flat form AuthType: {scheme}"
        else:
            hint = f"store the value as a secret and write {name}: {{secret: NAME}}"
        yield Finding(where, "holds a credential as plain text, which everybody who reads the file can use", hint)


def _in_query(path: Path, request: HttpTarget) -> Iterator[Finding]:
    yield from _in_values((*path, "query"), request.query)
    try:
        pairs = parse_qsl(urlsplit(request.url).query)
    except ValueError:  # too many fields; a URL that long was refused
        return
    for name, value in pairs:
        if _is_credential(name, value) or _is_function_key(name, value):
            message = f"holds a credential as plain text in the parameter {name}"
            yield Finding((*path, "url"), message, f"move it to query: {{{name}: {{secret: NAME}}}}")
            return


def _in_values(path: Path, values: Mapping[str, object]) -> Iterator[Finding]:
    for name, value in values.items():
        if _is_credential(name, value) or (path[-1] == "query" and _is_function_key(name, value)):
            message = "holds a credential as plain text, which everybody who reads the file can use"
            # A JSON document has no references.
            hint = (
                "send it as a form, a header or auth with a secret"
                if path[-1] == "json"
                else (f"store the value as a secret and write {name}: {{secret: NAME}}")
            )
            yield Finding((*path, name), message, hint)


def _is_credential(name: str, value: object) -> bool:
    if isinstance(value, SecretRef) or not isinstance(value, str):
        return False
    return len(value) >= SHORTEST and "${" not in value and _CREDENTIAL_NAME.search(name) is not None


def _is_function_key(name: str, value: object) -> bool:
    return isinstance(value, str) and len(value) >= _SHORTEST_FUNCTION_KEY and _FUNCTION_KEY.search(name) is not None
