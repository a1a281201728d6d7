"""Hostile regular expressions, CEL expressions and JSONPaths. See the package."""

from __future__ import annotations

from random import Random

from tests.parts.hostile.values import TEXTS, one_of

_LEAVES = [
    "a",
    ".",
    r"\d",
    "[a-z]",
    "[^)({]",
    r"\X",
    r"\R",
    r"\p{L}",
    "ß",
    "ﬃ",
    r"\b",
    "^",
    "(?R)?",
    "(?1)",
    "()",
    r"\1",
    "[[a-z]--[aeiou]]",
    r"\N{DIGIT ONE}",
    "(?#{9}",
    "#\n",
    "{",
    "(?:a){e<=1}",
    "\0",
    "\ud800",
]
_COUNTS = [
    "+",
    "*",
    "?",
    "++",
    "+?",
    "{,7}",
    "{0}",
    "{2}",
    "{300}",
    "{3000}",
    "{3000,}",
    "{1,3000}",
    "{4294967295}",
    "{e<=2}",
    "{99999999999999999999}",
]
_AROUND = ["(?:%s)", "(%s)", "(?P<x>%s)", "(?>%s)", "(?=%s)", "(?<=%s)", "(?|%s)", "(?i:%s)", "(?x:%s)", "(?(1)%s|b)"]
_FLAGS = ["", "", "(?i)", "(?V1)", "(?V1)(?i)", "(?x)", "(?r)", "(?fi)", "(?w)", "(?b)", "(?L)", "(?V0)(?V1)"]


def _made(rng: Random) -> str:
    text = "".join(rng.choice(_LEAVES) for _ in range(rng.randint(1, 4)))
    for _ in range(rng.choice([1, 2, 3, 20])):
        text = rng.choice(_AROUND).replace("%s", text) + rng.choice(_COUNTS)
        if rng.random() < 0.3:
            text += rng.choice(_LEAVES)
        if len(text) > 900:
            break
    return rng.choice(_FLAGS) + text


REGEXES = one_of(
    "(?:a{3000}){3000}",
    "(?:a{100000}){100000}",
    "a{1000000}",
    "(?:" * 20 + "a+" + "b)+" * 20,
    "(a+)+$",
    "(" * 900,
    "[" * 900,
    "(?:" * 300 + ")" * 300,
    "(?i)" + "ß" * 900,
    "|".join(["a"] * 450),
    "\\",
    "(?P<",
    "[[:",
    "(?(",
    r"\N{",
    r"\p{",
    r"\L<a>",
    "(?fi)[" + "ﬃß" * 400 + "]",
    _made,
    _made,
    _made,
    _made,
    TEXTS,
)


def _cel(rng: Random) -> str:
    atom = rng.choice(
        ["1", "'a'", "json", "body", "status", "headers", "[1]", "{}", "1.0", "null", "b'a'", "1u", "x", "'\\ud800'"]
    )
    size = rng.choice([3, 20, 30, 60, 300])
    forms = [
        "+".join([atom] * size),
        "&&".join(["true"] * size),
        "(" * size + atom + ")" * size,
        "!" * size + "true",
        "[" * size + atom + "]" * size,
        atom + "[0]" * size + " == 1",
        atom + ".a" * size + " == 1",
        "[1]" + ".map(x,x)" * min(size, 80) + " == [1]",
        "[1].exists(x," * min(size, 40) + "x==1" + ")" * min(size, 40),
        "[" + ",".join([atom] * size) + f"] == [{atom}]",
        f"size({{{','.join(f'{k}:{atom}' for k in range(size))}}}) > 0",
        "true?false:" * size + "true",
        f"body.matches('{'(a{1000}){1000}' * min(size, 40)}')",
        f"'{'a' * size}'.contains(body)",
        f"timestamp('{'9' * size}') == timestamp('0001-01-01T00:00:00Z')",
        f"duration('{'9' * size}s') > duration('1s')",
        "9" * size + " == 1",
        "1e" + "9" * size + " > 1.0",
        f"dyn({atom}) == type({atom})",
        f"{atom} {rng.choice(['==', '<', 'in', '%', '/', '-'])} {atom}",
    ]
    return rng.choice(forms)


CEL = one_of(
    "status == 200",
    "1 / 0 == 1",
    "-9223372036854775808 == -9223372036854775809",
    "_in_time()",
    "true;",
    "",
    "'",
    '"""',
    "r'\\",
    "//",
    "json.items.all(i, i.all(j, j.all(k, k)))",
    _cel,
    _cel,
    _cel,
    _cel,
    TEXTS,
)


def _path(rng: Random) -> str:
    size = rng.choice([3, 30, 100, 330])
    forms = [
        "$" + "[0]" * size,
        "$" + ".a" * size,
        "$" + "..*" * size,
        "$" + "[*]" * size,
        "$[" + ",".join(["0"] * size) + "]",
        "$[" + ",".join(["..*"] * size) + "]",
        "$" + "[?@" * size + "]" * size,
        "$[?" + "(" * size + "@" + ")" * size + "]",
        "$[?" + "&&".join(["@.a==1"] * size) + "]",
        "$[?" + "||".join(["!@.a"] * size) + "]",
        "$[?" + "!" * size + "@]",
        "$[" + "9" * size + "]",
        f"$[{'9' * size}:{'9' * size}:{'9' * size}]",
        "$[-9007199254740992]",
        "$[?@.a == " + "9" * size + "]",
        "$[?@.a == 1e" + "9" * size + "]",
        f"$['{'a' * size}']",
        "$['\\ud800']",
        f"$[?match(@, '{'(a{99}){99}' * min(size, 60)}')]",
        "$[?match(@, '" + "(" * min(size, 300) + "a" + ")" * min(size, 300) + "')]",
        "$[?search(@, $.p)]",
        "$[?length(" * min(size, 90) + "@" + ")==1" * min(size, 90) + "]",
        "$[?count($..*) > count($..*)]",
        "$[?value($..a) == value($..b)]",
        "$" + "[?$" + "[?$.a]" * size + "]",
    ]
    return rng.choice(forms)


JSONPATHS = one_of("$", "$.status", "status", "", "$.", "$[", "$..", "@", "$[?]", _path, _path, _path, _path, TEXTS)
