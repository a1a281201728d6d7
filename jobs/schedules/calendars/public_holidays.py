"""Public holidays by country, from the package holidays. Called by jobs.schedules.calendars.exclusions.

Importing the package takes 0.15 s and 25 MB, so it is imported on first use.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from functools import lru_cache

from jobs.errors import ScheduleError

_CODE = re.compile(r"[A-Za-z]{2}")


# A schedule needs a year or two, and many jobs exclude the holidays of the same country.
@lru_cache(maxsize=2048)
def holidays_in_year(country: str, subdivision: str | None, year: int) -> frozenset[int]:
    """Return a year's holidays as date ordinals, including days in lieu; empty for years without data."""
    import holidays

    found = holidays.country_holidays(country, subdiv=subdivision, years=year, expand=False)
    return frozenset(day.toordinal() for day in found)


def validate_region(country: object, subdivision: object, path: str) -> tuple[str, str | None]:
    """Return the country's code in capitals, and the subdivision's code as the package spells it.

    Raises:
        ScheduleError: one of them is unknown; the message names similar ones.
    """
    import holidays

    if not isinstance(country, str) or not _CODE.fullmatch(country.strip()):
        raise ScheduleError(f"{path}.holidays: a two-letter country code is expected, like DE, not {country!r:.40}")
    places = holidays.list_supported_countries()
    code = country.strip().upper()
    if code not in places:
        raise ScheduleError(f"{path}.holidays: no holidays are available for {code}")
    if subdivision is None:
        return code, None
    parts = {part.lower(): part for part in places[code]}
    code_in_lower_case = str(subdivision).strip().lower()
    if code_in_lower_case not in parts:
        raise ScheduleError(
            f"{path}.subdivision: {subdivision!r:.40} is not a part of {code}, {_meant(code_in_lower_case, parts)}"
        )
    return code, parts[code_in_lower_case]


def _meant(code_in_lower_case: str, parts: dict[str, str]) -> str:
    near = get_close_matches(code_in_lower_case, parts, n=1)
    if near:
        return f"did you mean {parts[near[0]]}?"
    return f"it has {', '.join(parts.values())}" if parts else "which has no subdivisions: remove the key"
