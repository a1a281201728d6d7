"""Bodies of HTTP responses are read by jobs.responses alone: httpx itself decompresses without a limit."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.project.product import modules

READERS = frozenset({"jobs/responses.py"})
STREAMS = frozenset(
    {
        *("aread", "aiter_bytes", "iter_bytes", "aiter_raw", "iter_raw"),
        *("aiter_text", "iter_text", "aiter_lines", "iter_lines"),
    }
)
"""Names that only responses of httpx have."""
REQUESTS = frozenset({"request", "stream", "get", "options", "head", "post", "put", "patch", "delete"})
BODIES = frozenset({"content", "text", "json", "read"})
"""Of a response of httpx; other objects have members of these names."""


def test_bodies_of_responses_are_read_by_the_bounded_reader_alone() -> None:
    found = [
        f"{module.path}:{problem}"
        for module in modules()
        if module.path not in READERS and not module.path.startswith("infra/")  # has no httpx
        for problem in unbounded_reads(module.tree)
    ]
    assert found == [], "use jobs.responses.fetch or fetch_blocking"


def unbounded_reads(tree: ast.Module) -> Iterator[str]:
    """Yield line and text of each expression that reads, or lets httpx read, a body without a limit."""
    yield from (_show(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr in STREAMS)
    if not _imports_httpx(tree):
        return
    responses = _names_of_responses(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in BODIES and ast.unparse(node.value) in responses:
            yield _show(node)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = ast.unparse(node.func.value).rpartition(".")[2].lstrip("_")
            if node.func.attr in REQUESTS and (owner == "httpx" or owner.endswith("client")):
                yield _show(node.func)
            if node.func.attr == "send" and owner.endswith("client") and not _is_streamed(node):
                yield _show(node.func)


def _imports_httpx(tree: ast.Module) -> bool:
    imported = (node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom)))
    return any(
        each.split(".")[0] in ("httpx", "urllib3", "requests", "datadog_api_client")
        for node in imported
        for each in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [name.name for name in node.names])
    )


def _names_of_responses(tree: ast.Module) -> frozenset[str]:
    """Return the names that are annotated as responses, and those that an awaited or opened request is assigned to."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.arg) and _is_response(node.annotation):
            found.add(node.arg)
        if isinstance(node, ast.AnnAssign) and _is_response(node.annotation):
            found.add(ast.unparse(node.target))
        if isinstance(node, ast.Assign) and _is_request(node.value):
            found |= {ast.unparse(target) for target in node.targets}
        if isinstance(node, ast.withitem) and node.optional_vars is not None and _is_request(node.context_expr):
            found.add(ast.unparse(node.optional_vars))
    return frozenset(found)


def _is_response(annotation: ast.expr | None) -> bool:
    return annotation is not None and ast.unparse(annotation) in ("httpx.Response", "Response")


def _is_request(node: ast.expr) -> bool:
    call = node.value if isinstance(node, ast.Await) else node
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)):
        return False
    owner = ast.unparse(call.func.value).rpartition(".")[2]
    return owner.endswith("client") and call.func.attr in {*REQUESTS, "send"}


def _is_streamed(call: ast.Call) -> bool:
    return any(each.arg == "stream" and ast.unparse(each.value) == "True" for each in call.keywords)


def _show(node: ast.Attribute) -> str:
    return f"{node.lineno}: {ast.unparse(node)}"


@pytest.mark.parametrize(
    "line",
    [
        "async for part in answer.aiter_bytes(): pass",
        "body = await answer.aread()",
        "found = await self._client.request('GET', url)",
        "found = httpx.get(url)",
        "found = await client.send(request)",
        "found = await client.send(request, stream=True); found.json()",
        "def read(response: httpx.Response): return response.content",
    ],
)
def test_the_rule_finds(line: str) -> None:
    assert list(unbounded_reads(ast.parse(f"import httpx\nasync def f():\n    {line}")))


@pytest.mark.parametrize(
    "line",
    [
        "found = await client.send(request, stream=True)",
        "found = file.content",
        "found = sent.read()",
        "found = await self._api.get(path)",
        "found = headers.get('a')",
    ],
)
def test_the_rule_does_not_find(line: str) -> None:
    assert not list(unbounded_reads(ast.parse(f"import httpx\nasync def f():\n    {line}")))
