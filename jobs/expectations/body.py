"""Entries about the body as a text."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from jobs.expectations.answer import SHOWN, Answer
from jobs.expectations.comparisons import Comparison
from jobs.expectations.entry import READ_AS_TEXT, SEARCHED, Entry
from jobs.expectations.patterns import SomePattern, TooMuchWork, search
from jobs.runs import Failure

WITH_BODY = ("http", "tcp")
"""What a TCP check receives is its body."""

Text = Annotated[str, Field(min_length=1, max_length=10_000)]


class BodyContains(Entry):
    """The body holds this text, upper and lower case as written."""

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
    """The body does not hold this text, as far as it was read."""

    kinds: ClassVar = WITH_BODY

    body_not_contains: Text

    @property
    def largest_at_once(self) -> int:
        return READ_AS_TEXT

    def unmet(self, answer: Answer) -> Failure | None:
        at = answer.text.find(self.body_not_contains)
        if at < 0:
            return None
        # What stands around it is not repeated: a secret that is cut is not recognised any more.
        observed = answer.shown(answer.text) if at < SHOWN else f"it, after {at} characters"
        return Failure("body_not_contains", f"not {answer.shown(self.body_not_contains)}", observed)


class BodyMatches(Entry):
    """This regular expression is found somewhere in the body (`^` and `$` tie it to both ends)."""

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
    """This regular expression is found nowhere in the body, as far as it was read."""

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
    """The body as one text, white space at its ends left out, compared: `{body: {equals: pong}}`."""

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
