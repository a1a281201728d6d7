"""The expectations of a job: the entries of `expect`, and the judgement of an answer by them.

jobs.definition validates `Expectation`s; the runner calls `judge` with the observation of the check. Each entry is a
class, listed in union.py.
"""

from jobs.expectations.entry import Entry
from jobs.expectations.errors import is_awaited
from jobs.expectations.fitting import refuse_unfit
from jobs.expectations.judging import judge
from jobs.expectations.union import Expectation, Expectations

__all__ = ["Entry", "Expectation", "Expectations", "is_awaited", "judge", "refuse_unfit"]
