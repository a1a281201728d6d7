"""A declared route of the API. Made by scheduler.api.routing, read where access and bodies are checked.

Imports almost nothing, because a cold process imports it.
"""

from __future__ import annotations

from typing import NamedTuple

from scheduler.api.requests.body_rules import BodyRule
from scheduler.api.scopes import Scope


class DeclaredRoute(NamedTuple):
    """A route with its scope and the body that it accepts.

    `by_tag`: for a caller that is limited to tags, other jobs do not exist on this route. Such a caller must not call
    any other route.
    """

    scope: Scope
    method: str
    path: str
    body: BodyRule = BodyRule()
    by_tag: bool = False
