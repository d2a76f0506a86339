"""Words beside numbers, in English and Russian: what makes one an answer, and what makes it none.

Every entry is a piece of a regular expression.
"""

from __future__ import annotations

MARKS = (
    r"ответ|итого|final\s+answer|answer|####|"
    # "The answer to the question is 25", but not "the answers of 25 people".
    r"(?:final\s+)?answer[^.\n:=\d]{0,60}?\s(?:is|are|be)|ответ[^.\n:=\d]{0,60}?\s(?:равен|будет)"
)
"""Marks that an answer follows."""
CONCLUDING = (
    r"so|therefore|thus|hence|in\s+total|in\s+all|overall|altogether|consequently|finally|the\s+total|"
    r"the\s+result|result|total|in\s+conclusion|итак|значит|следовательно|таким\s+образом|поэтому|"
    r"всего|итог\w*|результат\w*|получа\w+|в\s+сумме"
)
"""What opens or marks the sentence that concludes."""
ASKED_FOR = (
    r"(?:result|total|sum|value|price|cost|amount|profit|revenue|income|ratio|rate|share|difference|"
    r"average|mean|number|answer|margin|return|payment|balance|percentage|area|volume|speed|length|"
    r"distance|age|time|it)(?:\s+(?!is|are|was)[\w$%]+){0,6}?\s+(?:is|are|was|were|equals?|comes\s+to)|"
    r"состав\w+|рав\w+|будет"
)
"""A noun that a question asks for, with its verb: the number behind it is the answer."""
NOTES = r"note|check|verify|verification|remember|примечание|проверка|замечание|\(|where|где"
"""What opens a sentence that adds to an answer already given."""
HEADINGS = r"step|part|case|question|problem|option|method|example|шаг|часть|случай|вариант|способ"
"""Words of a bold heading, whose number is not the answer."""
NUMBERED = (
    r"steps?|tables?|fig(?:ure)?s?\.?|notes?|options?|questions?|problems?|items?|parts?|equations?|"
    r"eq\.|lines?|chapters?|pages?|cases?|rows?|columns?|examples?|methods?|no\.|шаг\w*|табл\w*|"
    r"рис\w*\.?|пункт\w*|вопрос\w*|задач\w*|строк\w*|вариант\w*|пример\w*|стр\.|п\."
)
"""What the number behind it names: "step 2"."""
YEAR_BEFORE = (
    r"in|since|by|of|year|fy|q[1-4]|h[12]|fiscal|until|from|during|for|before|after|end\s+of|"
    r"за|в|на|с|до|к|после|года|году"
)
YEAR_BEHIND = r"год|г\.|гг|fiscal"
MONTHS = (
    r"jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|"
    r"oct(?:ober)?|nov(?:ember)?|dec(?:ember)?|январ[яе]|феврал[яе]|март[ае]|апрел[яе]|ма[яе]|"
    r"июн[яе]|июл[яе]|август[ае]|сентябр[яе]|октябр[яе]|ноябр[яе]|декабр[яе]"
)
PERCENT = r"percent(?:age\s+points?)?|per\s+cent|процент\w*"
MINUS = r"minus|negative|минус"
# What a bracketed number behind it is a loss of. Income and profit too: "net income (1,234)".
ACCOUNTS = (
    r"(?:(?:net|operating|gross|total|pre-tax)\s+)?(?:loss(?:es)?|deficit|income|earnings|profit|"
    r"cash\s+flow|outflow|ebitda?|result)(?:\s+(?:of|was|is|totaled|totalled|came\s+to))?|"
    r"(?:убыт\w+|дефицит\w*|отток\w*|прибыл\w+|сальдо)(?:\s+(?:в|составил\w*|равен|равна))?"
)
CURRENCY_CODES = frozenset(
    {"USD", "EUR", "RUB", "GBP", "CHF", "JPY", "CNY", "US", "RS", "INR", "SEK"}
)
