"""Rules about credentials in plain text in the job file, and about secrets over plain http. Messages never contain the
value. jobs.targets.steps decides what counts as plain http.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urljoin, urlsplit

from jobs.definition import JobDefinition
from jobs.model_base import SecretRef
from jobs.problems import Finding, KeyPath, make_printable
from jobs.problems.findings import fold_name
from jobs.redaction.redactor import REDACTED
from jobs.targets import FormBody, HttpTarget, JsonBody, StepsTarget, TextBody
from jobs.targets.http import OAuth2Auth, RequestBody
from jobs.targets.steps import Step, exposes_secrets, is_plain_http


def iter_requests(job: JobDefinition) -> Iterator[tuple[KeyPath, HttpTarget]]:
    """Yield each request with its path in the definition."""
    check = job.check
    if isinstance(check, HttpTarget):
        yield ("check",), check
    elif isinstance(check, StepsTarget):
        for key, steps in (("steps", check.steps), ("cleanup", check.cleanup)):
            yield from ((("check", key, number), step) for number, step in enumerate(steps))


SHORTEST_CREDENTIAL = 6
"""Characters of a credential. Shorter values are words such as `Fetch` (of X-CSRF-Token) or `none`."""

_CREDENTIAL_NAME = re.compile(
    r"passw(or)?d|passphrase|^pwd$|secret|(^|[-_])(token|sig|signature|credentials?)$|(?<!csrf[-_])token$"
    r"|api[-_]?key|access[-_]?key|account[-_]?key|subscription[-_]?key|functions[-_]?key|auth[-_]?key"
    r"|^authorization$|^proxy-authorization$|^cookie$|^sas$",
    re.IGNORECASE,
)
_FUNCTION_KEY = re.compile(r"^code$", re.IGNORECASE)
"""The query parameter with the key of an Azure Function."""
_SHORTEST_FUNCTION_KEY = 20
"""Characters of such a key. Shorter values are codes of countries, currencies and the like."""
_MAX_TEXT = 64 * 1024
"""Characters of a text body that is parsed as JSON."""
_SENT_KEYS = frozenset(
    map(
        fold_name,
        ("headers", "query", "QueryParameters", "QueryParams", "form", "json", "text", "body", "RequestBody"),
    )
) | frozenset(map(fold_name, ("url", "Endpoint", "EndpointUrl")))
"""Keys, folded, of what a request sends, in the full and in the flat form."""
_AUTH_FORMS = {
    "bearer": "{kind: bearer, token: {secret: NAME}}",
    "basic": "{kind: basic, username: NAME, password: {secret: NAME}}",
}
"""The replacement of an Authorization header, by scheme."""


def find_literal_credentials(job: JobDefinition) -> Iterator[Finding]:
    """Warn of headers, parameters, form fields and JSON values that contain a credential."""
    for path, request in iter_requests(job):
        yield from _in_headers((*path, "headers"), request.headers)
        yield from _in_query(path, request)
        if request.body is not None:
            yield from _in_body((*path, "body"), request.body)


def mask_literal_credentials(value: Any) -> Any:
    """Return a definition, or a part of it, in which `***` replaces what these rules take for credentials.

    `value`: in the full or in the flat form, as it was written; it can be invalid. More is masked than is warned of.
    """
    return _mask(value, "", is_sent=False, is_json=False)


def mask_field(path: str, value: Any) -> Any:
    """Return the value of one field in the same way. `path`: its dotted key, such as `check.headers.Cookie`."""
    keys = [key for key in re.split(r"[.\[\]\"']+", path) if key]
    sent = [fold_name(key) for key in keys[:-1]]
    last = keys[-1] if keys else ""
    is_sent = any(key in _SENT_KEYS for key in (*sent, fold_name(last)))
    return _mask(value, last, is_sent=is_sent, is_json="json" in sent or fold_name(last) == "json")


def _mask(value: Any, name: str, *, is_sent: bool, is_json: bool) -> Any:
    """`is_sent`: it is part of a request. `is_json`: of a JSON body, which cannot name a secret."""
    if isinstance(value, Mapping):
        if set(value) == {"secret"} and not is_json:
            return value
        return {
            key: _mask(one, str(key), is_sent=is_sent or folded in _SENT_KEYS, is_json=is_json or folded == "json")
            for key, one in value.items()
            for folded in (fold_name(str(key)),)
        }
    if isinstance(value, (list, tuple)):
        return [_mask(one, name, is_sent=is_sent, is_json=is_json) for one in value]
    if not is_sent or not isinstance(value, str):
        return value
    if _is_credential(name, value) or _is_function_key(name, value):
        return REDACTED
    return _mask_text(value)


def _mask_text(text: str) -> str:
    """Return a text without the credentials in its JSON, or in the query of its URL."""
    if text.lstrip().startswith(("{", "[")) and len(text) <= _MAX_TEXT:
        with suppress(ValueError, RecursionError):
            parsed = json.loads(text)
            masked = _mask(parsed, "", is_sent=True, is_json=True)
            return text if masked == parsed else json.dumps(masked)
    start, separator, query = text.partition("?")
    try:
        pairs = parse_qsl(query)
    except ValueError:
        return text
    is_found = any(_is_credential(name, value) or _is_function_key(name, value) for name, value in pairs)
    return f"{start}{separator}{REDACTED}" if is_found else text


def _in_headers(path: KeyPath, headers: Mapping[str, object]) -> Iterator[Finding]:
    for name, value in headers.items():
        if _is_credential(name, value):
            scheme = str(value).partition(" ")[0].lower()
            named = name.lower() == "authorization" and scheme in _AUTH_FORMS
            hint = (
                f"write auth: {_AUTH_FORMS[scheme]}; in the flat form AuthType: {scheme}" if named else _by_name(name)
            )
            yield _finding((*path, name), name, hint)


def _in_query(path: KeyPath, request: HttpTarget) -> Iterator[Finding]:
    for name, value in request.query.items():
        if _is_credential(name, value) or _is_function_key(name, value):
            yield _finding((*path, "query", name), name, _by_name(name))
    if "?" not in request.url:
        return
    try:
        pairs = parse_qsl(urlsplit(request.url).query)
    except ValueError:  # the URL of a step can contain placeholders
        return
    for name, value in pairs:
        if _is_credential(name, value) or _is_function_key(name, value):
            yield _finding((*path, "url"), name, f"move it to query: {{{name}: {{secret: NAME}}}}")
            return


def _in_body(path: KeyPath, body: RequestBody) -> Iterator[Finding]:
    match body:
        case FormBody(form=form):
            for name, value in form.items():
                if _is_credential(name, value):
                    yield _finding((*path, "form", name), name, _by_name(name))
        case JsonBody(json_=document):
            yield from _in_json((*path, "json"), document)
        case TextBody(text=str() as text) if text.lstrip().startswith(("{", "[")) and len(text) <= _MAX_TEXT:
            with suppress(ValueError, RecursionError):
                # Values inside a text have no path in the definition.
                yield from (replace(one, path=(*path, "text")) for one in _in_json((), json.loads(text)))


def _in_json(path: KeyPath, value: object) -> Iterator[Finding]:
    if isinstance(value, dict):
        for name, item in value.items():
            if _is_credential(name, item):
                yield _finding((*path, name), name, "send it in a form, a header or auth, which can reference a secret")
            else:
                yield from _in_json((*path, name), item)
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _in_json((*path, index), item)


def _finding(path: KeyPath, name: str, hint: str) -> Finding:
    message = (
        f"contains the credential {make_printable(name)} as plain text, readable for everyone with access to the file"
    )
    return Finding(path, message, hint)


def _by_name(name: str) -> str:
    return f"store the value as a secret and write {make_printable(name)}: {{secret: NAME}}"


def _is_credential(name: str, value: object) -> bool:
    if isinstance(value, SecretRef) or not isinstance(value, str):
        return False
    return len(value) >= SHORTEST_CREDENTIAL and "${" not in value and _CREDENTIAL_NAME.search(name) is not None


def _is_function_key(name: str, value: object) -> bool:
    return isinstance(value, str) and len(value) >= _SHORTEST_FUNCTION_KEY and _FUNCTION_KEY.search(name) is not None


_HINT = "write https, or allow_plain_http: true (AllowPlainHttp in the flat form) on a trusted network"


def find_secrets_without_tls(job: JobDefinition) -> Iterator[Finding]:
    """Refuse requests that send secrets over plain http to another machine without allow_plain_http."""
    last_url, saved_secrets = "", frozenset[str]()
    for path, request in iter_requests(job):
        last_url = _url_after(last_url, request)
        if exposes_secrets(request, last_url, saved_secrets):
            yield Finding(
                (*path, "url"), "sends secrets over plain http, where others on the network can read them", _HINT
            )
        yield from _token_endpoint(path, request)
        if isinstance(request, Step):
            saved_secrets |= {name for name in request.save if request.is_secret_value(name)}


def _url_after(last_url: str, request: HttpTarget) -> str:
    """Return the URL of the request; empty if it comes from an earlier answer."""
    if request.url.startswith("https://"):
        return request.url
    if request.url.startswith("${") or (request.url.startswith("/") and not last_url):
        return ""
    try:
        return urljoin(last_url, request.url)
    except ValueError:  # such as //[x: the run reports it
        return ""


def _token_endpoint(path: KeyPath, request: HttpTarget) -> Iterator[Finding]:
    auth = request.auth
    if isinstance(auth, OAuth2Auth) and not request.allow_plain_http and is_plain_http(auth.token_url):
        message = "sends the client secret over plain http, where others on the network can read it"
        yield Finding((*path, "auth", "token_url"), message, _HINT)


def find_proxy_password_without_tls(job: JobDefinition) -> Iterator[Finding]:
    """Warn of a proxy password: the connection to a proxy is plain http, even for https targets."""
    for path, request in iter_requests(job):
        exposed = request.proxy_auth is not None and request.own_proxy is not None and is_plain_http(request.own_proxy)
        if exposed and not request.allow_plain_http:
            message = "sends the password to the proxy over plain http, where others on the network can read it"
            hint = "write allow_plain_http: true if the network up to the proxy is trusted"
            yield Finding((*path, "proxy_auth"), message, hint)
