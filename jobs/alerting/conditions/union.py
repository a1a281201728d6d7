"""The union of all conditions, discriminated by key. Used by jobs.alerting.rule."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Tag

from jobs.alerting.conditions.base import AlertCondition
from jobs.alerting.conditions.burn_rate import BurnRateCondition
from jobs.alerting.conditions.certificate_days import CertificateDaysCondition
from jobs.alerting.conditions.circuit_open import CircuitOpenCondition
from jobs.alerting.conditions.dead_letters import DeadLettersCondition
from jobs.alerting.conditions.degraded import DegradedCondition
from jobs.alerting.conditions.error_share import ErrorShareCondition
from jobs.alerting.conditions.failed import FailedCondition
from jobs.alerting.conditions.heartbeat_missed import HeartbeatMissedCondition
from jobs.alerting.conditions.lateness import LatenessCondition
from jobs.alerting.conditions.response_time import ResponseTimeCondition
from jobs.alerting.conditions.secret_days import SecretDaysCondition
from jobs.alerting.conditions.silent import SilentCondition
from jobs.alerting.conditions.slower_than_usual import SlowerThanUsualCondition
from jobs.alerting.conditions.success_rate import SuccessRateCondition
from jobs.alerting.conditions.unknown import UnknownCondition
from jobs.model_base import discriminate_by_key
from jobs.problems.findings import did_you_mean, join_names, suggest_name

CONDITIONS: tuple[type[AlertCondition], ...] = (
    FailedCondition,
    DegradedCondition,
    UnknownCondition,
    SuccessRateCondition,
    ErrorShareCondition,
    ResponseTimeCondition,
    SlowerThanUsualCondition,
    LatenessCondition,
    CertificateDaysCondition,
    SecretDaysCondition,
    HeartbeatMissedCondition,
    DeadLettersCondition,
    CircuitOpenCondition,
    SilentCondition,
    BurnRateCondition,
)
"""Every condition. A new one is a class in this folder, and its line here."""

_BY_KEY = {condition.condition_key(): condition for condition in CONDITIONS}
_NAMES = tuple(key for key, condition in _BY_KEY.items() if key == condition.EXAMPLE)
"""Conditions that can be written as their name."""


def _from_name(value: Any) -> Any:
    """Read `degraded` as `{degraded: true}`."""
    if not isinstance(value, str):
        return value
    if value in _NAMES:
        return {value: True}
    if value in _BY_KEY:
        raise ValueError(f"{value} needs a value: write {_BY_KEY[value].EXAMPLE}")
    near = suggest_name(value, _BY_KEY)
    raise ValueError(f"{value[:60]!r} is not a condition{did_you_mean(near)}: expected {join_names(_BY_KEY)}")


if TYPE_CHECKING:
    Condition = AlertCondition
else:
    _Union = Annotated[
        reduce(or_, (Annotated[condition, Tag(key)] for key, condition in _BY_KEY.items())),
        Discriminator(discriminate_by_key(*_BY_KEY)),
    ]
    Condition = Annotated[
        _Union,
        BeforeValidator(_from_name, json_schema_input_type=Literal[_NAMES] | _Union),
    ]
"""The field `when`: a name, or a mapping with the key of one condition."""
