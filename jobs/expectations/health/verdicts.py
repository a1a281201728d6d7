"""Judges a health document by the rules of a job, and describes why it does not hold. Pure.

Called by jobs.expectations.entries.health.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from jobs.expectations.health.document import HealthDocument
from jobs.formats import describe_milliseconds, describe_seconds, matches_wildcard
from jobs.runs.details import EntryEffect, EntryStatus, ReportedEntry

HEALTH_KEY = "health"
"""The key of the failure whose observed value is the whole verdict."""
MAX_NAMED_ENTRIES = 5
"""Entries that a message names."""
_SHOWN_DURATION_MS = 1000.0
"""A shorter duration does not explain a failure."""

_RANK = {EntryEffect.NONE: 0, EntryEffect.DEGRADED: 1, EntryEffect.DOWN: 2}
_EFFECT_OF_STATUS = {EntryStatus.DEGRADED: EntryEffect.DEGRADED, EntryStatus.DOWN: EntryEffect.DOWN}


@dataclass(frozen=True, slots=True)
class EntryRules:
    """Names can contain `*`; a name stands for the entries below it as well: `db` for `db/primary`."""

    ignore: tuple[str, ...] = ()
    require: tuple[str, ...] = ()
    effects: Mapping[str, EntryEffect] = field(default_factory=dict)
    """What an entry counts whenever it is not up."""
    max_duration_s: float | None = None


@dataclass(frozen=True, slots=True)
class EntryReason:
    """An entry that counts, and why it does: one clause or more."""

    name: str
    texts: tuple[str, ...]
    effect: EntryEffect


@dataclass(frozen=True, slots=True)
class HealthVerdict:
    """`entries`: of the document, each with its effect. `reasons`: the worst first."""

    effect: EntryEffect
    entries: tuple[ReportedEntry, ...]
    reasons: tuple[EntryReason, ...]
    is_explained: bool
    """Whether an entry is at least as bad as the document as a whole."""


def judge_document(document: HealthDocument, rules: EntryRules) -> HealthVerdict:
    """Judge each entry, and the document as a whole.

    The document's own status counts only if no entry explains it: an ignored entry must not fail the job through it.
    """
    entries, reasons = [], []
    for entry in document.entries:
        effect, texts = _judge_entry(entry, rules, document.word)
        entries.append(replace(entry, effect=effect))
        if effect is not EntryEffect.NONE:
            reasons.append(EntryReason(entry.name, texts, effect))
    for name in rules.require:
        if not any(_is_named(entry.name, name) for entry in document.entries):
            effect = rules.effects.get(name, EntryEffect.DOWN)
            reasons.append(EntryReason(name, ("required, but not in the document",), effect))
    reasons.sort(key=lambda reason: -_RANK[reason.effect])
    own = _own_effect(document)
    worst = max((_RANK[_EFFECT_OF_STATUS.get(entry.status, EntryEffect.NONE)] for entry in entries), default=0)
    is_explained = worst >= _RANK[own]
    effects = [reason.effect for reason in reasons] + ([] if is_explained else [own])
    effect = max(effects, key=_RANK.__getitem__, default=EntryEffect.NONE)
    return HealthVerdict(effect, tuple(entries), tuple(reasons), is_explained)


def describe_verdict(document: HealthDocument, verdict: HealthVerdict, show: Callable[[str], str]) -> str:
    """Return `Unhealthy because of cosmosdb (timeout, 23.1 s)`. `show`: redacts and shortens a text of the target."""
    word = show(document.word)
    named = [_describe_reason(reason, show) for reason in verdict.reasons[:MAX_NAMED_ENTRIES]]
    more = len(verdict.reasons) - len(named)
    listed = ", ".join([*named, *([f"and {more} more"] if more else [])])
    if document.status is EntryStatus.UP:
        return f"{word}, but {listed}"
    if verdict.is_explained:
        return f"{word} because of {listed}"
    own = f"{word}: {show(document.text)}" if document.text else f"{word} without an entry that explains it"
    if not document.entries and not document.text:
        own = f"{word}, the document has no entries"
    return f"{own}; also {listed}" if listed else own


def _own_effect(document: HealthDocument) -> EntryEffect:
    if document.status is EntryStatus.UNKNOWN:
        return EntryEffect.DEGRADED
    return _EFFECT_OF_STATUS.get(document.status, EntryEffect.NONE)


def _judge_entry(entry: ReportedEntry, rules: EntryRules, word: str) -> tuple[EntryEffect, tuple[str, ...]]:
    if any(_is_named(entry.name, name) for name in rules.ignore):
        return EntryEffect.NONE, ()
    given = next((effect for name, effect in rules.effects.items() if _is_named(entry.name, name)), None)
    took, limit = entry.duration_ms, rules.max_duration_s
    texts = [text for text in (entry.text, *([] if entry.text or entry.word == word else [entry.word])) if text]
    if entry.observed and entry.status is not EntryStatus.UP:
        texts.append(entry.observed)
    elif took is not None and took >= _SHOWN_DURATION_MS and entry.status is not EntryStatus.UP:
        texts.append(describe_milliseconds(took))
    effect = _EFFECT_OF_STATUS.get(entry.status, EntryEffect.NONE)
    if entry.status is not EntryStatus.UP and given is not None:
        effect = given
    if limit is not None and took is not None and took > limit * 1000:
        slow = given or EntryEffect.DEGRADED
        if _RANK[slow] > _RANK[effect]:
            effect, texts = slow, [f"took {describe_milliseconds(took)}, at most {describe_seconds(limit)}"]
    return effect, tuple(texts)


def _is_named(name: str, pattern: str) -> bool:
    return matches_wildcard(name, pattern) or matches_wildcard(name, f"{pattern}/*")


def _describe_reason(reason: EntryReason, show: Callable[[str], str]) -> str:
    texts = ", ".join(show(text) for text in reason.texts)
    return f"{show(reason.name)} ({texts})" if texts else show(reason.name)
