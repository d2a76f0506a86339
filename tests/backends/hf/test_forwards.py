"""What is replaced in a model, or in the library's module of its family, comes back."""

from types import SimpleNamespace

import pytest

from harness.backends.hf.decoding.fusing import Fusing
from harness.backends.hf.forwards import rotations_replaced


def own(q, k, cos, sin):
    return q, k


def families():
    return [SimpleNamespace(apply_rotary_pos_emb=own), SimpleNamespace(apply_rotary_pos_emb=own)]


USERS = {
    "training": lambda sources: rotations_replaced(sources, lambda before: lambda *a: before(*a)),
    "decoding": lambda sources: Fusing(sources=sources).on(),
}


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("fails", [False, True], ids=["", "an error inside"])
def test_the_rotary_embedding_of_each_family_is_put_back(user, fails):
    sources = families()
    try:
        with USERS[user](sources):
            assert all(source.apply_rotary_pos_emb is not own for source in sources)
            if fails:
                raise ValueError
    except ValueError:
        assert fails
    assert all(source.apply_rotary_pos_emb is own for source in sources)


def test_a_family_without_one_leaves_those_before_it_as_they_were():
    sources = [*families(), SimpleNamespace()]
    with pytest.raises(AttributeError), rotations_replaced(sources, lambda before: before):
        pass
    assert all(source.apply_rotary_pos_emb is own for source in sources[:2])
