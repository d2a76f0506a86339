"""A model's name is looked up among the cards, and is never a path to one."""

import pytest

from harness.errors import HarnessError
from harness.suite.model_card import find_model_card

CARD = "name: mine\nsource: owner/model\n"
OUTSIDE = [
    "../mine",
    "../../inner/mine",
    "{here}/mine",
    "./mine",
    "models/../mine",
    "a/../mine",
    "~/mine",
    "",
    "mine\x00",
]


@pytest.fixture
def folders(tmp_path):
    """`models/` without a card, beside a card that lies outside of it."""
    inner = tmp_path / "inner" / "models"
    (inner / "models").mkdir(parents=True)
    (tmp_path / "inner" / "mine.yaml").write_text(CARD)
    return [inner]


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_card_outside_the_folders_is_not_found(folders, name):
    with pytest.raises(HarnessError, match="unknown model"):
        find_model_card(name.format(here=folders[0].parent), folders)


def test_a_card_inside_is(folders):
    (folders[0] / "mine.yaml").write_text(CARD)
    assert find_model_card("mine", folders).source == "owner/model"
    assert find_model_card("owner/model", folders).source == "owner/model"
