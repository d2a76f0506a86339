"""What `harness compare` prints of its rows."""

from harness.commands.compare import _print

BLANK = ("–",) * 4


def test_a_pair_that_is_not_comparable_shows_its_reason_and_no_empty_columns(capsys):
    reason = "not comparable: 40 rendered prompts differ [a]"
    _print([
        ("base, qa", *BLANK, reason),
        ("lora, qa", "rougeL", "+0.1 [+0.0, +0.2]", "0.04", "3:1", "better"),
    ])  # fmt: skip
    assert capsys.readouterr().out.splitlines() == [
        "base, qa",
        f"  {reason}",
        "lora, qa",
        "  rougeL  +0.1 [+0.0, +0.2]  p 0.04  3:1  better",
    ]
