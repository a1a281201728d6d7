"""Hostile scalars and small values for each kind of key of a job. See the package."""

# ruff: noqa: RUF001

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

Maker = Callable[[Random], Any]


class Raw:
    """A piece of text that stands in the file as it is: no value of Python can be dumped as it."""

    def __init__(self, text: str) -> None:
        self.text = text


def one_of(*makers: Any) -> Maker:
    """Choose one: a value, or a function that makes one."""

    def choose(rng: Random) -> Any:
        chosen = rng.choice(makers)
        return chosen(rng) if callable(chosen) else chosen

    return choose


def long_text(rng: Random) -> str:
    unit = rng.choice(["a", "é", "\U0001f642", "a b ", "\\", '"', "%", "{", "${", "\n", "\u202e", "0", "x,", "/", "."])
    return unit * rng.choice([100, 501, 1_001, 5_000, 70_000])


def odd_character(rng: Random) -> str:
    return (
        "a"
        + rng.choice(
            [
                "\0",
                "\x1b[2J",
                "\x1b]0;x\x07",
                "\x9b31m",
                "\x7f",
                "\r",
                "\n",
                "\u2028",
                "\u202e",
                "\u2066",
                "\ufeff",
                "\ud800",
                "\udfff",
                "\U0010ffff",
                "\u200b",
                "\ufffe",
                "\u0130",
                "\u1e9e",
            ]
        )
        + "b"
    )


TEXTS = one_of(
    "",
    " ",
    "\t",
    "x",
    "null",
    "true",
    "~",
    "-",
    "#",
    "*a",
    "&a",
    "!!str",
    "<<",
    "%APP%",
    "%PATH%",
    "%%%",
    "%" * 300,
    "${HOME}",
    "${a}" * 50,
    "$$" * 100,
    "{secret: x}",
    "{{ x }}",
    "مرحبا",
    "שלום",
    long_text,
    odd_character,
)

NUMBERS = one_of(
    0,
    -1,
    1,
    2,
    2**31,
    2**53 + 1,
    2**63,
    2**64,
    10**30,
    10**400,
    -(10**400),
    0.1,
    -0.0,
    1e308,
    -1e308,
    5e-324,
    True,
    None,
    "1",
    "NaN",
    "inf",
    "1e5",
    "0x10",
    "1_000",
    "٣",
    "²",
    Raw("1e999999"),
    Raw("-1e999999"),
    Raw("9" * 5_000),
    Raw("1" * 100_000),
    Raw("0x" + "f" * 5_000),
    Raw(".inf"),
    Raw("0o" + "7" * 9_000),
    Raw("1." + "0" * 9_000),
    Raw("1e-999999"),
    Raw("00"),
    Raw("+1"),
    Raw("NaN"),
    Raw("-Infinity"),
)

DURATIONS = one_of(
    "1s",
    "0s",
    "-1s",
    "1e308s",
    "1e999999s",
    "NaN",
    "inf",
    "infs",
    "nan s",
    "9" * 400 + "s",
    "9" * 5_000 + "d",
    "0." + "0" * 4_000 + "1s",
    "1s" * 500,
    "P9999999999D",
    "PT9999999999999999999999H",
    "1y",
    "1 s",
    "١s",
    "1ms1ms",
    "1h1h1h",
    "999999999999999999999d",
    "0.1ms",
    "00000001s",
    "1.s",
    ".5s",
    "s",
    "",
    NUMBERS,
    TEXTS,
)

INSTANTS = one_of(
    "0001-01-01",
    "9999-12-31",
    "9999-12-31T23:59:59Z",
    "0000-00-00",
    "2026-02-30",
    "2026-13-01T25:61:61Z",
    "2026-01-01T00:00:00+99:99",
    "2026-01-01T00:00:00." + "9" * 5_000 + "Z",
    "-2026-01-01",
    "12026-01-01",
    "2026-W01-1",
    "2026-001",
    "1e3",
    "now",
    "2026-01-01T00:00:00 Europe/Berlin",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "２０２６-01-01",
    NUMBERS,
    TEXTS,
)

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


URLS = one_of(
    "http://checkout.test/health",
    "https://checkout.test",
    "http://[fe80::1%25eth0]/",
    "http://[::1%" + "a" * 5_000 + "]/",
    "http://[::ffff:169.254.169.254]/",
    "http://[",
    "http://]/",
    "http://[::1]:99999999999999999999/",
    "http://a.test:0/",
    "http://a.test:65536/",
    "http://a.test:٨٠/",
    "http://" + "ß" * 60 + ".test/",
    "http://xn--" + "a" * 60 + ".test/",
    "http://" + "xn--a." * 200 + "test/",
    "http://" + "\U0001f642" * 300 + "/",
    "http://" + "a." * 1_000 + "/",
    "http://a。test/",
    "http://\u202etset.a/",
    "http://a.test/\r\nHost: b",
    "http://a.test/\0",
    "http://a\ttest/",
    "http:///",
    "http:a.test",
    "//a.test",
    "a.test",
    "file:///dev/zero",
    "http://user:password@a.test/",
    "http://a.test/?" + "a=b&" * 500,
    "http://a.test/" + "%" * 2_000,
    "http://a.test/" + "../" * 600,
    "http://0x7f.1/",
    "http://2130706433/",
    "http://1e9/",
    "http://" + "9" * 5_000 + "/",
    "HTTP://A.TEST",
    "http://%41.test/",
    "http://a.test#" + "x" * 3_000,
    "javascript:alert(1)",
    "http://${host}/",
    "http://%APP%/",
    "http://{host}/",
    "http://a.test:80:80/",
    "http://[1:2:3:4:5:6:7:8:9]/",
    TEXTS,
)

HOSTS = one_of(
    "a.test",
    "127.0.0.1",
    "::1",
    "fe80::1%eth0",
    "fe80::1%" + "a" * 3_000,
    "[::1]",
    "ß" * 80,
    "xn--" + "0" * 60,
    "a" * 254,
    ".".join(["a"] * 130),
    ".",
    "..",
    "a..b",
    "",
    "a/b",
    "a@b",
    "*",
    "\U0001f642.test",
    "0",
    "0x7f000001",
    "١٢٧.0.0.1",
    TEXTS,
)

PORTS = one_of(80, 0, -1, 65_535, 65_536, 10**30, "80", "http", 80.5, 8e1, True, None, NUMBERS)

PATHS = one_of(
    "/dev/zero",
    "/dev/stdin",
    "/dev/random",
    "/proc/self/mem",
    "/proc/self/environ",
    "/proc/kmsg",
    "/etc/shadow",
    "{folder}/fifo",
    "{folder}/loop",
    "{folder}/folder",
    "{folder}/large",
    "{folder}/missing",
    "~",
    "~root/x",
    "..",
    "../" * 100 + "dev/zero",
    ".",
    "/",
    "",
    "a" * 5_000,
    "a/" * 3_000,
    "\0",
    "//x/y",
    "file:///dev/zero",
    "-",
    "|id",
    TEXTS,
)
"""`{folder}` is the folder of fixtures; see runner."""

SECRETS = one_of(
    {"secret": "x"},
    {"secret": ""},
    {"secret": "../x"},
    {"secret": "a" * 5_000},
    {"secret": {"secret": "x"}},
    {"secret": NUMBERS},
    {},
    {"secret": "x", "y": 1},
    TEXTS,
    NUMBERS,
)


def _header_lines(rng: Random) -> Any:
    names = [
        "x-a",
        "Host",
        "Metadata",
        "content-length",
        "x\r\nhost",
        "x:y",
        "",
        " ",
        "a" * 200,
        "é",
        "\0",
        "cookie",
        "TE",
    ]
    values = one_of("a", "a\r\nb: c", "a\nb", "\0", "é", " a", "a ", "x" * 70_000, SECRETS, TEXTS)
    if rng.random() < 0.1:
        return {f"x-{number}": "a" for number in range(rng.choice([100, 5_000]))}
    return {rng.choice(names): values(rng) for _ in range(3)}


HEADERS = one_of(_header_lines, _header_lines, TEXTS, [])


def deep(rng: Random) -> Any:
    """A value that is nested as deep as Python dumps it, or broad."""
    value: Any = TEXTS(rng)
    for _ in range(rng.choice([5, 60, 95, 300])):
        value = [value] if rng.random() < 0.5 else {"a": value}
    return value


def broad(rng: Random) -> Any:
    size = rng.choice([100, 10_001, 30_000])
    return list(range(size)) if rng.random() < 0.5 else {f"k{number}": 0 for number in range(size)}


ANYTHING = one_of(TEXTS, NUMBERS, DURATIONS, INSTANTS, URLS, PATHS, SECRETS, deep, broad, [], {}, None, False)

BODIES = one_of(
    {"text": "a"},
    lambda r: {"text": TEXTS(r), "content_type": TEXTS(r)},
    lambda r: {"json": deep(r)},
    lambda r: {"json": broad(r)},
    lambda r: {"json": NUMBERS(r)},
    lambda r: {"form": {TEXTS(r): SECRETS(r)}},
    lambda r: {"form": {f"k{number}": "v" for number in range(5_000)}},
    lambda r: {"text": "a", "json": 1},
    ANYTHING,
)
SIZES = one_of("1MiB", "0", "-1B", "999999999999TiB", "1e308KiB", "1.5.5MB", "9" * 4_000 + "GiB", NUMBERS, TEXTS)
