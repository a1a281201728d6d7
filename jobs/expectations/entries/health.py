"""The entry about a health document: the application's own report on itself and on what it depends on."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from jobs.expectations.entry import BRIEF_SEARCH_BYTES, ExpectationEntry, Feature, JudgedAnswer, NotJson
from jobs.expectations.health.document import (
    HEALTH_KEY,
    EntryRules,
    HealthDocument,
    HealthVerdict,
    NotHealthDocument,
    describe_verdict,
    judge_document,
)
from jobs.expectations.health.formats import FORMAT_NAMES, HealthFormat, read_document, read_plain_status
from jobs.model_base import DisplayText, Duration
from jobs.runs import Failure, Severity
from jobs.runs.details import EntryEffect, EntryStatus, HealthDetail

_MAX_NAMES = 50
_EntryName = Annotated[DisplayText, StringConstraints(min_length=1, max_length=200)]
EntryNames = Annotated[tuple[_EntryName, ...], Field(max_length=_MAX_NAMES)]


class HealthDocumentEntry(ExpectationEntry):
    """The health document of the answer reports nothing that counts.

    It is about the status too: a 503 holds if the rules explain the document away, and a 500 without a document fails.
    """

    needs: ClassVar = Feature.HTTP_RESPONSE
    REPLACES: ClassVar = "status"
    BRIEF_BYTES: ClassVar = BRIEF_SEARCH_BYTES

    health: HealthFormat
    ignore: EntryNames = ()
    require: EntryNames = ()
    severities: Annotated[dict[_EntryName, Literal["degraded", "down"]], Field(max_length=_MAX_NAMES)] = Field(
        default_factory=dict, description="what an entry counts whenever it is not up, by name"
    )
    max_duration: Annotated[Duration, Field(gt=0)] | None = None

    @property
    def entry_rules(self) -> EntryRules:
        effects = {name: EntryEffect(effect) for name, effect in self.severities.items()}
        return EntryRules(self.ignore, self.require, effects, self.max_duration)

    def find_failure(self, answer: JudgedAnswer) -> Failure | None:
        status = answer.observation.status
        try:
            document = self._read(answer)
        except (NotJson, NotHealthDocument) as error:
            return self._missing_document(status, str(error))
        verdict = judge_document(document, self.entry_rules)
        answer.health = HealthDetail(document.word, document.status, verdict.entries, len(verdict.entries))
        if not _is_success(status) and document.status in (EntryStatus.UP, EntryStatus.UNKNOWN):
            word = answer.shorten(document.word)
            return Failure("status", f"2xx (its health document reports {word})", str(status))
        if verdict.effect is EntryEffect.NONE:
            return None
        return Failure(
            HEALTH_KEY,
            "no failing entry",
            describe_verdict(document, verdict, answer.shorten),
            _severity(verdict, document, status),
        )

    def _read(self, answer: JudgedAnswer) -> HealthDocument:
        """Raises NotJson and NotHealthDocument."""
        media_type = answer.observation.headers.get("content-type", "")
        plain = None if answer.observation.body_truncated else read_plain_status(answer.text, self.health)
        return plain or read_document(answer.parse_json(), media_type, self.health)

    def _missing_document(self, status: int | None, why: str) -> Failure:
        expected = "a health document" + FORMAT_NAMES[self.health]
        if _is_success(status):
            return Failure("health document", expected, why)
        return Failure("status", f"2xx or {expected}", f"{status} and {why}")

    def _omitted_keys(self) -> set[str]:
        optional = {"ignore", "require", "severities", "max_duration"}
        return super()._omitted_keys() | {name for name in optional if not getattr(self, name)}


def _is_success(status: int | None) -> bool:
    return status is not None and 200 <= status <= 299


def _severity(verdict: HealthVerdict, document: HealthDocument, status: int | None) -> Severity:
    """With another status than 2xx the application takes itself out of service, also if it reports `Degraded`."""
    if verdict.effect is EntryEffect.DOWN:
        return Severity.FAIL
    is_out = not _is_success(status) and document.status is EntryStatus.DEGRADED
    return Severity.FAIL if is_out else Severity.DEGRADED
