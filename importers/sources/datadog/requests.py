"""Maps the request of an HTTP test to a check, and a multistep API test to a check of steps."""

from __future__ import annotations

from typing import Any

from importers.http_requests import TestVariables, put_body, put_header, put_url
from importers.ledger import JobDraft
from importers.reading import (
    read_flag,
    read_integer,
    read_mapping,
    read_optional_text,
    read_text,
    write_duration,
)
from importers.source_tree import (
    NotCarriedOver,
    SourceNode,
    child_of,
    children_of,
)
from importers.sources.datadog.assertions import put_assertions
from jobs.problems import looks_secret

_NO_REVOCATION = "revocation of certificates is not checked"
_REFUSED_AUTH = {
    "digest": "there is no Digest authentication",
    "ntlm": "there is no NTLM authentication",
    "sigv4": "requests are not signed for AWS",
    "oauth-rop": "there is no token for a user's name and password",
    "jwt": "tokens are not made from a key",
}
_IDLE = ("call_type", "service", "files", "form", "metadata", "persistCookies", "httpVersion", "certificateDomains")
_MULTIPART = "multipart/form-data"


def put_request(
    variables: TestVariables, draft: JobDraft, node: SourceNode, path: str, options: SourceNode | None
) -> None:
    """Set a request at a path such as `check`. `options`: of the test, which apply as well. Raises NotCarriedOver."""
    url = node.child("url")
    if url is None:
        raise NotCarriedOver("the request has no URL")
    put_url(variables.context, draft, variables.fill(read_text(url)), url, path=path)
    method = node.child("method")
    if method is not None and method.value is not None:
        draft.put(f"{path}.method", read_text(method).upper(), method)
    _put_auth(variables, draft, node.child("basicAuth"), path)
    _put_headers(variables, draft, node.child("headers"), path)
    _put_query(variables, draft, node.child("query"), path)
    _put_body(variables, draft, node, path)
    _put_certificate(variables, draft, node.child("certificate"), path)
    _put_proxy(variables, draft, node.child("proxy"), path)
    _put_flags(draft, node, path, options)


def _put_headers(variables: TestVariables, draft: JobDraft, node: SourceNode | None, path: str) -> None:
    if node is not None and not node.value:
        draft.use(node)
    for header in read_mapping(node).values():
        value = variables.fill_or_reference(read_optional_text(header), f"{draft.name}-{header.key}")
        if isinstance(value, str):
            try:
                put_header(variables.context, draft, header.key, value, header, path=path)
            except NotCarriedOver as error:
                draft.drop(header, error.why, error.nearest)
        else:
            draft.put((*path.split("."), "headers", header.key), value, header, how="the value becomes a secret")


def _put_query(variables: TestVariables, draft: JobDraft, node: SourceNode | None, path: str) -> None:
    if node is not None and not node.value:
        draft.use(node)
    for parameter in read_mapping(node).values():
        value = variables.fill_or_reference(read_optional_text(parameter), f"{draft.name}-{parameter.key}")
        if isinstance(value, str) and value and looks_secret(parameter.key) and "${" not in value:
            purpose = f"value of the parameter {parameter.key} of {draft.name}"
            value = variables.context.secrets.reference(value, f"{draft.name}-{parameter.key}", purpose, parameter)
        how = "" if isinstance(value, str) else "the value becomes a secret"
        draft.put((*path.split("."), "query", parameter.key), value, parameter, how=how)


def _put_body(variables: TestVariables, draft: JobDraft, node: SourceNode, path: str) -> None:
    body, kind, form = node.child("body"), node.child("bodyType"), node.child("form")
    content_type = read_optional_text(kind)
    if content_type == _MULTIPART or (form is not None and form.value) or (node.child("files") or node).value == "?":
        raise NotCarriedOver("a form of several parts cannot be sent", "a body of text, JSON or a form")
    text = read_optional_text(body)
    if not text:
        draft.use(body, kind)
        return
    if content_type == "graphql":
        content_type = "application/json"
    put_body(variables.context, draft, variables.fill(text), content_type, body, kind, path=path)


def _put_auth(variables: TestVariables, draft: JobDraft, node: SourceNode | None, path: str) -> None:
    if node is None:
        return
    kind = read_optional_text(node.child("type")) or "web"
    if kind == "web":
        password = _secret(variables, draft, node.child("password"), "password")
        username = variables.fill(read_optional_text(node.child("username")))
        auth: dict[str, Any] = {"kind": "basic", "username": username, "password": password}
    elif kind == "oauth-client":
        auth = _oauth(variables, draft, node)
    else:
        raise NotCarriedOver(_REFUSED_AUTH.get(kind, f"the authentication {kind} is not known"), "auth: {kind: bearer}")
    draft.put(f"{path}.auth", auth, *node.leaves(), how="the secret value becomes a secret")


def _oauth(variables: TestVariables, draft: JobDraft, node: SourceNode) -> dict[str, Any]:
    texts = {key: variables.fill(read_optional_text(node.child(key))) for key in ("accessTokenUrl", "clientId")}
    auth: dict[str, Any] = {
        "kind": "oauth2",
        "token_url": texts["accessTokenUrl"],
        "client_id": texts["clientId"],
        "client_secret": _secret(variables, draft, node.child("clientSecret"), "client secret"),
    }
    for key in ("scope", "audience"):
        if text := read_optional_text(node.child(key)):
            auth[key] = variables.fill(text)
    if read_optional_text(node.child("tokenApiAuthentication")) == "body":
        auth["style"] = "body"
    return auth


def _secret(variables: TestVariables, draft: JobDraft, node: SourceNode | None, what: str) -> Any:
    text = read_optional_text(node)
    hint = f"{draft.name}-{what.replace(' ', '-')}"
    value = variables.fill_or_reference(text, hint)
    if not isinstance(value, str):
        return value
    return variables.context.secrets.reference(value, hint, f"{what} of {draft.name}", node)


def _put_certificate(variables: TestVariables, draft: JobDraft, node: SourceNode | None, path: str) -> None:
    if node is None:
        return
    parts = [node.child(key, "content") for key in ("cert", "key")]
    if any(part is None for part in parts):
        # The API does not return the content of files.
        purpose = f"client certificate and unencrypted key of {draft.name}, one after the other, in PEM form"
        reference = variables.context.secrets.require(f"{draft.name}-client-certificate", purpose, node)
    else:
        text = "\n".join(read_optional_text(part).strip() for part in parts) + "\n"
        purpose = f"client certificate and key of {draft.name}"
        reference = variables.context.secrets.reference(text, f"{draft.name}-client-certificate", purpose, node)
    draft.put(f"{path}.tls.client_certificate", reference, *node.leaves(), how="certificate and key become one secret")


def _put_proxy(variables: TestVariables, draft: JobDraft, node: SourceNode | None, path: str) -> None:
    url = child_of(node, "url")
    if url is None:
        return
    draft.put(f"{path}.proxy", variables.fill(read_text(url)).rstrip("/"), url)
    for header in children_of(child_of(node, "headers")):
        draft.drop(header, "a proxy gets no headers but its credentials", "proxy_auth")


def _put_flags(draft: JobDraft, node: SourceNode, path: str, options: SourceNode | None) -> None:
    follow, insecure, version = (
        node.child(key) or child_of(options, key) for key in ("follow_redirects", "allow_insecure", "httpVersion")
    )
    draft.put_if(not read_flag(follow), f"{path}.redirects", 0, follow)
    draft.put_if(read_flag(insecure), f"{path}.tls.verify", False, insecure)
    draft.put_if(read_optional_text(version) in ("http2", "any"), f"{path}.http2", True, version)
    unsaved = node.child("noSavingResponseBody")
    draft.put_if(read_flag(unsaved), f"{path}.keep_body", 0, unsaved)
    for key in ("checkCertificateRevocation", "disableAiaIntermediateFetching"):
        child = node.child(key) or child_of(options, key)
        draft.drop_if(child and child.value, child, _NO_REVOCATION)
    for child in node.children():
        if child.key in _IDLE or not child.value:
            draft.use(*(leaf for leaf in child.leaves() if not leaf.value or child.is_leaf))


def read_timeout(node: SourceNode | None, default: float) -> float:
    """Return the seconds of `timeout` of a request."""
    if node is None or node.value in (None, 0):
        return default
    return float(read_integer(node))


def put_step_timeout(draft: JobDraft, node: SourceNode, step: str) -> None:
    """Set the timeout of a step."""
    timeout = node.child("timeout")
    if timeout is not None and timeout.value:
        draft.put(f"{step}.timeout", write_duration(min(read_timeout(timeout, 60.0), 480.0)), timeout)
    elif timeout is not None:
        draft.use(timeout)


_MAX_STEPS = 50
_MAX_NAME = 100
_WHOLE_BODY = "(?s)(.*)"
_NO_EXTRACTION = "save the value by a JSONPath or a regular expression"


def map_steps(variables: TestVariables, draft: JobDraft, config: SourceNode, options: SourceNode | None) -> float:
    """Set the steps, and return the seconds of all of them together. Raises NotCarriedOver."""
    listed = config.child("steps")
    steps = list(children_of(listed))
    requests = [node for node in steps if read_optional_text(node.child("subtype")) not in ("wait",)]
    if not 0 < len(requests) <= _MAX_STEPS:
        raise NotCarriedOver(f"the test has {len(requests)} steps with requests; 1 to {_MAX_STEPS} are possible")
    draft.put("check.kind", "steps")
    draft.put("check.steps", [])
    names: set[str] = set()
    seconds = 0.0
    for node in steps:
        if node not in requests:
            draft.drop(node, "steps follow each other without a pause")
    for number, node in enumerate(requests):
        kind = read_optional_text(node.child("subtype")) or "http"
        request = node.child("request")
        if kind != "http" or request is None:
            raise NotCarriedOver(f"a step of the type {kind} has no equivalent", "a job for it, and depends_on")
        step = f"check.steps.{number}"
        _put_name(draft, node, number, names, step)
        put_request(variables, draft, request, step, options)
        put_step_timeout(draft, request, step)
        seconds += read_timeout(request.child("timeout"), 60.0)
        put_assertions(variables, draft, node.child("assertions"), step)
        _put_extractions(variables, draft, node.child("extractedValues"), step)
        _put_step_flags(draft, node, step)
    request = config.child("request")
    draft.use(*(request.leaves() if request is not None else ()))
    return seconds


def _put_name(draft: JobDraft, node: SourceNode, number: int, names: set[str], step: str) -> None:
    child = node.child("name")
    base = "".join(sign for sign in read_optional_text(child) if sign.isprintable()) or f"step {number + 1}"
    name, attempt = base[:_MAX_NAME], 1
    while name in names:
        attempt += 1
        name = f"{base[: _MAX_NAME - 5]} ({attempt})"
    names.add(name)
    how = "" if child is None or name == child.value else f"the step is named {name}"
    draft.put(f"{step}.name", name, child, how=how)
    draft.use(node.child("subtype"), node.child("id"))


def _put_extractions(variables: TestVariables, draft: JobDraft, node: SourceNode | None, step: str) -> None:
    for value in children_of(node):
        name = read_optional_text(value.child("name"))
        try:
            source = _convert_extraction(value)
        except NotCarriedOver as error:
            draft.drop(value, error.why, error.nearest)
            continue
        if read_flag(value.child("secure")):
            source["secret"] = True
        draft.put(f"{step}.save.{variables.save(name)}", source, *value.leaves())
    if node is not None and not node.value:
        draft.use(node)


def _convert_extraction(node: SourceNode) -> dict[str, Any]:
    kind, parser = read_optional_text(node.child("type")), read_optional_text(node.child("parser", "type")) or "raw"
    value, field = read_optional_text(node.child("parser", "value")), read_optional_text(node.child("field"))
    if kind == "http_header" and field:
        if parser == "raw":
            return {"header": field}
        if parser == "regex":
            return {"header": field, "regex": value}
    if kind == "http_body":
        if parser == "json_path":
            return {"json": value if value.startswith("$") else f"$.{value}"}
        if parser == "regex":
            return {"regex": value}
        if parser == "raw":
            return {"regex": _WHOLE_BODY}
    raise NotCarriedOver(f"a value of {kind} by {parser} cannot be saved", _NO_EXTRACTION)


def _put_step_flags(draft: JobDraft, node: SourceNode, step: str) -> None:
    allows = node.child("allowFailure")
    is_allowed = read_flag(allows)
    if is_allowed:
        for entry in draft.get(f"{step}.expect") or []:
            entry["severity"] = "degraded"
    how = "its expectations degrade the run; a step without an answer ends it" if is_allowed else ""
    draft.use(allows, how=how)
    draft.use(node.child("isCritical"))
    for key in ("retry", "exitIfSucceed", "extractedValuesFromScript"):
        child = node.child(key)
        if child is None:
            continue
        if key == "exitIfSucceed" and child.value:
            raise NotCarriedOver("a sequence does not end early with success", "two jobs")
        if child.value and any(leaf.value for leaf in child.leaves()):
            draft.drop(child, "a step has neither retries nor scripts", "retry of the job repeats all steps")
        else:
            draft.use(*child.leaves())
