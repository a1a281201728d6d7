"""Hostile schedules. See the package."""

from __future__ import annotations

from random import Random
from typing import Any

from tests.parts.hostile.values import DURATIONS, INSTANTS, NUMBERS, TEXTS, Maker, one_of

ZONES = one_of(
    "Europe/Berlin",
    "UTC",
    "../../etc/passwd",
    "/etc/passwd",
    "/dev/zero",
    "Europe/../../../../dev/zero",
    "\0",
    "",
    ".",
    "Europe",
    "posixrules",
    "localtime",
    "UTC" * 1_000,
    "Europe/Berlin\n",
    "W. Europe Standard Time",
    "tzdata.zi",
    "Antarctica/Troll",
    "Etc/GMT+12",
    "America/Argentina/ComodRivadavia",
    "con",
    "nul",
    NUMBERS,
    TEXTS,
)


def _fields(rng: Random) -> str:
    fields = [
        "*",
        "0",
        "59",
        "60",
        "-1",
        "*/0",
        "*/1",
        "*/99999999999",
        "0-59",
        "59-0",
        "0/1",
        "0-59/0",
        "?",
        "L",
        "L-3",
        "15W",
        "LW",
        "MON#5",
        "5#6",
        "1,",
        ",1",
        ",".join(map(str, range(60))),
        ",".join(["0"] * 3_000),
        "1-",
        "JAN-DEC",
        "*" * 50,
        "0x1",
        "٣",
        "1.5",
        "99999999999999999999",
        "30",
        "31",
        "2",
        "MON-SUN",
        "SUN-MON",
        "H",
    ]
    return " ".join(rng.choice(fields) for _ in range(rng.choice([1, 4, 5, 6, 6, 6, 7, 200])))


CRONS = one_of(
    "*/10 * * * * *",
    "0 0 0 30 2 *",
    "0 0 0 31 4,6,9,11 *",
    "0 0 0 29 2 *",
    "0 0 0 29 2 MON",
    "* * * * * *",
    "59 59 23 31 12 *",
    "@reboot",
    "@every 1ns",
    "@yearly",
    "rate(1 minute)",
    "rate(0 minutes)",
    "cron(0 0 * * ? *)",
    "every 1 second",
    "every second " * 200,
    "first monday of the month" * 30,
    "daily at 25:61",
    "%APP%",
    "00:00:00.0000001",
    "999999999.23:59:59",
    "0 0 0 L * *",
    "0 0 0 ? * 5L",
    "0 0 0 15W * ?",
    _fields,
    _fields,
    _fields,
    DURATIONS,
    TEXTS,
)


def _exclusions(rng: Random) -> list[Any]:
    dates = [
        f"{year:04}-{month:02}-{day:02}" for year in range(2020, 2060) for month in range(1, 13) for day in (1, 15)
    ]
    makers: list[Maker] = [
        lambda r: {"dates": dates[: r.choice([1, 100, 960])]},
        lambda r: {"dates": [INSTANTS(r) for _ in range(3)]},
        lambda r: {"weekly": {"days": r.choice(["MON-SUN", "SAT-SUN", "MON-MON,TUE", "X", "MON," * 2_000])}},
        lambda r: {
            "weekly": {"from": r.choice(["00:00", "24:00", "25:00", "0:0"]), "to": r.choice(["00:00", "24:00"])}
        },
        lambda r: {"holidays": r.choice(["DE", "US", "XX", "..", "D" * 3_000, "de", 5]), "subdivision": TEXTS(r)},
        lambda r: {"weekly": {}},
        lambda r: TEXTS(r),
    ]
    return [rng.choice(makers)(rng) for _ in range(rng.choice([1, 3, 100, 101]))]


def _monthly(rng: Random) -> dict[str, Any]:
    days = ["last", "last-weekday", "fifth-friday", "nearest-weekday-31", 31, 0, 32, "last-31", "last-99", "", "x"]
    return {
        "day": rng.choice([rng.choice(days), [rng.choice(days) for _ in range(rng.choice([2, 40, 2_000]))]]),
        "at": rng.choice(["00:00", "24:00", [f"{h:02}:{m:02}" for h in range(24) for m in range(60)], 5, ""]),
        "months": rng.choice(["FEB", "JAN-DEC", [2] * 1_000, 13, "x," * 1_000]),
        "missing_day": rng.choice(["skip", "last", "x"]),
    }


def _schedule_mapping(rng: Random) -> dict[str, Any]:
    value: dict[str, Any] = {}
    kind = rng.choice(["cron", "every", "monthly", "none", "two"])
    if kind in ("cron", "two"):
        value["cron"] = CRONS(rng)
    if kind in ("every", "two"):
        value["every"] = rng.choice(["100ms", "1ms", "1s", "5m", "7s", "366d", "9999d", DURATIONS(rng)])
    if kind == "monthly":
        value["monthly"] = _monthly(rng)
    keys: dict[str, Maker] = {
        "timezone": ZONES,
        "offset": DURATIONS,
        "jitter": DURATIONS,
        "start": INSTANTS,
        "end": INSTANTS,
        "except": _exclusions,
        "dst": one_of({"gap": "skip", "repeat": "both"}, {"gap": "x"}, {}, TEXTS),
        "x": TEXTS,
    }
    for key in rng.sample(sorted(keys), rng.randint(0, 4)):
        value[key] = keys[key](rng)
    return value


def schedule(rng: Random) -> Any:
    """Anything that may stand under `schedule`."""
    single = one_of(CRONS, _schedule_mapping, _schedule_mapping, NUMBERS)
    many = rng.choice([0, 0, 0, 0, 2, 20, 3_000])
    if not many:
        return single(rng)
    return [single(rng) for _ in range(many)] if many < 100 else [f"{number % 60} * * * * *" for number in range(many)]
