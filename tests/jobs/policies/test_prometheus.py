"""Tags of jobs as labels."""

from __future__ import annotations

import pytest

from jobs.policies.execution import find_label_collision, label_of_tag


@pytest.mark.parametrize(
    ("tag", "label"), [("team", "tag_team"), ("cost-center", "tag_cost_center"), ("größe", "tag_gr__e"), ("1", "tag_1")]
)
def test_a_tag_is_a_label_with_underscores(tag: str, label: str) -> None:
    assert label_of_tag(tag) == label


def test_tags_with_the_same_label_are_found() -> None:
    assert find_label_collision(["team", "cost-center", "cost.center"]) == ("cost-center", "cost.center")
    assert find_label_collision(["team", "cost-center", "team"]) is None
