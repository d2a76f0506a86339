"""A model's name is looked up among the cards, and is never a path to one; a folder of yours holds
a model, or says what it holds."""

import pytest

from harness.errors import HarnessError
from harness.suite.model_card import ModelCard, find_model_card, resolve_source

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


def test_a_path_on_the_axis_is_told_how_to_be_written(folders):
    with pytest.raises(HarnessError) as caught:
        find_model_card("/models/mine", folders)
    assert "{name: mine, card: {source: FOLDER}}" in caught.value.hint


NO_MODEL = {
    # the files of a folder, the card's `gguf_file`: what is said, and what to do
    "empty": ([], None, "there is no config.json", "save_pretrained"),
    "one GGUF file": (["a.gguf"], None, "holds GGUF files", "`gguf_file: a.gguf`"),
    "several": (["a.gguf", "b.gguf"], None, "holds GGUF files", "there: a.gguf, b.gguf"),
    "another GGUF file": (["a-q4.gguf"], "a-q8.gguf", "no file a-q8.gguf", "a-q4.gguf"),
    "an adapter": (["adapter_config.json"], None, "holds an adapter", "adapter axis"),
}


@pytest.mark.parametrize("case", NO_MODEL)
def test_a_folder_without_a_model_is_refused_before_anything_loads(case, tmp_path):
    files, named, what, hint = NO_MODEL[case]
    for file in files:
        (tmp_path / file).write_text("{}")
    card = ModelCard(name="mine", source=str(tmp_path), gguf_file=named)
    with pytest.raises(HarnessError, match=what) as caught:
        resolve_source(card, tmp_path)
    assert hint in caught.value.hint


def test_a_gguf_file_may_be_the_source(tmp_path):
    (tmp_path / "a b.gguf").write_text("GGUF")
    card = resolve_source(ModelCard(name="mine", source="./a b.gguf"), tmp_path)
    assert (card.source, card.gguf_file) == (str(tmp_path.resolve()), "a b.gguf")
    assert card.is_local
