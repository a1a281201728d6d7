"""What conditions judge: the samples of a job, and facts about it. Pure values, filled by the caller of
jobs.alerting.evaluation.

The caller reads only what `AlertNeeds` requires (jobs.alerting.needs). Without a fact, the
verdict of a condition about it is not known.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta

from jobs.alerting.samples import Sample
from jobs.fast_frozen import fast_frozen
from jobs.objectives.counts import SliCounts
from jobs.runs.outcomes import Trigger


@fast_frozen(frozen=True, slots=True)
class SampleHistory:
    """Samples ordered by position, the newest last, each once. Runs of a blind scheduler are not among them.

    `counts_from`: the end of the latest pause. Samples that were due before do not count.
    """

    samples: tuple[Sample, ...] = ()
    counts_from: datetime | None = None

    def select_counted(self, triggers: Collection[Trigger]) -> SampleHistory:
        """Return the history as a rule with these triggers counts it."""
        start = self.counts_from
        counted = tuple(
            sample
            for sample in self.samples
            if sample.trigger in triggers and (start is None or sample.due_at >= start)
        )
        return SampleHistory(counted, start)

    def select_window(self, now: datetime, window: timedelta) -> tuple[Sample, ...]:
        """Return the samples of runs that ended within a window up to now."""
        start = now - window
        return tuple(sample for sample in self.samples if sample.finished_at > start)


def history_of(samples: Iterable[Sample], counts_from: datetime | None = None) -> SampleHistory:
    """Return the history of samples in any order. A run that occurs twice, as after a redelivery, counts once."""
    by_position = {sample.position: sample for sample in samples}
    return SampleHistory(tuple(by_position[position] for position in sorted(by_position)), counts_from)


@fast_frozen(frozen=True, slots=True)
class CircuitFact:
    """`is_open`: open or half-open, since `since`."""

    is_open: bool
    since: datetime | None = None


@fast_frozen(frozen=True, slots=True)
class SecretExpiryFact:
    """A secret that the job uses. `expires_at`: None if it does not expire, or if that is not known."""

    name: str
    expires_at: datetime | None = None


@fast_frozen(frozen=True, slots=True)
class SubjectFacts:
    """What is known of a job in addition to its samples. None: not read, or not known."""

    circuit: CircuitFact | None = None
    certificate_expires_at: datetime | None = None
    """Of the target, if it is not in the newest sample."""
    secrets: tuple[SecretExpiryFact, ...] | None = None
    dead_letters: tuple[datetime, ...] | None = None
    """When each dead letter of the job was created, those of the window at least."""
    run_counts: Mapping[tuple[timedelta, bool], SliCounts] | None = None
    """By window up to now, and by whether degraded runs are bad."""
    unfinished_since: datetime | None = None
    """The first due instant after that of the last finished run. None if the job is disabled, paused, or without a
    schedule."""
    longest_run: timedelta = timedelta()
    """From the due instant to the end of a run, with its waits and its timeout."""
