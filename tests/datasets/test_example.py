import pytest

from harness.datasets.example import Example, Turn, digest

PLAIN = Example("", "How much?", "5", context="In euros.", gold="5")
CHAT = Example(
    "", "And tax?", "1", system="Be brief.", history=(Turn("user", "Hi"), Turn("assistant", "Yes?"))
)


def test_what_is_asked_holds_the_system_message_every_turn_and_the_context():
    assert PLAIN.asked == "How much?\nIn euros."
    assert CHAT.asked == "Be brief.\nHi\nYes?\nAnd tax?"


def test_a_row_without_a_chat_keeps_the_hash_of_earlier_versions():
    assert PLAIN.content_hash == digest("How much?", "In euros.", "5", "5")


@pytest.mark.parametrize(
    "other",
    [
        Example("", "And tax?", "1", system="Be brief."),
        Example("", "And tax?", "1", history=CHAT.history),
        Example(
            "", "And tax?", "1", history=CHAT.history, system="Be brief.", references=("1", "one")
        ),
    ],
)
def test_everything_that_a_score_depends_on_changes_the_hash(other):
    assert other.content_hash != CHAT.content_hash


def test_one_reference_is_accepted_or_several():
    assert PLAIN.accepted == ("5",)
    assert Example("", "q", "5", references=("5", "five")).accepted == ("5", "five")
