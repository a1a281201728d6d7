"""Hostile texts: what YAML and JSON can do before there is a value. See the package."""

# ruff: noqa: PERF401

from __future__ import annotations

import json
from random import Random

_JOB = "{check: {url: 'http://a.test'}}"


def laughs(rng: Random) -> str:
    """Aliases of aliases."""
    wide, depth = rng.choice([(10, 9), (2, 40), (100, 4), (1_000, 2)])
    lines = ["a0: &a0 [x]"]
    for number in range(1, depth):
        lines.append(f"a{number}: &a{number} [{', '.join([f'*a{number - 1}'] * wide)}]")
    return "\n".join([*lines, f"jobs: {{j: {{check: {{url: 'http://a.test'}}, tags: *a{depth - 1}}}}}"])


def merges(rng: Random) -> str:
    """Merge keys of merge keys."""
    depth = rng.choice([10, 90, 2_000])
    lines = ["x0: &x0 {check: {url: 'http://a.test'}}"]
    lines += [f"x{n}: &x{n} {{<<: [*x{n - 1}, *x{n - 1}], k{n}: {n}}}" for n in range(1, depth)]
    return "\n".join([*lines, f"jobs: {{j: {{<<: *x{depth - 1}}}}}"])


def nested(rng: Random) -> str:
    depth = rng.choice([99, 101, 1_000, 100_000])
    begin, end = rng.choice(
        [("[", "]"), ("{a: ", "}"), ('{"a":', "}"), ("- ", ""), ("? ", ""), ("!!map {a: ", "}"), ("&a [", "]")]
    )
    return f"jobs: {begin * depth}1{end * depth}"


def indented(rng: Random) -> str:
    depth = rng.choice([90, 150, 800])
    return "\n".join(" " * level + "a:" for level in range(depth))


def duplicates(rng: Random) -> str:
    number = rng.choice([2, 3_000])
    form = rng.choice(
        [
            "  a: {}\n",
            f"  a: {_JOB}\n",
            "  a:\n    check: {url: 'http://a.test', url: 'http://b.test'}\n",
            "  ? a\n  : 1\n",
        ]
    )
    return "jobs:\n" + form * number


def tags(rng: Random) -> str:
    tag = rng.choice(
        [
            "!!python/object/apply:os.system",
            "!!binary",
            "!!set",
            "!!timestamp",
            "!x",
            "!!int",
            "!!float",
            "!<a>",
            "!" + "a" * 5_000,
            "!!js/function",
            "!!merge",
            "!!omap",
        ]
    )
    value = rng.choice(["x", "[id]", "{a: b}", "1", "", '"%s"' % ("A" * 40_000)])
    return f"jobs: {{a: {{check: {{url: {tag} {value}}}, description: {tag} {value}}}}}"


def long_tokens(rng: Random) -> str:
    size = rng.choice([1_025, 70_000, 300_000])
    return rng.choice(
        [
            f"jobs: {{{'a' * size}: {_JOB}}}",
            f"? {'a' * size}\n: 1",
            f"jobs: {{a: {{check: {{url: http://a.test}}, description: {'a' * size}}}}}",
            f"# {'a' * size}\njobs: {{a: {_JOB}}}",
            "jobs:" + " " * size + "{}",
            "\n" * size + "jobs: {}",
            f"jobs: &{'a' * size} {{}}",
            f"jobs: *{'a' * size}",
            f"jobs: |{'9' * size}\n  a",
            "%" + "YAML 1.2" * size,
            "--- {}\n" * min(size, 20_000),
            "jobs: '" + "''" * size,
            "jobs: " + "9" * size,
            "jobs: 0x" + "f" * size,
            f"jobs: {{a: {{check: {{url: 'http://a.test'}}, retry: {{attempts: 0x{'f' * size}}}}}}}",
            f"jobs: {{a: {{check: {{url: 'http://a.test'}}, tags: {{a: 0x{'f' * size}}}}}}}",
            f"jobs: {{a: {{check: {{url: 'http://a.test'}}, expect: [{{status: 0x{'f' * size}}}]}}}}",
            f"jobs: {{a: {{check: {{url: 'http://a.test', body: {{json: 0x{'f' * size}}}}}}}}}",
            f"jobs: {{a: {{check: {{url: 'http://a.test'}}, expect: [{{json: $, equals: 0x{'f' * size}}}]}}}}",
            f"jobs: {{a: {{check: {{url: 'http://a.test'}}, schedule: {{every: 0x{'f' * size}}}}}}}",
            f"jobs: {{a: {{check: {{url: 'http://a.test'}}, schedule: [0x{'f' * size}, {{jitter: 0x{'f' * size}}}]}}}}",
            f"JobName: a\nEndpoint: http://a.test\nTimeoutSeconds: 0x{'f' * size}\nMaxRetries: 0x{'f' * size}",
        ]
    )


def chain(rng: Random) -> str:
    """Jobs that depend on each other: a long chain, a cycle, a star, or all on all."""
    number = rng.choice([2, 60, 1_500])
    kind = rng.choice(["chain", "cycle", "star", "mesh", "self"])
    jobs = {}
    for n in range(number):
        on = {
            "chain": [f"j{n - 1}"] if n else [],
            "cycle": [f"j{(n - 1) % number}"],
            "star": ["j0"] if n else [],
            "mesh": [f"j{m}" for m in range(max(0, n - 50), n)],
            "self": [f"j{n}"],
        }[kind]
        jobs[f"j{n}"] = {"check": {"url": "http://a.test"}, "depends_on": on}
    return json.dumps({"jobs": jobs})


def many_jobs(rng: Random) -> str:
    number = rng.choice([100, 1_000])
    bad = rng.choice(
        [
            {"check": {"url": "http://a.test"}},
            {"check": {}},
            {"check": {"url": 5}, "x": 1},
            {},
            None,
            {"chekc": {"ulr": "x"}},
            {"check": {"url": "http://a.test"}, "expect": [{"body_matches": "("}]},
            {"Endpoint": "http://a.test"},
        ]
    )
    return json.dumps({"jobs": {f"j{n}": bad for n in range(number)}})


def defaults(rng: Random) -> str:
    """Much under `defaults`, which stands under every job."""
    number = rng.choice([10, 300])
    under = rng.choice(
        [
            {"tags": {f"t{n}": "x" for n in range(2_000)}},
            {"check": {"headers": {f"x-{n}": "a" for n in range(1_000)}}},
            {"expect": [{"status": 200}] * 50},
            {"schedule": "x"},
            {"name": "a"},
            {"defaults": {}},
            [],
            {"check": {}},
        ]
    )
    jobs = {f"j{n}": {"check": {"url": "http://a.test"}, "tags": {f"u{n}": "x"}} for n in range(number)}
    return json.dumps({"defaults": under, "jobs": jobs})


def broken(rng: Random) -> str:
    pieces = [
        "\0",
        "\t",
        "{",
        "}",
        "[",
        "]",
        ":",
        ": ",
        "- ",
        "*a",
        "&a ",
        "|",
        ">",
        "#",
        "'",
        '"',
        "\n",
        "---\n",
        "...\n",
        "? ",
        "<<: ",
        ",",
        "%",
        "@",
        "\\",
        "null",
        "jobs:",
        "check",
        "url",
        " ",
        "  ",
        "\u2028",
        "\x85",
        "\ufeff",
        "!!x ",
        "a",
    ]
    return "".join(rng.choices(pieces, k=rng.choice([3, 30, 3_000])))


def wide(rng: Random) -> str:
    """Unknown keys, by the thousand, wherever there are keys."""
    keys = {
        f"{rng.choice(['k', 'url', 'Endpoint', 'chekc'])}{n}": rng.choice([0, "x", {}])
        for n in range(rng.choice([100, 20_000]))
    }
    http = {"url": "http://a.test"}
    value = rng.choice(
        [
            keys,
            {"jobs": keys},
            {"jobs": {"a": {"check": http}}, **keys},
            {"jobs": {"a": {"check": http, **keys}}},
            {"jobs": {"a": {"check": {**http, **keys}}}},
            {"jobs": {"a": {"check": keys}}},
            {"jobs": {"a": {"check": {"kind": "steps", "steps": [keys]}}}},
            {"jobs": {"a": {"check": http, "expect": [keys]}}},
            {"jobs": {"a": {"check": http, "expect": [{"status": 200, **keys}]}}},
            {"jobs": {"a": {"check": http, "schedule": keys}}},
            {"jobs": {"a": {"check": http, "schedule": {"every": "1m", **keys}}}},
            {"jobs": {"a": {"check": http, "retry": keys, "timeout": keys, "circuit": keys, "telemetry": keys}}},
            {"jobs": {"a": {"check": {**http, "auth": {"kind": "basic", **keys}, "tls": keys, "body": keys}}}},
            {"defaults": keys, "jobs": {"a": {"check": http}}},
            {"groups": keys, "jobs": {"a": {"check": http, "concurrency_group": "k1"}}},
            {"JobName": "a", "Endpoint": "http://a.test", **keys},
            {"Jobs": [{"JobName": "a", "Endpoint": "http://a.test", **keys}]},
            {"jobs": list(keys)},
            {"jobs": {"a": {"check": http, "depends_on": list(keys)}}},
            {"jobs": {"a": {"check": {**http, "headers": {key: [] for key in keys}}}}},
            {"jobs": {"a": {"check": http, "tags": {key: [] for key in keys}}}},
            {"jobs": {"a": {"check": http, "expect": list(keys)}}},
            {"jobs": {"a": {"check": http, "schedule": list(keys)}}},
            {"jobs": {"a": {"check": http, "schedule": {"every": "1m", "except": list(keys)}}}},
            {"jobs": {"a": {"check": http, "schedule": {"every": "1m", "except": [{"dates": list(keys)}]}}}},
        ]
    )
    return json.dumps(value)


YAML = (laughs, merges, nested, indented, duplicates, tags, long_tokens, chain, many_jobs, defaults, wide, broken)


def json_duplicates(rng: Random) -> str:
    number = rng.choice([2, 20_000])
    return '{"jobs": {' + ", ".join(['"a": {"check": {"url": "http://a.test"}}'] * number) + "}}"


def json_nested(rng: Random) -> str:
    depth = rng.choice([99, 101, 5_000, 100_000])
    begin, end = rng.choice([("[", "]"), ('{"a":', "}")])
    return '{"jobs": ' + begin * depth + rng.choice(["1", "", "x"]) + end * rng.choice([depth, 0, depth + 1]) + "}"


def json_tokens(rng: Random) -> str:
    size = rng.choice([4_301, 70_000, 300_000])
    return rng.choice(
        [
            '{"jobs": ' + "9" * size + "}",
            '{"jobs": {"a": {"check": {"url": "http://a.test"}, "retry": {"attempts": ' + "9" * size + "}}}}",
            '{"jobs": 1e' + "9" * size + "}",
            '{"jobs": {"' + "a" * size + '": 1}}',
            '{"jobs": "' + "\\u0000" * (size // 6) + '"}',
            '{"jobs": {"\\ud800": {"check": {"url": "http://a.test"}}}}',
            '{"jobs": {"a": {"check": {"url": "http://a.test/\\ud800"}, "tags": {"\\udfff": "\\ud800"}}}}',
            '{"\\ud800": 1, "jobs": {}}',
            " " * size + "{}",
            "[" + ",".join(["{}"] * min(size, 20_000)) + "]",
            '{"jobs": [' + ",".join(['{"JobName": "a"}'] * 2_000) + "]}",
            '{"jobs": ' + "-" * size + "}",
            '{"jobs": NaN, "x": Infinity}',
            '"' + "a" * size,
            "{" + '"a":{' * 3 + "/*" + "*" * size,
        ]
    )


JSON = (json_duplicates, json_nested, json_tokens, chain, many_jobs, defaults, wide, broken)
