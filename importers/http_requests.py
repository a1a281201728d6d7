"""Maps URLs, proxies, headers and bodies of requests: credentials become `auth` or references to secrets.

Variables of synthetic tests, `{{name}}`, are those with values, and those that requests extract.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlunsplit

from importers.import_context import ImportContext
from importers.ledger import JobDraft
from importers.reading import split_url
from importers.source_tree import NotCarriedOver, SourceNode
from jobs.problems import looks_secret

Nodes = tuple[SourceNode | None, ...]
"""What a key comes from; the first one is the place of its secret."""

_FRAMING_HEADERS = frozenset(
    {"connection", "content-length", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
)
_SECRET_HEADERS = frozenset({"x-auth", "x-api", "auth"})
_AUTHORIZATION = frozenset({"authorization"})


def put_url(
    context: ImportContext, draft: JobDraft, url: str, *nodes: SourceNode, path: str = "check", how: str = ""
) -> None:
    """Set `url`; a user name and password in it become `auth`, secret parameters become `query` with references.

    `path`: the key of the request. `how`: what was changed in the URL before.
    """
    changes = [how] if how else []
    parts = split_url(url.strip())
    host = parts.hostname or ""
    netloc = parts.netloc
    if "@" in netloc and host:
        username, _, password = netloc.rpartition("@")[0].partition(":")
        netloc = netloc.rpartition("@")[2]
        put_basic_auth(context, draft, unquote(username), unquote(password), *nodes, path=path)
        changes.append("user name and password of the URL become auth")
    query = _separate_secrets(context, draft, parts.query, nodes)
    if query is not None:
        draft.put(f"{path}.query", query[1], *nodes)
        changes.append("secret parameters of the URL become query with secrets")
    if parts.fragment:
        changes.append("the fragment, which is never sent, is omitted")
    rest = parts.query if query is None else query[0]
    written = urlunsplit((parts.scheme, netloc, parts.path, rest, "")) if changes and "://" in url else url.strip()
    draft.put(f"{path}.url", written, *nodes, how="; ".join(changes))


def _separate_secrets(
    context: ImportContext, draft: JobDraft, query: str, nodes: Iterable[SourceNode]
) -> tuple[str, dict[str, Any]] | None:
    """Return the query without secret parameters, and those as references; None without any."""
    plain: list[str] = []
    secrets: dict[str, Any] = {}
    for part in query.split("&") if query else ():
        ((name, value),) = parse_qsl(part, keep_blank_values=True) or [(part, "")]
        if value and looks_secret(name) and name not in secrets:
            node = next(iter(nodes), None)
            purpose = f"value of the parameter {name} of {draft.name}"
            secrets[name] = context.secrets.reference(value, f"{draft.name}-{name}", purpose, node)
        else:
            plain.append(part)
    return ("&".join(plain), secrets) if secrets else None


def put_basic_auth(
    context: ImportContext,
    draft: JobDraft,
    username: str,
    password: str,
    *nodes: SourceNode | None,
    path: str = "check",
) -> None:
    """Set `auth` to Basic credentials whose password is a secret."""
    reference = context.secrets.reference(
        password, f"{draft.name}-password", f"password of {draft.name}", next(iter(nodes), None)
    )
    auth = {"kind": "basic", "username": username, "password": reference}
    draft.put(f"{path}.auth", auth, *nodes, how="the password becomes a secret")


def put_bearer_auth(
    context: ImportContext, draft: JobDraft, token: str, *nodes: SourceNode | None, path: str = "check"
) -> None:
    """Set `auth` to a bearer token, which is a secret."""
    reference = context.secrets.reference(
        token, f"{draft.name}-token", f"bearer token of {draft.name}", next(iter(nodes), None)
    )
    draft.put(f"{path}.auth", {"kind": "bearer", "token": reference}, *nodes, how="the token becomes a secret")


def put_header(
    context: ImportContext, draft: JobDraft, name: str, value: str, *nodes: SourceNode | None, path: str = "check"
) -> None:
    """Set one header. One that looks secret becomes `auth` or a reference. Raises NotCarriedOver."""
    lower = name.lower().strip()
    if lower in _FRAMING_HEADERS:
        raise NotCarriedOver(f"{name} controls the connection and is set by the program")
    value = value.strip()
    if (
        lower in _AUTHORIZATION
        and draft.get(f"{path}.auth") is None
        and _put_authorization(context, draft, value, nodes, path)
    ):
        return
    if value and (looks_secret(lower) or lower in _SECRET_HEADERS or _has_credentials(value)):
        purpose = f"value of the header {name} of {draft.name}"
        reference = context.secrets.reference(value, f"{draft.name}-{lower}", purpose, next(iter(nodes), None))
        _set_header(draft, path, name, reference, nodes, "the value becomes a secret")
    else:
        _set_header(draft, path, name, value, nodes, "")


def _set_header(draft: JobDraft, path: str, name: str, value: Any, nodes: Nodes, how: str) -> None:
    draft.put((*path.split("."), "headers", name.strip()), value, *nodes, how=how)


def _put_authorization(context: ImportContext, draft: JobDraft, value: str, nodes: Nodes, path: str) -> bool:
    scheme, _, credentials = value.partition(" ")
    credentials = credentials.strip()
    if scheme.lower() == "bearer" and credentials:
        put_bearer_auth(context, draft, credentials, *nodes, path=path)
        return True
    if scheme.lower() == "basic":
        try:
            username, colon, password = base64.b64decode(credentials, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return False
        if colon:
            put_basic_auth(context, draft, username, password, *nodes, path=path)
            return True
    return False


def _has_credentials(value: str) -> bool:
    return value.split(" ", 1)[0].lower() in ("bearer", "basic", "token", "apikey") and " " in value


def put_body(
    context: ImportContext,
    draft: JobDraft,
    text: str,
    content_type: str,
    *nodes: SourceNode | None,
    path: str = "check",
    how: str = "",
) -> None:
    """Set `body` to a text with its type; empty: the type is application/x-www-form-urlencoded or text/plain.

    A body with secrets becomes a form with references, or one secret as a whole.
    """
    if content_type.partition(";")[0].strip().lower() == "application/x-www-form-urlencoded":
        fields = parse_qsl(text, keep_blank_values=True)
        if any(looks_secret(name) and value for name, value in fields) and len(dict(fields)) == len(fields):
            draft.put(f"{path}.body", {"form": _form(context, draft, fields, nodes)}, *nodes, how="a form with secrets")
            return
    body: dict[str, Any] = {"text": text}
    if _contains_secret(text):
        purpose = f"body of the request of {draft.name}"
        body["text"] = context.secrets.reference(text, f"{draft.name}-body", purpose, next(iter(nodes), None))
        how = "; ".join(filter(None, (how, "the body contains a password or token: it becomes a secret")))
    if content_type:
        body["content_type"] = content_type
    draft.put(f"{path}.body", body, *nodes, how=how)


def _form(context: ImportContext, draft: JobDraft, fields: Iterable[tuple[str, str]], nodes: Nodes) -> dict[str, Any]:
    form: dict[str, Any] = {}
    for name, value in fields:
        if value and looks_secret(name):
            purpose = f"value of the form field {name} of {draft.name}"
            form[name] = context.secrets.reference(value, f"{draft.name}-{name}", purpose, next(iter(nodes), None))
        else:
            form[name] = value
    return form


def _contains_secret(text: str) -> bool:
    """Whether a JSON or form body has a value under a key that looks secret."""
    try:
        pending = [json.loads(text)]
    except (ValueError, RecursionError):
        return "=" in text and any(looks_secret(name) and value for name, value in parse_qsl(text))
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            if any(looks_secret(key) and isinstance(one, str) and one for key, one in value.items()):
                return True
            pending += value.values()
        elif isinstance(value, list):
            pending += value
    return False


def put_proxy(context: ImportContext, draft: JobDraft, text: str, node: SourceNode) -> None:
    """Set `proxy`; a user name and password in the address become `proxy_auth`. Raises NotCarriedOver."""
    parts = split_url(text)
    if parts.scheme != "http" or not parts.hostname:
        raise NotCarriedOver("only a proxy with http:// can be used", "check.proxy")
    draft.put("check.proxy", f"http://{parts.netloc.rpartition('@')[2]}", node)
    if parts.username is not None:
        purpose = f"password of the proxy of {draft.name}"
        reference = context.secrets.reference(parts.password or "", f"{draft.name}-proxy-password", purpose, node)
        auth = {"username": parts.username, "password": reference}
        draft.put("check.proxy_auth", auth, node, how="the password becomes a secret")


_COMPARED = frozenset(
    {"equals", "not_equals", "contains", "not_contains", "like", "not_like", "body_contains", "body_not_contains"}
)
_VARIABLE = re.compile(r"\{\{\s*([^{}]+?)\s*\}\}")


@dataclass
class TestVariables:
    """`values`: with their nodes. `saved`: variable of the test -> name of a saved value.

    `are_steps`: whether texts can contain `${name}`, so that a dollar sign is written twice.
    """

    context: ImportContext
    job: str
    values: dict[str, tuple[str, SourceNode | None]] = field(default_factory=dict)
    saved: dict[str, str] = field(default_factory=dict)
    are_steps: bool = False
    external: set[str] = field(default_factory=set)
    """Variables that are defined outside of the source: as a whole text, each is a secret to provide."""

    def fill(self, text: str) -> str:
        """Return the text with the values of its variables. Raises NotCarriedOver: one has none."""
        parts, at = "", 0
        for found in _VARIABLE.finditer(text):
            parts += self._escape(text[at : found.start()]) + self._value_of(found[1])
            at = found.end()
        return parts + self._escape(text[at:])

    def fill_or_reference(self, text: str, hint: str) -> Any:
        """Return the filled text; a reference if the whole text is one variable whose name looks secret.

        Raises NotCarriedOver: a variable has no value.
        """
        variable = _VARIABLE.fullmatch(text.strip())
        if variable is None or variable[1] in self.saved:
            return self.fill(text)
        if variable[1] in self.external:
            return self.context.secrets.require(variable[1], f"value of the variable {variable[1]} of {self.job}")
        if not looks_secret(variable[1]) or variable[1] not in self.values:
            return self.fill(text)
        value, node = self.values[variable[1]]
        if node is not None:
            self.context.use(node, "the value becomes a secret")
        return self.context.secrets.reference(value, hint, f"value of the variable {variable[1]} of {self.job}", node)

    def escape_compared(self, entry: dict[str, Any]) -> dict[str, Any]:
        """Return an entry of `expect` in which a dollar sign of a compared text stands for itself."""
        return {
            key: self._escape(one) if key in _COMPARED and isinstance(one, str) else one for key, one in entry.items()
        }

    def save(self, variable: str) -> str:
        """Return the name under which a step saves a variable."""
        name = re.sub(r"\W", "_", variable, flags=re.ASCII).strip("_") or "value"
        name = f"v_{name}" if name[0].isdigit() else name
        used = {saved for known, saved in self.saved.items() if known != variable}
        while name in used:
            name += "_"
        self.saved[variable] = name
        return name

    def _value_of(self, variable: str) -> str:
        if variable in self.saved:
            return f"${{{self.saved[variable]}}}"
        if variable not in self.values:
            raise NotCarriedOver(
                f"the variable {variable} has no value: it is computed, or defined outside of the test",
                "write its value into the test, or save it from an earlier step",
            )
        value, node = self.values[variable]
        if node is not None:
            self.context.use(node, "the value replaces the variable")
        if looks_secret(variable) and value:
            # Known as a secret, it is not written into any text.
            self.context.secrets.reference(value, f"{self.job}-{variable}", f"value of the variable {variable}", node)
        return self._escape(value)

    def _escape(self, text: str) -> str:
        return text.replace("$", "$$") if self.are_steps else text


def find_variables(text: str) -> list[str]:
    """Return the names of the variables in a text."""
    return [found[1] for found in _VARIABLE.finditer(text)]
