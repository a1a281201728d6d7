"""Entries about the body as text."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from jobs.expectations.answer import SHOWN, Answer
from jobs.expectations.comparisons import Comparison
from jobs.expectations.entry import READ_AS_TEXT, SEARCHED, Entry
from jobs.expectations.patterns import SomePattern, TooMuchWork, search
from jobs.runs import Failure

WITH_BODY = ("http", "tcp")
"""The body of a TCP check is the text that it received."""

Text = Annotated[str, Field(min_length=1, max_length=10_000)]


class BodyContains(Entry):
    """The body contains this text, case-sensitive."""

    kinds: ClassVar = WITH_BODY

    body_contains: Text

    @property
    def largest_at_once(self) -> int:
        return READ_AS_TEXT

    def unmet(self, answer: Answer) -> Failure | None:
        if self.body_contains in answer.text:
            return None
        return Failure("body_contains", answer.shown(self.body_contains), answer.not_found_in_body())


class BodyContainsNot(Entry):
    """The part of the body that was read does not contain this text."""

    kinds: ClassVar = WITH_BODY

    body_not_contains: Text

    @property
    def largest_at_once(self) -> int:
        return READ_AS_TEXT

    def unmet(self, answer: Answer) -> Failure | None:
        at = answer.text.find(self.body_not_contains)
        if at < 0:
            return None
        # The text around it is not shown: a cut secret would not be recognised.
        observed = answer.shown(answer.text) if at < SHOWN else f"this text at character {at}"
        return Failure("body_not_contains", f"not {answer.shown(self.body_not_contains)}", observed)


class BodyMatches(Entry):
    """The regular expression matches somewhere in the body (`^` and `$` anchor it)."""

    kinds: ClassVar = WITH_BODY

    body_matches: SomePattern

    @property
    def largest_at_once(self) -> int:
        return SEARCHED

    def unmet(self, answer: Answer) -> Failure | None:
        expected = f"a match of {answer.shown(self.body_matches)}"
        try:
            found = search(self.body_matches, answer.text)
        except TooMuchWork as error:
            return Failure("body_matches", expected, str(error))
        return None if found else Failure("body_matches", expected, answer.not_found_in_body())


class BodyMatchesNot(Entry):
    """The regular expression does not match anywhere in the part of the body that was read."""

    kinds: ClassVar = WITH_BODY

    body_not_matches: SomePattern

    @property
    def largest_at_once(self) -> int:
        return SEARCHED

    def unmet(self, answer: Answer) -> Failure | None:
        expected = f"no match of {answer.shown(self.body_not_matches)}"
        try:
            if not search(self.body_not_matches, answer.text):
                return None
        except TooMuchWork as error:
            return Failure("body_not_matches", expected, str(error))
        return Failure("body_not_matches", expected, answer.shown(answer.text))


class _OfText(Comparison):
    of_texts: ClassVar = True


class BodyIs(Entry):
    """The comparison holds for the body as one text, stripped of white space: `{body: {equals: pong}}`."""

    kinds: ClassVar = WITH_BODY

    body: _OfText

    @property
    def largest_at_once(self) -> int:
        return SEARCHED

    def unmet(self, answer: Answer) -> Failure | None:
        compared, text = self.body, answer.text.strip()
        expected = f"{compared.expected(answer)} as the body" if compared.about_existence else compared.expected(answer)
        try:
            if compared.holds_for([text] if text or not compared.about_existence else []):
                return None
        except TooMuchWork as error:
            return Failure("body", expected, str(error))
        return Failure("body", expected, answer.shown(text) if text else "an empty body")
