"""Authentication, TLS and proxy of an http module, as the client library of Prometheus has them. Called by
http_module."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from config.importers.errors import NotCarriedOver
from config.importers.import_context import ImportContext
from config.importers.job_draft import JobDraft, KeyHandler, drop_key, use_key
from config.importers.node import SourceNode
from config.importers.values.http_requests import put_basic_auth, put_bearer_auth, put_header
from config.importers.values.proxies import put_proxy
from config.importers.values.reading import (
    describe_type,
    read_boolean,
    read_list,
    read_mapping,
    read_optional_text,
    read_text,
)

Reference = dict[str, str]


def client_handlers(context: ImportContext) -> dict[str, KeyHandler]:
    """Return the handlers of the keys of the client."""
    return {
        "basic_auth": partial(_put_basic, context),
        "authorization": partial(_put_authorization, context),
        "bearer_token": partial(_put_bearer, context),
        "bearer_token_file": partial(_put_bearer_file, context),
        "oauth2": partial(_put_oauth2, context),
        "proxy_url": partial(_put_proxy, context),
        "no_proxy": drop_key("a proxy is used for the target in any case", "no proxy for this job"),
        "proxy_from_environment": _put_environment_proxy,
        "proxy_connect_header": drop_key("no headers are sent to a proxy", "proxy_auth"),
        "skip_resolve_phase_with_proxy": use_key("a proxy resolves the name of the target"),
    }


def _secret(
    context: ImportContext, draft: JobDraft, node: SourceNode, key: str, hint: str
) -> tuple[Reference, SourceNode] | None:
    """Return the reference to `key`, or to the content of the file in `key_file`."""
    value, file = node.child(key), node.child(f"{key}_file")
    purpose = f"{key} of {draft.name}"
    if value is not None and read_optional_text(value):
        return context.secrets.reference(read_text(value), f"{draft.name}-{hint}", purpose, value), value
    if file is not None and read_optional_text(file):
        where = f"{purpose}: the content of {read_text(file)}"
        return context.secrets.require(f"{draft.name}-{hint}", where, file), file
    return None


def _put_basic(context: ImportContext, draft: JobDraft, node: SourceNode) -> None:
    username, name_file = node.child("username"), node.child("username_file")
    if username is None and name_file is not None:
        raise NotCarriedOver("the user name is in a file", "auth.username with a secret")
    found = _secret(context, draft, node, "password", "password")
    name = read_optional_text(username)
    nodes = [username] if username is not None else []
    if found is None:
        put_basic_auth(context, draft, name, "", *nodes)
        return
    auth = {"kind": "basic", "username": name, "password": found[0]}
    draft.put("check.auth", auth, *nodes)
    draft.use(found[1], how="the password becomes a secret")


def _put_authorization(context: ImportContext, draft: JobDraft, node: SourceNode) -> None:
    kind = node.child("type")
    scheme = read_optional_text(kind) or "Bearer"
    found = _secret(context, draft, node, "credentials", "token")
    if found is None:
        raise NotCarriedOver("it has no credentials")
    nodes = [kind] if kind is not None else []
    if scheme.lower() == "bearer":
        draft.put("check.auth", {"kind": "bearer", "token": found[0]}, *nodes)
        draft.use(found[1], how="the token becomes a secret")
        return
    value = read_text(found[1]) if found[1].key == "credentials" else ""
    if not value:
        raise NotCarriedOver(f"the scheme {scheme} with credentials in a file", "a header with a secret")
    put_header(context, draft, "Authorization", f"{scheme} {value}", found[1], *nodes)


def _put_bearer(context: ImportContext, draft: JobDraft, node: SourceNode) -> None:
    put_bearer_auth(context, draft, read_text(node), node)


def _put_bearer_file(context: ImportContext, draft: JobDraft, node: SourceNode) -> None:
    purpose = f"bearer token of {draft.name}: the content of {read_text(node)}"
    reference = context.secrets.require(f"{draft.name}-token", purpose, node)
    draft.put(
        "check.auth", {"kind": "bearer", "token": reference}, node, how="the content of the file becomes a secret"
    )


def _put_oauth2(context: ImportContext, draft: JobDraft, node: SourceNode) -> None:
    keys = read_mapping(node)
    found = _secret(context, draft, node, "client_secret", "client-secret")
    if "client_id" not in keys or "token_url" not in keys or found is None:
        raise NotCarriedOver("client_id, client_secret or token_url is missing")
    auth: dict[str, object] = {
        "kind": "oauth2",
        "token_url": read_text(keys["token_url"]),
        "client_id": read_text(keys["client_id"]),
        "client_secret": found[0],
    }
    used = [keys["token_url"], keys["client_id"]]
    if "scopes" in keys and read_list(keys["scopes"]):
        auth["scope"] = " ".join(map(read_text, read_list(keys["scopes"])))
        used.append(keys["scopes"])
    parameters = read_mapping(keys["endpoint_params"]) if "endpoint_params" in keys else {}
    if "audience" in parameters:
        auth["audience"] = read_text(parameters["audience"])
        used.append(parameters["audience"])
    draft.put("check.auth", auth, *used)
    draft.use(found[1], how="the value becomes a secret")
    for name, value in parameters.items():
        if name == "grant_type" and value.value == "client_credentials":
            draft.use(value)
        elif name != "audience":
            draft.drop(value, "a token request has no further parameters")
    for name in ("tls_config", "proxy_url"):
        if name in keys:
            draft.drop(keys[name], "the token request uses the TLS and proxy of the target")


def _put_proxy(context: ImportContext, draft: JobDraft, node: SourceNode) -> None:
    if text := read_optional_text(node):
        put_proxy(context, draft, text, node)
    else:
        draft.use(node)


def _put_environment_proxy(draft: JobDraft, node: SourceNode) -> None:
    if read_boolean(node):
        raise NotCarriedOver("a proxy from the environment is never used", "check.proxy")
    draft.use(node)


def put_headers(context: ImportContext, draft: JobDraft, node: SourceNode) -> None:
    """Set `headers`: a text for each name, or values, secrets and files of `http_headers`."""
    for header in node.children():
        put: Callable[[JobDraft, SourceNode], None] = partial(_put_header, context)
        draft.map_key(header, put)


def _put_header(context: ImportContext, draft: JobDraft, node: SourceNode) -> None:
    if not isinstance(node.value, dict):
        put_header(context, draft, node.key, read_text(node), node)
        return
    found: list[tuple[str, SourceNode]] = []
    for kind in node.children():
        if kind.key not in ("values", "secrets", "files"):
            raise NotCarriedOver(f"expected values, secrets or files, found {describe_type(kind.value)}")
        found += [(kind.key, one) for one in read_list(kind)]
    for kind_name, one in found[:-1]:
        draft.use(one, how=f"only the last value of the header is sent, not this one of {kind_name}")
    if not found:
        return
    kind_name, last = found[-1]
    path = ("check", "headers", node.key)
    purpose = f"value of the header {node.key} of {draft.name}"
    if kind_name == "values":
        put_header(context, draft, node.key, read_text(last), last)
    elif kind_name == "secrets":
        reference = context.secrets.reference(read_text(last), f"{draft.name}-{node.key}", purpose, last)
        draft.put(path, reference, last, how="the value becomes a secret")
    else:
        where = f"{purpose}: the content of {read_text(last)}"
        reference = context.secrets.require(f"{draft.name}-{node.key}", where, last)
        draft.put(path, reference, last, how="the content of the file becomes a secret")
