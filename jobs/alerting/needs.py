"""What the judgement of a condition reads, so that a caller reads nothing else. Pure."""

from __future__ import annotations

from datetime import timedelta

from jobs.fast_frozen import fast_frozen


@fast_frozen(frozen=True, slots=True)
class AlertNeeds:
    """Needs of one condition, or of several by `|`."""

    samples: int = 0
    """The newest samples that the rule counts, at least so many if they exist."""
    window: timedelta = timedelta()
    """The samples of runs that ended within this time."""
    has_circuit: bool = False
    has_certificate: bool = False
    has_secrets: bool = False
    dead_letters_within: timedelta = timedelta()
    has_schedule: bool = False
    """`unfinished_since` and `longest_run`."""
    counts_within: frozenset[tuple[timedelta, bool]] = frozenset()
    """Counts of the runs in these windows, and whether degraded runs are bad in them."""
    met_within: timedelta = timedelta()
    """After a bad run, of conditions that read counts: later, without another one, they are not met."""
    is_timed: bool = False
    """The verdict can change without a run, so the tick judges it too."""

    @property
    def longest_window(self) -> timedelta:
        """Return the time for which a bad run can open an alert."""
        return max(self.window, self.met_within)

    def __or__(self, other: AlertNeeds) -> AlertNeeds:
        return AlertNeeds(
            max(self.samples, other.samples),
            max(self.window, other.window),
            self.has_circuit or other.has_circuit,
            self.has_certificate or other.has_certificate,
            self.has_secrets or other.has_secrets,
            max(self.dead_letters_within, other.dead_letters_within),
            self.has_schedule or other.has_schedule,
            self.counts_within | other.counts_within,
            max(self.met_within, other.met_within),
            self.is_timed or other.is_timed,
        )
