"""A client is patient with what passes, clear about what does not, and keeps its key to itself."""

import pytest
from model_server import Fault, model_server

from harness.endpoint.client import Client
from harness.errors import HarnessError
from harness.suite.endpoint import Endpoint

QUESTION = {"messages": [{"role": "user", "content": "Hello?"}]}
KEY = "sk-very/secret-plum"


@pytest.fixture
def server():
    with model_server() as served:
        yield served


@pytest.fixture
def ask(server):
    """Asks with an endpoint of these settings; the waits between tries are written down."""

    def ask(*, waits=None, path="chat/completions", base_url=None, **settings):
        settings = {"timeout_s": 5.0, "max_retries": 2, **settings}
        endpoint = Endpoint(base_url=base_url or server.base_url, model="m", **settings)
        client = Client(endpoint, sleep=([] if waits is None else waits).append)
        return client, client.ask(path, QUESTION)

    return ask


def test_an_answer_comes_with_what_the_server_says_of_itself(ask, server):
    _, asked = ask()
    reply = asked.reply
    assert (reply.text, reply.finish_reason) == ("I was asked: Hello?", "stop")
    assert reply.server == ("weights-a", "fp_1")
    assert (reply.prompt_tokens, reply.new_tokens) == (7, 4)
    assert server.asked == [{"model": "m", **QUESTION}]
    assert server.paths == ["/v1/chat/completions"]


PASSING = {
    "too many requests": Fault(429, b'{"error": {"message": "slow down"}}'),
    "a fault of the server": Fault(500, b"Internal Server Error"),
    "a page of a proxy": Fault(502, b"<html>Bad gateway</html>"),
    "a lost connection": Fault(drops=True),
    "half an answer": Fault(200, b'{"choices": [{"mess'),
}


@pytest.mark.parametrize("name", PASSING)
def test_what_passes_is_asked_again(ask, server, name):
    server.faults = [PASSING[name]]
    waits = []
    client, asked = ask(waits=waits, timeout_s=60.0)
    assert asked.reply.text == "I was asked: Hello?"
    assert (client.requests, client.retries) == (2, 1)
    assert len(waits) == 1


SLOW = {
    "no answer": Fault(seconds=600.0),
    "a byte now and then": Fault(200, b" " * 600, pause=1.0),
}


@pytest.mark.parametrize("name", SLOW)
def test_an_answer_that_is_not_there_in_time_is_asked_for_again(ask, server, name):
    server.faults = [SLOW[name]]
    # each try has half a second in all, whatever arrives meanwhile; a busy machine needs some more
    client, asked = ask(timeout_s=0.5, max_retries=200)
    assert asked.reply.text == "I was asked: Hello?"
    assert client.retries >= 1


LASTING = {
    "too many requests": ([Fault(429, b"slow down")] * 3, r"429: slow down \(asked 3 times\)"),
    "half an answer": ([Fault(200, b'{"choic')] * 3, r"the answer is no JSON: \{\"choic"),
    "a lost connection": ([Fault(drops=True)] * 3, "no connection: "),
    "a web page": ([Fault(200, b"\n<!doctype html><p>Welcome")], "web page.*\n.*end in /v1"),
    "another address": (
        [Fault(301, b"", {"Location": "https://elsewhere.example/v1"})],
        "sends us on to https://elsewhere.example/v1",
    ),
    "no address": ([Fault(302, b"", {"Location": "http://[::1"})], "sends us on to http://"),
    "a redirect without an end": (
        [Fault(302, b" " * 2**25, {"Location": "https://elsewhere.example/v1"})],
        "the answer is longer than 16 MiB",
    ),
    "an answer without an end": ([Fault(200, b" " * 2**25)], "the answer is longer than 16 MiB"),
    "brackets without an end": ([Fault(200, b"[" * 100_000)] * 3, "the answer is no JSON: "),
    "an unknown model": (
        [Fault(404, b'{"error": {"message": "The model `m` does not exist"}}')],
        r'The model `m` does not exist"\}\}\n.*asked for is "m".*/v1/models names',
    ),
    "no key": ([Fault(401, b"missing key")], "missing key\n.*`endpoint.api_key_env`"),
    "another API": ([Fault(200, b'{"generated_text": "Hi"}')], "holds no answer: choices"),
    "no choices": ([Fault(200, b'{"choices": []}')], "holds no answer: choices"),
    "a list": ([Fault(200, b"[1]")], "holds no answer: reply"),
}


@pytest.mark.parametrize("name", LASTING)
def test_what_lasts_is_one_message_with_the_address_and_the_way_out(ask, server, name):
    server.faults, text = LASTING[name]
    with pytest.raises(HarnessError, match=f"(?s){text}") as error:
        ask()
    assert str(error.value).startswith(f"{server.base_url}/chat/completions: ")
    assert len(str(error.value).splitlines()) == (
        1 if "without an end" in name and "MiB" in text else 2
    )


def test_a_server_that_is_not_there_is_named(ask):
    with pytest.raises(HarnessError, match=r"127.0.0.1:9/v1/.*no connection: .*refused"):
        ask(base_url="http://127.0.0.1:9/v1")


def test_the_server_says_how_long_to_wait(ask, server):
    server.faults = [
        Fault(429, headers={"Retry-After": "7"}),
        Fault(503, headers={"Retry-After": "100000"}),
        Fault(503, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}),
        Fault(503, headers={"Retry-After": "soon"}),
    ]
    waits = []
    ask(waits=waits, max_retries=4)
    assert waits[:3] == [7.0, 60.0, 0.0]
    assert 3.0 <= waits[3] <= 5.0  # the fourth of doubling waits, spread by a quarter


def test_a_key_goes_to_the_server_that_the_suite_names_it_for_alone(ask, server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    ask()
    ask(api_key_env="OPENAI_API_KEY")
    assert server.keys == [None, f"Bearer {KEY}"]


QUOTES = {
    "alone": Fault(401, f"Incorrect API key provided: {KEY}.".encode()),
    "where the message is cut": Fault(401, b" " * 1190 + KEY.encode()),
    "escaped": Fault(400, KEY.replace("/", "\\/").replace("s", "\\u0073").encode()),
    "in an address": Fault(302, b"", {"Location": f"http://x/?key={KEY.replace('/', '%2F')}"}),
    "in the answer": Fault(
        200, f'{{"choices": [{{"text": "It is {KEY}"}}], "model": "{KEY}"}}'.encode()
    ),
}


@pytest.mark.parametrize("name", QUOTES)
def test_a_key_that_a_server_quotes_is_cut_out(ask, server, monkeypatch, name):
    monkeypatch.setenv("MY_KEY", KEY)
    server.faults = [QUOTES[name]]
    try:
        shown = repr(ask(api_key_env="MY_KEY")[1])
    except HarnessError as error:
        shown = str(error)
    assert "[key]" in shown
    assert "plum" not in shown
    assert "secret" not in shown


def test_a_key_that_is_a_word_may_be_answered(ask, server, monkeypatch):
    monkeypatch.setenv("MY_KEY", "EMPTY")
    server.answer = lambda body: "The list is EMPTY"
    assert ask(api_key_env="MY_KEY")[1].reply.text == "The list is EMPTY"


COUNTS = [(-1, None), (0, 0), (7, 7), (10**12, 10**12), (10**13, None), (10**400, None)]


@pytest.mark.parametrize(("number", "count"), COUNTS, ids=[str(n)[:14] for n, _ in COUNTS])
def test_a_number_of_tokens_that_counts_nothing_is_left_out(ask, server, number, count):
    usage = {"prompt_tokens": number, "completion_tokens": number}
    server.answer = lambda body: {"choices": [{"text": "a"}], "usage": usage}
    reply = ask()[1].reply
    assert (reply.prompt_tokens, reply.new_tokens) == (count, count)


def test_a_key_that_is_not_set_is_one_line(ask, monkeypatch):
    monkeypatch.delenv("MY_KEY", raising=False)
    with pytest.raises(HarnessError, match="variable MY_KEY is not set"):
        ask(api_key_env="MY_KEY")


def test_a_password_of_netrc_is_not_sent(ask, server, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    ask()
    assert server.keys == [None]


def test_a_proxy_is_not_asked_for_this_machine(ask, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    assert ask()[1].reply.text
