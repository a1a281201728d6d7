"""What must hold of an answer: the entries of a job's `expect`, and their judgement.

jobs.definition holds `Expectation`s; the runner calls `judge` with what the check saw. A file a topic: a new entry is
its class there and its line in union.py.
"""

from jobs.expectations.entry import Entry
from jobs.expectations.errors import is_awaited
from jobs.expectations.fitting import refuse_unfit
from jobs.expectations.judging import judge
from jobs.expectations.union import Expectation, Expectations

__all__ = ["Entry", "Expectation", "Expectations", "is_awaited", "judge", "refuse_unfit"]
