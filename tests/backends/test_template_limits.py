"""A chat template of a stranger's checkpoint cannot fill the memory, nor reach out of its sandbox."""

import signal
import sys

import pytest
from chat_templates import FAMILIES, tokenizer_with

from harness.backends import template_limits
from harness.backends.hf.chat_template import chat_template
from harness.backends.prompting import render
from harness.backends.template_limits import MOST_MEMORY, limited_memory
from harness.datasets.example import Example
from harness.errors import HarnessError
from harness.suite.model_card import ModelCard

CARD = ModelCard(name="small", source="nowhere", prompt="chat")
DOUBLED = (
    "{% set n = namespace(x='a') %}{% for i in range(100) %}{% set n.x = n.x ~ n.x %}{% endfor %}"
)
GREEDY = {
    "a text ten billion times": "{{ 'x' * 10**10 }}",
    "a text that a loop doubles": DOUBLED,
    "a list that a loop doubles": DOUBLED.replace("'a'", "[1]").replace("~", "+"),
    "a number of a billion digits": "{{ '%1000000000d' % 1 }}",
    "twenty million characters": "{{ 'x' * 20000000 }}",
}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits a process's memory")
@pytest.mark.parametrize("text", GREEDY.values(), ids=GREEDY)
def test_a_template_that_takes_too_much_is_refused(text):
    with pytest.raises(
        HarnessError, match=r'model "small": its chat template writes more than|raises: '
    ):
        chat_template(CARD, tokenizer_with(text + FAMILIES["ChatML"].text))


REACHES = [
    "{{ ''.__class__.__mro__[1].__subclasses__() }}", "{{ cycler.__init__.__globals__.os.system('true') }}",
    "{{ messages.append(1) }}", "{% include '/etc/passwd' %}", "{% import 'os' as os %}", "{{ self.__init__ }}",
    "{% for i in range(1000000) %}x{% endfor %}", "{{ lipsum.__globals__ }}",
]  # fmt: skip


@pytest.mark.parametrize("text", REACHES)
def test_a_template_stays_in_its_sandbox(text):
    with pytest.raises(HarnessError, match=r'model "small": its chat template'):
        chat_template(CARD, tokenizer_with(text))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits a process's memory")
def test_the_limit_ends_with_the_rendering():
    import resource

    before = resource.getrlimit(resource.RLIMIT_AS)
    with pytest.raises(MemoryError), limited_memory():
        bytearray(2 * MOST_MEMORY)
    assert resource.getrlimit(resource.RLIMIT_AS) == before
    with limited_memory():
        assert len(bytearray(MOST_MEMORY // 16))


LOOPS = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
"""Ten billion turns, each within what the sandbox allows."""


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(template_limits, "MOST_SECONDS", 0.3)


def test_an_endless_chat_template_is_refused():
    before = signal.getsignal(signal.SIGVTALRM)
    with pytest.raises(HarnessError, match="rendering one text takes more than"):
        chat_template(CARD, tokenizer_with(LOOPS + FAMILIES["ChatML"].text))
    assert signal.getsignal(signal.SIGVTALRM) == before
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LOOPS + "{{ prompt }}", "rendering one text takes more than"),
        ("{{ prompt * 10**10 }}", "raises: |takes 512 MiB"),
        ("{{ prompt * 20000000 }}", "8,000,000 characters"),
        ("{{ prompt + 1 }}", "raises: "),
        ("{{ 1 // 0 }}", "raises: "),
        ("{{ missing }}", "raises: "),
    ],
    ids=["time", "memory", "length", "type", "zero", "name"],
)
def test_a_template_of_a_card_that_goes_wrong_is_one_clear_error(text, said):
    card = ModelCard(name="small", source="nowhere", prompt="template", template=text)
    with pytest.raises(HarnessError, match=said):
        render(card, Example("1", "question", "answer"))
