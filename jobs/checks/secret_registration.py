"""Register what a run fetches or saves with the redactor.

Called by credential_loading.py, tcp.py and step_sequence.py.
"""

from __future__ import annotations

import asyncio

from jobs.checks.port import AttemptContext
from jobs.redaction import Redactor
from jobs.redaction.forms import secret_forms
from jobs.redaction.value_holders import LONG_SECRET


async def register_value(value: str, call: AttemptContext, redactor: Redactor) -> None:
    """Hide a value from all texts until the run ends. The forms of a long one are computed in a thread."""
    forms = None
    if len(value) > LONG_SECRET and not redactor.is_registered(value):
        forms = await asyncio.to_thread(secret_forms, value)
    call.values.add(value, redactor, forms)
