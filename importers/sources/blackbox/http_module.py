"""The http prober, and the options of its client."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

from importers.http_requests import (
    put_basic_auth,
    put_bearer_auth,
    put_body,
    put_header,
    put_proxy,
    put_url,
)
from importers.import_context import ImportContext
from importers.ledger import JobDraft, KeyHandler, drop_key, use_key
from importers.reading import (
    describe_type,
    read_boolean,
    read_integer,
    read_list,
    read_mapping,
    read_optional_text,
    read_text,
)
from importers.source_tree import (
    NotCarriedOver,
    SourceNode,
    children_of,
)
from importers.sources.blackbox.targets import ProbeTarget, translate_pattern
from importers.sources.blackbox.tcp_and_dns_modules import put_ip_protocol, put_tls

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
    password = _secret(context, draft, node, "password", "password")
    name = read_optional_text(username)
    if password is None:
        put_basic_auth(context, draft, name, "", username)
        return
    auth = {"kind": "basic", "username": name, "password": password[0]}
    draft.put("check.auth", auth, username)
    draft.use(password[1], how="the password becomes a secret")


def _put_authorization(context: ImportContext, draft: JobDraft, node: SourceNode) -> None:
    kind = node.child("type")
    scheme = read_optional_text(kind) or "Bearer"
    credentials = _secret(context, draft, node, "credentials", "token")
    if credentials is None:
        raise NotCarriedOver("it has no credentials")
    if scheme.lower() == "bearer":
        draft.put("check.auth", {"kind": "bearer", "token": credentials[0]}, kind)
        draft.use(credentials[1], how="the token becomes a secret")
        return
    value = read_text(credentials[1]) if credentials[1].key == "credentials" else ""
    if not value:
        raise NotCarriedOver(f"the scheme {scheme} with credentials in a file", "a header with a secret")
    put_header(context, draft, "Authorization", f"{scheme} {value}", credentials[1], kind)


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
    client_secret = _secret(context, draft, node, "client_secret", "client-secret")
    if "client_id" not in keys or "token_url" not in keys or client_secret is None:
        raise NotCarriedOver("client_id, client_secret or token_url is missing")
    auth: dict[str, object] = {
        "kind": "oauth2",
        "token_url": read_text(keys["token_url"]),
        "client_id": read_text(keys["client_id"]),
        "client_secret": client_secret[0],
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
    draft.use(client_secret[1], how="the value becomes a secret")
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
    values: list[tuple[str, SourceNode]] = []
    for kind in node.children():
        if kind.key not in ("values", "secrets", "files"):
            raise NotCarriedOver(f"expected values, secrets or files, found {describe_type(kind.value)}")
        values += [(kind.key, one) for one in read_list(kind)]
    for kind_name, one in values[:-1]:
        draft.use(one, how=f"only the last value of the header is sent, not this one of {kind_name}")
    if not values:
        return
    kind_name, last = values[-1]
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


_STRING = re.compile(r"""("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|(?<![\w.])body\b""")
_BODY_SIZE = re.compile(r"(\d+)\s*([KMGT]?)(i?)B?", re.IGNORECASE)
_SIZE_UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}
_VERSIONS = {"HTTP/1.0": "HTTP/1.0", "HTTP/1.1": "HTTP/1.1", "HTTP/2.0": "HTTP/2", "HTTP/2": "HTTP/2"}


def put_http(context: ImportContext, draft: JobDraft, probe: ProbeTarget, module: SourceNode | None) -> None:
    """Set the check and its expectations. Raises NotCarriedOver."""
    address = probe.address if re.match(r"https?://", probe.address) else f"http://{probe.address}"
    draft.put("check.kind", "http")
    put_url(context, draft, address, probe.node)
    if module is None:
        if address.startswith("https://"):
            draft.put("check.http2", True)
        return
    http2 = module.child("enable_http2")
    if address.startswith("https://") and (http2 is None or read_boolean(http2)):
        draft.put("check.http2", True)
    draft.use(http2)
    put_tls(context, draft, module.child("tls_config"), has_tls=address.startswith("https://"))
    put_ip_protocol(draft, module)
    draft.map_keys(module, {**client_handlers(context), **_handlers(context, module)})
    if probe.hostname:
        draft.put(("check", "headers", "Host"), probe.hostname)
        if address.startswith("https://") and draft.get("check.server_name") is None:
            draft.put("check.server_name", probe.hostname)


def _handlers(context: ImportContext, module: SourceNode) -> dict[str, KeyHandler]:
    return {
        "valid_status_codes": _put_statuses,
        "valid_http_versions": _put_versions,
        "method": _put_method,
        "headers": partial(put_headers, context),
        "http_headers": partial(put_headers, context),
        "body": partial(_put_body, context, module),
        "body_file": partial(_put_body_file, context),
        "body_size_limit": _put_limit,
        "compression": _put_compression,
        "follow_redirects": partial(_put_redirects, True),
        "no_follow_redirects": partial(_put_redirects, False),
        "fail_if_ssl": partial(_put_tls_rule, "absent"),
        "fail_if_not_ssl": partial(_put_tls_rule, "required"),
        "fail_if_body_matches_regexp": partial(_put_patterns, "body_not_matches"),
        "fail_if_body_not_matches_regexp": partial(_put_patterns, "body_matches"),
        "fail_if_header_matches": partial(_put_header_rules, "not_matches"),
        "fail_if_header_not_matches": partial(_put_header_rules, "matches"),
        "fail_if_body_json_matches_cel": partial(_put_expression, "!({})"),
        "fail_if_body_json_not_matches_cel": partial(_put_expression, "{}"),
        "enable_http3": _put_http3,
    }


def _put_statuses(draft: JobDraft, node: SourceNode) -> None:
    codes = read_list(node)
    if codes:
        draft.expect({"status": [read_integer(code) for code in codes]}, node)
    else:
        draft.use(node)


def _put_versions(draft: JobDraft, node: SourceNode) -> None:
    versions = [read_text(version) for version in read_list(node)]
    supported = [_VERSIONS[version] for version in versions if version in _VERSIONS]
    if not versions:
        draft.use(node)
        return
    if not supported:
        raise NotCarriedOver("these versions of HTTP are not spoken", "http_version")
    how = "" if len(supported) == len(versions) else "only versions up to HTTP/2"
    draft.expect({"http_version": list(dict.fromkeys(supported))}, node, how=how)


def _put_method(draft: JobDraft, node: SourceNode) -> None:
    draft.put("check.method", read_optional_text(node).upper() or "GET", node)


def _put_body(context: ImportContext, module: SourceNode, draft: JobDraft, node: SourceNode) -> None:
    text = read_optional_text(node)
    if not text:
        draft.use(node)
        return
    headers = module.child("headers")
    kinds = [header for header in children_of(headers) if header.key.lower() == "content-type"]
    put_body(context, draft, text, read_optional_text(kinds[0]) if kinds else "", node)


def _put_body_file(context: ImportContext, draft: JobDraft, node: SourceNode) -> None:
    if not read_optional_text(node):
        draft.use(node)
        return
    purpose = f"body of the request of {draft.name}: the content of {read_text(node)}"
    reference = context.secrets.require(f"{draft.name}-body", purpose, node)
    draft.put("check.body", {"text": reference}, node, how="the content of the file becomes a secret")


def _put_limit(draft: JobDraft, node: SourceNode) -> None:
    found = _BODY_SIZE.fullmatch(read_text(node).strip())
    size = int(found[1]) * _SIZE_UNITS[found[2].upper()] if found is not None else -1
    if size < 0:
        raise NotCarriedOver("expected a size such as 10MB")
    if size == 0:
        draft.use(node, how="1 MiB of the body is read")
        return
    draft.expect({"max_body": size}, node)
    if size >= 1024 * 1024:
        draft.put("check.read_limit", size + 1)


def _put_compression(draft: JobDraft, node: SourceNode) -> None:
    kind = read_optional_text(node).lower()
    if kind in ("", "identity"):
        draft.use(node)
        return
    if kind not in ("gzip", "deflate"):
        raise NotCarriedOver(f"answers with the encoding {kind} are not decompressed", "compression: gzip")
    headers = draft.get("check.headers") or {}
    if not any(name.lower() == "accept-encoding" for name in headers):
        draft.put(("check", "headers", "Accept-Encoding"), kind)
    draft.expect({"header": "content-encoding", "equals": kind}, node)


def _put_redirects(is_followed: bool, draft: JobDraft, node: SourceNode) -> None:
    draft.put_if(read_boolean(node) is not is_followed, "check.redirects", 0, node)


def _put_tls_rule(rule: str, draft: JobDraft, node: SourceNode) -> None:
    if read_boolean(node):
        draft.expect({"tls": rule}, node)
    else:
        draft.use(node)


def _put_patterns(key: str, draft: JobDraft, node: SourceNode) -> None:
    for pattern in read_list(node):
        draft.expect({key: translate_pattern(read_text(pattern))}, pattern)
    if not node.value:
        draft.use(node)


def _put_header_rules(comparison: str, draft: JobDraft, node: SourceNode) -> None:
    for rule in read_list(node):
        draft.map_key(rule, partial(_put_header_rule, comparison))
    if not node.value:
        draft.use(node)


def _put_header_rule(comparison: str, draft: JobDraft, node: SourceNode) -> None:
    keys = read_mapping(node)
    if "header" not in keys or "regexp" not in keys:
        raise NotCarriedOver("header or regexp is missing")
    entry: dict[str, object] = {
        "header": read_text(keys["header"]).lower(),
        comparison: translate_pattern(read_text(keys["regexp"])),
    }
    if "allow_missing" in keys and read_boolean(keys["allow_missing"]):
        entry["missing"] = "ok"
    used = [keys[key] for key in ("header", "regexp", "allow_missing") if key in keys]
    draft.expect(entry, *used)


def _put_expression(form: str, draft: JobDraft, node: SourceNode) -> None:
    expression = _STRING.sub(lambda found: found[1] or "json", read_text(node))
    draft.expect({"cel": form.format(expression)}, node, how="the parsed body is named json")


def _put_http3(draft: JobDraft, node: SourceNode) -> None:
    if read_boolean(node):
        raise NotCarriedOver("HTTP/3 is not spoken", "http2")
    draft.use(node)
