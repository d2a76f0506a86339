"""The clock of a chat template, stopped: the same question gives the same prompt on any day."""

from __future__ import annotations

from datetime import date, datetime

CLOCK = "strftime_now"
"""The function by which templates read today's date; transformers gives it to them."""
DIRECTIVES = ("-d", "-m", "-I", "-H", *"aAbBcdDeFGHIjmMpSuUVwWxXyYZ", "%")
"""Of `strftime`, the longer ones first."""


def stopped_clock(day: date | None) -> str:
    """What stands before a template to stop its clock at ``day``; nothing where that is None.

    A macro of the same name shadows the function. The line break after it is the one that
    transformers' `trim_blocks` eats, so the template's own text is untouched.
    """
    if day is None:
        return ""
    now = datetime.combine(day, datetime.min.time())
    steps = "".join(f'|replace("%{x}","{now.strftime("%" + x)}")' for x in DIRECTIVES)
    return f"{{% macro {CLOCK}(format) %}}{{{{ format{steps} }}}}{{% endmacro %}}\n"
