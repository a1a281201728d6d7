"""The values that steps have saved, filled into the placeholders of later steps. Made by step_sequence.py."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urljoin

from pydantic import ValidationError

from jobs.checks.errors import BadSubstitution
from jobs.expectations import Expectation, ExpectationEntry
from jobs.expectations.placeholders import compared_values, fill_compared_values
from jobs.model_base import SecretRef
from jobs.problems import validation_problems
from jobs.targets.endpoints import validate_http_url
from jobs.targets.http import FormBody, JsonBody, RequestBody, TextBody, is_invalid_header_value
from jobs.targets.plain_http import exposes_secrets
from jobs.targets.steps import Step, fill_json, fill_text, format_as_text, has_placeholders


class StepValues:
    """Fills saved values into steps and their expectations."""

    def __init__(self) -> None:
        self.by_name: dict[str, Any] = {}
        self.secret_names: set[str] = set()
        self.last_url = ""
        """Of the last response: relative URLs of steps refer to it."""

    def fill_step(self, step: Step) -> Step:
        """Return the step with its placeholders filled in. Raises BadSubstitution."""
        if not has_placeholders(step.sent_values()) and not step.url.startswith("/"):
            return step
        changes: dict[str, Any] = {"url": self._url(step)}
        if exposes_secrets(step, changes["url"], self.secret_names):
            raise BadSubstitution(
                "it would send secrets over plain http; if that is intended, set allow_plain_http: true"
            )
        changes["headers"] = {name: self._header(name, value) for name, value in step.headers.items()}
        changes["query"] = {name: self._text(value) for name, value in step.query.items()}
        if step.body is not None:
            changes["body"] = self._body(step.body)
        return step.model_copy(update=changes)

    def fill_expectation(self, entry: Expectation) -> ExpectationEntry:
        """Return the entry with its placeholders filled in. Raises BadSubstitution."""
        if not any(map(has_placeholders, compared_values(entry))):
            return entry
        values = self.by_name
        try:
            return fill_compared_values(
                entry, lambda text: fill_text(text, values), lambda value: fill_json(value, values)
            )
        except ValidationError as error:
            (problem, *_) = validation_problems(error, type(entry))
            raise BadSubstitution(f"its {entry.entry_key()} got an invalid value: {problem.message}") from None

    def _url(self, step: Step) -> str:
        whole = step.url.startswith("${")
        head, _, rest = step.url.partition("}") if whole else ("", "", step.url)
        first = format_as_text(self.by_name[head[2:]]) if whole else ""
        url = first + fill_text(rest, self.by_name, lambda value: quote(value, safe=""))
        try:
            return validate_http_url(urljoin(self.last_url, url))
        except ValueError as error:
            raise BadSubstitution(f"its url cannot be requested: {error}") from None

    def _header(self, name: str, value: str | SecretRef) -> str | SecretRef:
        text = self._text(value)
        if isinstance(text, str) and is_invalid_header_value(text):
            raise BadSubstitution(
                f"the saved value cannot stand in the header {name}: it has a line break or a control character"
            )
        return text

    def _text(self, value: str | SecretRef) -> str | SecretRef:
        return fill_text(value, self.by_name) if isinstance(value, str) else value

    def _body(self, body: RequestBody) -> RequestBody:
        match body:
            case TextBody(text=text):
                return body.model_copy(update={"text": self._text(text)})
            case JsonBody(json_=document):
                return body.model_copy(update={"json_": fill_json(document, self.by_name)})
            case FormBody(form=form):
                return body.model_copy(update={"form": {name: self._text(value) for name, value in form.items()}})
