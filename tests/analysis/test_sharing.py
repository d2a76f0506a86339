"""Records that share equal texts and scores hold what they held."""

from copy import deepcopy

from harness.analysis.sharing import share_scores, share_texts

ONE = [{"id": "e1", "prompt": "what is a bond", "scores": {"a": 0.5, "b": 0.5, "c": -0.0}}]


def test_equal_texts_of_two_cells_are_one_object_and_others_are_kept():
    first = {"e1": {"id": "e1", "prompt": "".join(["what is", " a bond"]), "reference": "a loan"}}
    found = [{"id": "e1", "prompt": "".join(["what is ", "a bond"]), "reference": "a share"}]
    before = deepcopy(found)
    share_texts(found, first)
    assert found == before
    assert found[0]["prompt"] is first["e1"]["prompt"]


def test_equal_scores_are_one_object_and_no_sign_is_lost():
    found = [*deepcopy(ONE), {"id": "e2", "scores": {"a": float("0.5"), "c": 0.0}}, {"id": "e3"}]
    before = deepcopy(found)
    share_scores(found)
    assert repr(found) == repr(before)
    assert found[0]["scores"]["a"] is found[1]["scores"]["a"]
