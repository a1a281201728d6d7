"""For how long a value is registered, and what registering one more costs."""

from __future__ import annotations

import base64
import random
import string
import time
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.redaction import Redactor
from jobs.redaction.forms import secret_forms
from jobs.redaction.value_holders import MAX_RUN_CHARACTERS, CurrentSecrets, RunSecrets

_SETTING = "datadog-api-key-of-the-settings"
_HEAD = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9."
_LETTERS = string.ascii_letters + string.digits + "-_"


def token(size: int = 1200) -> str:
    """As an issuer makes them: all of them begin alike."""
    return _HEAD + "".join(random.choices(_LETTERS, k=size - len(_HEAD)))


def cpu(work: Callable[[], object]) -> float:
    began = time.thread_time()
    work()
    return time.thread_time() - began


def test_a_value_is_replaced_until_its_last_holder_releases_it_and_others_push_it_out() -> None:
    redactor = few()
    redactor.hold("open-sesame")
    redactor.hold("open-sesame")
    redactor.release("open-sesame")
    push_out(redactor)
    assert redactor.redact("<open-sesame>") == "<***>"

    redactor.release("open-sesame")
    assert redactor.redact("<open-sesame>") == "<***>"

    push_out(redactor)
    assert redactor.redact("<open-sesame>") == "<open-sesame>"


FEW = 5


def few() -> Redactor:
    return Redactor(most_released=FEW)


def push_out(redactor: Redactor) -> None:
    for number in range(FEW):
        redactor.hold(f"other-value-{number}")
        redactor.release(f"other-value-{number}")


def test_a_released_value_that_is_held_again_is_not_pushed_out() -> None:
    redactor = few()
    redactor.hold("open-sesame")
    redactor.release("open-sesame")
    redactor.hold("open-sesame")
    push_out(redactor)
    assert redactor.redact("<open-sesame>") == "<***>"
    assert redactor.held_count == 1


def test_secrets_of_the_settings_are_still_replaced_after_five_thousand_tokens() -> None:
    redactor = Redactor()
    redactor.add_permanent(_SETTING)
    for _ in range(5000):
        run = RunSecrets()
        run.add(token(60), redactor)
        run.close()
    assert redactor.redact(f"<{_SETTING}>") == "<***>"
    assert redactor.held_count == 1


def test_released_values_are_bounded_by_the_characters_of_their_forms() -> None:
    redactor = Redactor(most_characters=1_000_000)
    tokens = [token() for _ in range(30)]
    for each in tokens:
        redactor.hold(each)
        redactor.release(each)
    known = [each for each in tokens if redactor.is_registered(each)]
    forms = [secret_forms(each) for each in known]
    assert known == tokens[-len(known) :]
    assert sum(len(form) for each in forms for form in (*each.plain, *each.inside_base64)) <= 1_000_000
    assert len(known) > 5


def test_one_more_token_costs_the_same_however_many_there_were() -> None:
    redactor = Redactor(most_characters=2_000_000)
    redactor.add_permanent(_SETTING)

    def one_more(value: str) -> None:
        run = RunSecrets()
        run.add(value, redactor)
        run.close()

    # The first ones push no others out yet.
    costs = [cpu(partial(one_more, token())) for _ in range(600)]
    # The cheapest of many: what else the machine does makes single ones expensive.
    assert min(costs[500:]) < 3 * min(costs[50:150])


def test_one_more_value_costs_the_same_however_many_are_held() -> None:
    redactor = Redactor()
    costs = [cpu(partial(redactor.hold, token(60))) for _ in range(3000)]
    # A cost that grows with their number would be six times as high.
    assert min(costs[2500:]) < 3 * min(costs[:500])


_VALUES = st.lists(st.text("ab2=", min_size=4, max_size=8), min_size=1, max_size=6, unique=True)


@pytest.mark.property
@given(_VALUES, _VALUES, st.data())
def test_a_redactor_that_has_forgotten_values_is_as_one_that_never_had_them(
    stored: list[str], forgotten: list[str], data: st.DataObject
) -> None:
    fresh, used = few(), few()
    for value in stored:
        fresh.hold(value)
    for value in data.draw(st.permutations([*stored, *forgotten])):
        used.hold(value)
    for value in forgotten:
        used.release(value)
    push_out(used)
    push_out(fresh)
    texts = [
        text
        for value in (*stored, *forgotten)
        for text in (value, f"<{value[::-1]}>", value.encode().hex(), base64.b64encode(f"x{value}".encode()).decode())
    ]
    for text in texts:
        assert used.redact(text) == fresh.redact(text)
        assert used.redact(text[:-1], cut=True) == fresh.redact(text[:-1], cut=True)


def test_a_run_holds_its_values_until_nothing_works_for_it_any_more() -> None:
    redactor, run = Redactor(), RunSecrets()
    run.add("open-sesame", redactor)
    run.add("open-sesame", redactor)
    run.add_user()
    run.close()
    assert redactor.held_count == 1

    run.close()
    assert redactor.held_count == 0


def test_what_is_registered_after_the_end_of_a_run_is_replaced_and_not_held() -> None:
    redactor, run = Redactor(), RunSecrets()
    run.close()
    run.add("open-sesame", redactor)
    assert redactor.held_count == 0
    assert redactor.redact("<open-sesame>") == "<***>"


def test_a_run_of_many_attempts_holds_a_bounded_number_of_characters() -> None:
    redactor, run = Redactor(), RunSecrets()
    tokens = [token(16_000) for _ in range(20)]
    for each in tokens:
        run.add(each, redactor)
    assert redactor.held_count == MAX_RUN_CHARACTERS // 16_000
    assert redactor.redact(f"<{tokens[-1]}>") == "<***>"


def test_a_newer_value_of_a_name_takes_the_place_of_the_former_one() -> None:
    redactor = Redactor()
    current = CurrentSecrets(redactor)
    for number in range(100):
        current.set("token", f"access-token-{number:03}")
    current.set("other", "another-token")
    assert redactor.held_count == 2

    current.remove("token")
    current.remove("token")
    assert redactor.held_count == 1


def test_of_names_without_number_those_that_were_used_last_are_held() -> None:
    redactor = few()
    current = CurrentSecrets(redactor, most=2)
    for value in ("first-value", "second-value", "first-value", "third-value"):
        current.set_unnamed(value)
    push_out(redactor)
    assert redactor.redact("first-value second-value third-value") == "*** second-value ***"
