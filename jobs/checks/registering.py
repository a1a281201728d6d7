"""Registers what a run fetches or saves with the redactor. Called by fetching.py, tcp.py and steps.py."""

from __future__ import annotations

import asyncio

from jobs.checks.port import Call
from jobs.redaction import Redactor
from jobs.redaction.forms import forms_of
from jobs.redaction.holding import LONG_VALUE


async def register(value: str, call: Call, redactor: Redactor) -> None:
    """Keep a value out of all texts as long as the run goes on. The forms of a long one are computed in a thread."""
    forms = None
    if len(value) > LONG_VALUE and not redactor.knows(value):
        forms = await asyncio.to_thread(forms_of, value)
    call.values.add(value, redactor, forms)
