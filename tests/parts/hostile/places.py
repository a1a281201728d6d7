"""Hostile URLs, hosts, ports, paths, secrets and headers. See the package."""

from __future__ import annotations

from random import Random
from typing import Any

from tests.parts.hostile.values import NUMBERS, TEXTS, one_of

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
