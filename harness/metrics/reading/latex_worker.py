"""The far side of `latex`: one expression a line in, its value or null out. Run as a module."""

from __future__ import annotations

import json
import sys

DIGITS = 40


def value_of(expression: str) -> str | None:
    """The real value of a LaTeX expression, with 40 digits; None if it has none."""
    import sympy
    from math_verify import LatexExtractionConfig, parse

    # No time limits of its own: they are signals, and this process is ended from outside.
    found = parse(
        f"\\boxed{{{expression}}}", [LatexExtractionConfig()], parsing_timeout=None,
        raise_on_error=False,
    )  # fmt: skip
    if not found or not isinstance(found[0], sympy.Expr):
        return None
    number = found[0].evalf(DIGITS)
    return str(number) if number.is_real and number.is_finite and number.is_number else None


def main() -> None:
    """Answer until the input ends."""
    for line in sys.stdin:
        reply: str | dict[str, str] | None
        try:
            reply = value_of(json.loads(line))
        except ImportError:  # of math-verify or what it brings, not of the expression
            reply = {"missing": "math_verify"}
        except Exception:  # whatever a parser raises on text that is no expression
            reply = None
        sys.stdout.write(json.dumps(reply) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
