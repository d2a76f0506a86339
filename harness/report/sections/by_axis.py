"""The differences between the values of each axis with everything else equal."""

from __future__ import annotations

from harness.analysis.leaderboard import Leaderboard
from harness.report.contrast_text import along_table
from harness.report.section import Keeping, Section


def by_axis(board: Leaderboard) -> Section:
    """A row for each two values of an axis and data set, and for all data sets together."""
    found = board.along.values()
    if not found:
        return Section("By axis")
    families = ", ".join(f"{each.family} of {each.axis}" for each in found if each.family)
    notes = [
        "Each difference is second minus first with everything else equal: the mean over all"
        " variants that have a partner, on the same examples. `variants` says how many pairs that"
        " are, with the least and the largest difference among them.",
        *([f"p is corrected by Holm over the contrasts of an axis ({families})."] * bool(families)),
        "Costs are ratios of second to first: the geometric mean with a 95% interval over"
        " variants (with one variant: over data sets, then seeds). Speeds are compared only on"
        " the same hardware.",
    ]
    notes += [
        f"Without any result: {each.axis} {', '.join(each.absent)}."
        for each in found
        if each.absent
    ]
    table = along_table(list(found))
    rest = Keeping(rest="`harness show --full` prints every difference of a run.")
    return Section("By axis", tuple(notes), table.columns, table.rows, keeping=rest)
