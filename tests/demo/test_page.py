"""The page as it is served: asked through Gradio's client and in a browser."""

import itertools
import json
import urllib.error
import urllib.request
from urllib.parse import urlsplit

import psutil
import pytest

from harness.demo.questions import questions_of


@pytest.fixture(scope="module")
def client(server):
    from gradio_client import Client

    return Client(server[0], verbose=False, analytics_enabled=False)


BASE, TUNED = "tiny-qwen2 · base", "tiny-qwen2 · lora-r4"


@pytest.fixture(scope="module")
def cells(run):
    """The untouched model and the tuned one."""
    return [cell for cell in run.cells if cell.model == "tiny-qwen2"]


@pytest.fixture(scope="module")
def sides(cells):
    """Their keys."""
    return [cell.key for cell in cells]


def shown(update):
    return update["value"] if isinstance(update, dict) else update


def labels(outputs):
    return [output["label"] for output in outputs[:2]]


def ask(client, question, sides, *, test=None, blind=False):
    return client.predict(question, test, *sides, blind, api_name="/ask")


def votes(folder):
    return [json.loads(line) for line in (folder / "run" / "votes.jsonl").open()]


def test_every_test_question_is_answered_as_it_was_evaluated(client, run, cells, sides):
    """Prompt, context, adapter, stop tokens and length: the stored prediction, to the letter."""
    stored = [{r["id"]: r for r in run.predictions(cell)} for cell in cells]
    questions = questions_of(run, cells).examples
    assert len(questions) == len(stored[0]) == 8
    assert {bool(example.context) for example in questions} == {True, False}
    for example in questions:
        outputs = ask(client, example.prompt, sides, test=example.id)
        wanted = [side[example.id]["prediction"] for side in stored]
        assert [shown(output) for output in outputs[:2]] == wanted
        counts = [side[example.id]["new_tokens"] for side in stored]
        assert [int(text.split()[0]) for text in outputs[2:4]] == counts
        assert shown(outputs[5]) == example.reference
    assert any(a["prediction"] != stored[1][i]["prediction"] for i, a in stored[0].items())


def test_an_answer_grows(client, sides):
    job = client.submit("Tell me all about money.", None, *sides, False, api_name="/ask")
    job.result()
    texts = [shown(outputs[0]) for outputs in job.outputs()]
    assert texts[0] == ""
    assert all(later.startswith(text) for text, later in itertools.pairwise(texts))


def test_a_blind_round_hides_the_names_until_the_vote(client, folder, run, sides):
    outputs = ask(client, "What is a bond?", sides, blind=True)
    assert labels(outputs) == ["Answer A", "Answer B"]
    assert outputs[2:4] == ("", "")
    answers = [shown(output) for output in outputs[:2]]
    outputs = client.predict(api_name="/vote_1")
    assert sorted(labels(outputs)) in (
        [f"Answer A: {BASE}", f"Answer B: {TUNED}"], [f"Answer A: {TUNED}", f"Answer B: {BASE}"],
    )  # fmt: skip
    assert all("tokens/s" in text for text in outputs[2:4])
    vote = votes(folder)[-1]
    better = "first" if labels(outputs)[0] == f"Answer A: {BASE}" else "second"
    assert (vote["choice"], vote["left"], vote["blind"]) == (better, better, True)
    assert (vote["first"], vote["second"]) == tuple(sides)
    assert vote[f"{better}_answer"] == answers[0]
    assert (vote["question"], vote["example"]) == ("What is a bond?", None)


@pytest.mark.parametrize(
    ("number", "choice"), [(1, "first"), (2, "second"), (3, "tie"), (4, "both bad")]
)
def test_a_vote_in_the_open_is_on_the_sides_as_they_were_chosen(
    client, folder, run, cells, sides, number, choice
):
    example = questions_of(run, cells).examples[0]
    outputs = ask(client, example.prompt, sides[::-1], test=example.id)
    assert labels(outputs) == [f"Answer A: {TUNED}", f"Answer B: {BASE}"]
    client.predict(api_name=f"/vote_{number}")
    vote = votes(folder)[-1]
    assert (vote["choice"], vote["blind"], vote["example"]) == (choice, False, example.id)
    assert (vote["first"], vote["second"]) == tuple(sides[::-1])


def test_a_question_is_voted_on_once(client, folder, sides):
    ask(client, "What is a share?", sides)
    client.predict(api_name="/vote_3")
    before = votes(folder)
    with pytest.raises(Exception, match="nothing to vote on"):
        client.predict(api_name="/vote_3")
    assert votes(folder) == before


def test_an_edited_test_question_is_a_question_of_ones_own(client, folder, run, cells, sides):
    example = next(e for e in questions_of(run, cells).examples if e.context)
    outputs = ask(client, f"{example.prompt} Why?", sides, test=example.id)
    assert not shown(outputs[5])
    client.predict(api_name="/vote_3")
    assert votes(folder)[-1]["example"] is None


@pytest.mark.parametrize(
    ("question", "places", "said"),
    [("  ", (0, 1), "Write a question"), ("Why?", (0, 0), "two different variants")],
)
def test_what_cannot_be_asked_is_said(client, sides, question, places, said):
    with pytest.raises(Exception, match=said):
        ask(client, question, [sides[place] for place in places])


def test_this_machine_alone_is_served(server):
    listening = [
        connection.laddr.ip
        for connection in psutil.Process(server[1]).net_connections()
        if connection.status == psutil.CONN_LISTEN
    ]
    assert set(listening) == {"127.0.0.1"}


def violations(page):
    """What axe finds: contrasts, names, roles."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    found = axe.run(page).response["violations"]
    return [(each["id"], each["nodes"][0]["html"]) for each in found]


def test_ask_and_vote_with_the_keyboard_on_a_phone(page, folder):
    """Also: nothing is loaded from elsewhere, and a question's markup stays text."""
    page.locator("#tests input").click()
    page.get_by_role("option").filter(has_text="<img").first.click()
    question = page.locator("#question textarea")
    page.wait_for_function("document.querySelector('#question textarea').value.startsWith('<img')")
    question.press("Enter")
    page.wait_for_function("document.activeElement.id === 'vote-1'", timeout=60_000)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.get_by_text("Answer A", exact=True).is_visible()
    assert violations(page) == []
    before = len(votes(folder))
    page.keyboard.press("3")
    page.get_by_text("Saved: tie.").wait_for()
    assert len(votes(folder)) == before + 1
    page.wait_for_function("document.activeElement.tagName === 'TEXTAREA'")
    question.press("1")  # a digit in a question is no vote
    assert question.input_value().endswith("1")
    page.wait_for_function("!document.querySelector('#tests input').value")
    assert len(votes(folder)) == before + 1


FOREIGN = [
    ("config", {"Host": "evil.example"}, None),
    ("", {"Host": "evil.example"}, None),
    ("gradio_api/call/ask", {"Origin": "http://evil.example"}, b'{"data": []}'),
    ("gradio_api/upload", {"Origin": "http://evil.example"}, b"x"),
]


@pytest.mark.parametrize(("path", "headers", "data"), FOREIGN)
def test_the_server_refuses_pages_of_other_sites(server, path, headers, data):
    address, _ = server
    asked = urllib.request.Request(
        f"{address.rstrip('/')}/{path}",
        data,
        {"Content-Type": "application/json", "Host": urlsplit(address).netloc, **headers},
    )
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(asked, timeout=60)


@pytest.mark.parametrize("path", ["gradio_api/file=/etc/passwd", "gradio_api/file=run/plan.json"])
def test_the_server_gives_no_files(server, path):
    address, _ = server
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(f"{address.rstrip('/')}/{path}", timeout=60)
