"""The public holidays of countries, from the holidays package. Called by jobs.schedules.calendars.exclusions.

The package takes 0.15 s and 25 MB to import, which only those pay who leave holidays out.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from functools import lru_cache

from jobs.errors import ScheduleError

_CODE = re.compile(r"[A-Za-z]{2}")


# A schedule looks at a year or two, and many jobs leave out the same country's.
@lru_cache(maxsize=2048)
def holidays_in_year(country: str, subdivision: str | None, year: int) -> frozenset[int]:
    """A year's holidays as date ordinals, days off in lieu included; none in years that the package cannot tell."""
    import holidays

    found = holidays.country_holidays(country, subdiv=subdivision, years=year, expand=False)
    return frozenset(day.toordinal() for day in found)


def validate_region(country: object, subdivision: object, path: str) -> tuple[str, str | None]:
    """The country's code in capitals, and the subdivision's code as the package writes it.

    Raises:
        ScheduleError: one of them is not known; names the nearest ones.
    """
    import holidays

    if not isinstance(country, str) or not _CODE.fullmatch(country.strip()):
        raise ScheduleError(
            f"{path}.holidays: a country's code of two letters is expected, like DE, not {country!r:.40}"
        )
    places = holidays.list_supported_countries()
    code = country.strip().upper()
    if code not in places:
        raise ScheduleError(f"{path}.holidays: the holidays of {code} are not known")
    if subdivision is None:
        return code, None
    parts = {part.lower(): part for part in places[code]}
    wanted = str(subdivision).strip().lower()
    if wanted not in parts:
        raise ScheduleError(f"{path}.subdivision: {subdivision!r:.40} is no part of {code}, {_meant(wanted, parts)}")
    return code, parts[wanted]


def _meant(wanted: str, parts: dict[str, str]) -> str:
    near = get_close_matches(wanted, parts, n=1)
    if near:
        return f"did you mean {parts[near[0]]}?"
    return f"it has {', '.join(parts.values())}" if parts else "whose holidays are the same everywhere: leave it out"
