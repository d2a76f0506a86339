"""Numbers as sentences write them: no powers of ten where a reader expects a size."""

import pytest

from harness.analysis.wording import brief, duration, memory


@pytest.mark.parametrize(
    ("show", "value", "text"),
    [
        (brief, 0.15249, "0.152"),
        (brief, 999.4, "999"),
        (brief, 999.6, "1,000"),
        (memory, 999.9, "1,000 MiB"),
        (memory, 1023.0, "1,023 MiB"),
        (memory, 1536.0, "1.5 GiB"),
        (duration, 999.7, "1,000 ms"),
        (duration, 1500.0, "1.5 s"),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_a_size_just_below_a_thousand_is_no_power_of_ten(show, value, text):
    assert show(value) == text
