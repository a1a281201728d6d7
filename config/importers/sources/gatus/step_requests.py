"""The request of an endpoint in a suite as a step. Called by suites."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from config.importers.errors import NotCarriedOver
from config.importers.import_context import ImportContext
from config.importers.job_draft import JobDraft, drop_key
from config.importers.node import SourceNode
from config.importers.sources.gatus.clients import put_client
from config.importers.sources.gatus.endpoints import UI_REASON, put_labels, put_request
from config.importers.sources.gatus.kinds import find_kind, put_target
from config.importers.values.reading import read_text

_CONTEXT = re.compile(r"\[CONTEXT\]\.([\w.-]*[\w-])", re.IGNORECASE)


class StepWriter:
    """Writes steps through a draft of a job, so that secrets and headers are mapped by the same code as endpoints."""

    def __init__(self, context: ImportContext, draft: JobDraft, constants: dict[str, str], saved: set[str]) -> None:
        self._context = context
        self._draft = draft
        self._constants = constants
        self._saved = saved

    def write(self, node: SourceNode) -> dict[str, Any]:
        """Return the step of an endpoint. Raises NotCarriedOver: it is not a request."""
        kind = find_kind(node)
        if kind != "http":
            raise NotCarriedOver("steps are requests by http", "a job for each endpoint")
        step = JobDraft(self._draft.name, node, self._context.ledger)
        put_target(self._context, step, node, kind)
        put_client(self._context, step, node.child("client"), kind)
        put_request(self._context, step, node)
        name = node.child("name")
        if name is None:
            raise NotCarriedOver("an endpoint has no name")
        step.use(name)
        step.map_keys(
            node,
            {
                "ui": drop_key(UI_REASON),
                "group": partial(_drop, "the steps of a suite have its group"),
                "alerts": drop_key("a job has alerts, a step has none", "alerts of the job"),
                "interval": partial(_drop, "the steps of a suite have its interval"),
                "enabled": partial(_drop, "a step cannot be disabled"),
                "extra-labels": put_labels,
                "maintenance-windows": drop_key("a step has no maintenance window", "a window for the job"),
            },
        )
        check = step.definition["check"]
        del check["kind"]
        timeout = step.definition.get("timeout", {}).get("attempt")
        written = {"name": read_text(name), **self._replace(check)}
        return {**written, "timeout": timeout} if timeout else written

    def _replace(self, value: Any) -> Any:
        """Write `[CONTEXT].name` as the constant or as `${name}`. A dollar sign of the source is doubled."""
        if isinstance(value, str):
            return self._replace_text(value)
        if isinstance(value, dict):
            if value.keys() == {"secret"}:
                return value
            return {key: self._replace(one) for key, one in value.items()}
        if isinstance(value, list):
            return [self._replace(one) for one in value]
        return value

    def _replace_text(self, text: str) -> str:
        parts: list[str] = []
        end = 0
        for found in _CONTEXT.finditer(text):
            parts += [text[end : found.start()].replace("$", "$$"), self._value(found[1])]
            end = found.end()
        return "".join([*parts, text[end:].replace("$", "$$")])

    def _value(self, name: str) -> str:
        if name in self._constants:
            return self._constants[name].replace("$", "$$")
        written = re.sub(r"[^A-Za-z0-9_]", "_", name)
        if written not in self._saved:
            raise NotCarriedOver(f"[CONTEXT].{name} is used, but no earlier endpoint stores it")
        return f"${{{written}}}"


def _drop(why: str, draft: JobDraft, node: SourceNode) -> None:
    draft.drop(node, why)
