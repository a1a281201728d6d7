"""No attack at all, to compare the others with."""

from __future__ import annotations

from bench._attacks.harness import Attack


class Baseline(Attack):
    """The healthy jobs alone."""

    name = "baseline"


ATTACKS = (Baseline(),)
