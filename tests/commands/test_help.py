"""What `--help` says: nothing is cut at 80 columns, every line is a whole sentence."""

import pytest
from click.testing import CliRunner

from harness.cli import main

GROUPS = ["", *(name for name, command in main.commands.items() if hasattr(command, "commands"))]


@pytest.mark.parametrize("group", GROUPS)
def test_no_line_of_a_listing_is_cut_at_80_columns(group):
    result = CliRunner().invoke(main, [*group.split(), "--help"], terminal_width=80)
    listing = result.output.partition("Commands:\n")[2]
    assert listing
    for line in listing.strip().splitlines():
        assert line.endswith("."), line
        assert not line.endswith("..."), line
        assert len(line) <= 80


def test_a_command_begins_with_one_short_sentence():
    for name, command in main.commands.items():
        for one in getattr(command, "commands", {name: command}).values():
            first, _, rest = one.help.partition("\n\n")
            assert "\n" not in first, name
            assert first.count(".") == 1, name
            assert "Example:" in rest, name
