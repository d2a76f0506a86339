"""A contrast over all data sets that share a metric: over these, and over others like them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.analysis.difference import Criteria, Delta, judged
from harness.analysis.family import ALPHA
from harness.counting import counted
from harness.statistics import Combined, detectable_mean_gap, fixed_effect, random_effect

if TYPE_CHECKING:
    from harness.analysis.contrasts import Contrast

FEW = "two data sets say nothing of a third"


@dataclass(frozen=True)
class Together:
    """The mean of a contrast over data sets, each with the same weight."""

    axis: str
    first: str
    second: str
    metric: str
    datasets: tuple[str, ...]
    fixed: Delta
    """Over exactly these data sets."""
    random: Delta | None
    """Over the data sets that these stand for; None with fewer than three."""
    without_random: str | None = None
    """Why there is no random effect."""

    @property
    def name(self) -> str:
        """`second − first`."""
        return f"{self.second} − {self.first}"

    def corrected(self, fixed: Delta, family: int) -> Together:
        """With the adjusted ``fixed`` effect, and the random one adjusted for the same family."""
        if self.random is None or self.random.p_value is None:
            return replace(self, fixed=fixed)
        # Bonferroni's factor: it is outside the family, and never more certain than the fixed one
        p = max(fixed.p_adjusted or 0.0, min(1.0, self.random.p_value * family))
        stays = p <= ALPHA or self.random.verdict not in ("better", "worse")
        verdict = self.random.verdict if stays else "undecided"
        random = replace(self.random, p_adjusted=p, verdict=verdict)
        return replace(self, fixed=fixed, random=random)


def together(contrasts: Sequence[Contrast]) -> list[Together]:
    """The contrasts of each pair of values and metric over their data sets, where there are two.

    Metrics are never mixed: a mean of ROUGE-L and accuracy would have no unit.
    """
    groups: dict[tuple[str, str, str], list[Contrast]] = {}
    for each in contrasts:
        if each.delta and each.estimate:
            groups.setdefault((each.first, each.second, each.metric), []).append(each)
    return [_together(members) for members in groups.values() if len(members) > 1]


def _together(members: Sequence[Contrast]) -> Together:
    one = members[0]
    estimates = [each.estimate for each in members if each.estimate]
    deltas = [each.delta for each in members if each.delta]
    margin = max(each.margin for each in members)
    fixed = _delta(fixed_effect(estimates), deltas, margin, "fixed effect of data sets")
    random = random_effect(estimates)
    return Together(
        one.axis, one.first, one.second, one.metric, tuple(each.dataset for each in members),
        fixed,
        _delta(random, deltas, margin, "random effect of data sets") if random else None,
        None if random else FEW,
    )  # fmt: skip


def _delta(found: Combined, deltas: Sequence[Delta], margin: float, test: str) -> Delta:
    """A combined estimate as a difference, judged by the largest noise floor and margin."""
    floor = max(delta.noise_floor for delta in deltas)
    directions = {delta.higher_is_better for delta in deltas}
    delta = Delta(
        deltas[0].metric, found.delta, found.low, found.high, "undecided",
        sum(delta.n for delta in deltas), sum(delta.won for delta in deltas),
        sum(delta.lost for delta in deltas), found.p_value, test,
        detectable_mean_gap(1, found.error) if found.error > 1e-15 else None,
        f"{deltas[0].covers} of {counted(len(deltas), 'data set')}", noise_floor=floor,
        units=sum(delta.units for delta in deltas) if found.error > 0 else 0,
        higher_is_better=directions.pop() if len(directions) == 1 else None,
    )  # fmt: skip
    return judged(delta, Criteria(margin))
