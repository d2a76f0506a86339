"""What a model or a file wrote is shown as it is: no escape, no markup, no formula."""

import csv
import io
import json
import re

import pytest
from rich.padding import Padding
from rich.table import Table

from harness.results.text import console, csv_cell, printable, say

ESCAPES = [
    ("\x1b[31mred", "\\u001b[31mred"), ("\x9b31m", "\\u009b31m"), ("a\rb", "a\\u000db"),
    ("\x1b]0;title\x07", "\\u001b]0;title\\u0007"), ("\x00", "\\u0000"), ("\x7f", "\\u007f"),
    ("a\u202eb", "a\\u202eb"), ("\ud800", "\\ud800"), ("a\x08b", "a\\u0008b"),
]  # fmt: skip
PLAIN = ["", "два\nслова", "tab\there", "é 漢字 🙂", "[/INST] r8[attn] :smile:", "a\\u001b"]


@pytest.mark.parametrize(("text", "shown"), ESCAPES)
def test_control_characters_are_spelled_out(text, shown, capsys):
    assert printable(text) == shown
    say(text)
    assert capsys.readouterr().out == f"{shown}\n"


@pytest.mark.parametrize("text", PLAIN)
def test_other_text_stays(text):
    assert printable(text) == text


def test_json_that_is_printed_can_be_read_again():
    value = {"answer": "".join(text for text, _ in ESCAPES[:-2]) + "é\n"}
    assert json.loads(printable(json.dumps(value, ensure_ascii=False))) == value


@pytest.mark.parametrize("name", ["r8[attn]", "[/INST]", "[bold]x[/bold]", ":smile:", "[link=x]y"])
def test_rich_shows_names_as_they_are(name):
    out = io.StringIO()
    shown = console(file=out)
    table = Table(name)
    table.add_row(name)
    for thing in (name, table, Padding(name, (0, 0, 0, 2))):
        shown.print(thing)
    assert out.getvalue().count(name) == 4


@pytest.mark.parametrize(("text", "_"), ESCAPES[:2])
def test_rich_shows_no_escape(text, _):
    out = io.StringIO()
    table = Table()
    table.add_row(text)
    console(file=out).print(text, table)
    assert "\x1b" not in out.getvalue()
    assert "\x9b" not in out.getvalue()


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("=1+1", "'=1+1"), ("+cmd", "'+cmd"), ("-x", "'-x"), ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"), ("\r=1", "\\u000d=1"), ("\n=1", "'\n=1"), ("＝1+1", "'＝1+1"),
        ("＠x", "'＠x"), ("\x1b[2Jx", "\\u001b[2Jx"), ("1.50", "1.50"), ("'=1", "'=1"), ("a=1", "a=1"), ("", ""), ("lora-r8", "lora-r8"),
        (-0.5, "-0.5"), (-3, "-3"), (None, ""), (True, "True"),
    ],
)  # fmt: skip
def test_a_cell_that_a_spreadsheet_would_run_is_quoted_and_a_number_is_not(value, written):
    table = io.StringIO()
    csv.writer(table).writerow([csv_cell(value), "end"])
    assert next(csv.reader(io.StringIO(table.getvalue(), newline="")))[0] == written


def test_commands_print_through_say_and_console_alone(root):
    paths = [root / "harness" / "cli.py", *(root / "harness" / "commands").rglob("*.py")]
    paths += [
        *(root / "harness" / "report").rglob("*.py"),
        *(root / "harness" / "gate").rglob("*.py"),
    ]
    calls = re.compile(r"click\.echo\(|(?<![\w.])print\(|(?<!\w)Console\(")
    wrong = [str(path) for path in paths if calls.search(path.read_text())]
    assert wrong == []


def test_a_pipe_that_closes_under_a_table_is_no_exit_code_of_rich_s():
    class Closed(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    # rich would leave with 1, which is the exit code of a regression
    with pytest.raises(BrokenPipeError):
        console(file=Closed()).print("a row")
