"""English words that answers are read by. See `Cues` for what each kind does."""

from __future__ import annotations

from harness.metrics.reading.cues import Cues

ENGLISH = Cues(
    answer_keys="label|sentiment|answer|classification|category|class|prediction|stance|verdict",
    # "Tone: formal" may describe the text and not answer the question, so these come second.
    other_keys=(
        "output|result|polarity|tone|response|assistant|choice|decision|judge?ment|topic|intent|"
        "emotion|rating|score|grade|relation(?:ship)?|conclusion|determination|assessment"
    ),
    final="final|overall|concluding|conclusive",
    key_suffix="label|classification|analysis|category|class|result|answer|prediction|type|value",
    # No "no" and "yes" here: they are labels too often.
    greeting="sure|certainly|of course|okay|ok|well|absolutely|alright|great|understood",
    negators=(
        r"not|\w+n't|cannot|never|no|without|nor|neither|nothing|none|nobody|hardly|barely|lacks?|"
        "lacking|absence|devoid|rather than|instead of|as opposed to|far from|than|unlike|"
        "fails? to|"
        "free of|exclud(?:e|es|ing)"
    ),
    # A finite verb with a new subject starts a new statement: "reports no loss and is positive".
    negation_stops=(
        "but|however|it|it's|is|are|was|were|that's|this|so|hence|thus|therefore|because|although|"
        "though|while|yet|instead|just|still|remains?|seems?|appears?|looks?|i'd|i|we|they|"
        "makes|making|means|resulting|leading"
    ),
    neither="neither",
    nor="nor|or|and",
    denied_behind=(
        r"(?: (?:words?|signals?|signs?|aspects?|factors?|indicators?|elements?))?\s*[:=-]\s*"
        r"(?:no|none|n/a|false)\b|(?: and \w+)? (?:is|are|was|were|would be|seems?) "
        r"(?:not|wrong|incorrect|false|ruled out|excluded|unlikely)\b|(?: and \w+)? "
        r"(?:isn't|aren't|wasn't|doesn't|does not|do not|can be (?:ruled out|excluded))\b"
    ),
    unsaid=(
        r"(?:\w+n't|not|cannot|impossible|unable|unclear|unsure|uncertain|hard|difficult|enough|"
        r"no way)"
        r"(?: \w+){0,4} (?:think|believe|say|tell|determine|conclude|know|call|judge|decide|see|"
        r"assume|claim|mean)"
        r"|no(?: clear| strong| real)? (?:evidence|indication|sign|hint|suggestion|reason) "
        r"(?:that|to)"
    ),
    approved_behind=(
        r"(?: (?:label|reading|option|sentiment|answer|class|category))? (?:is|seems|fits?|applies|"
        r"would be|looks|appears|might be|may be|dominates|prevails|wins)(?: the)?(?: more| most)? "
        r"(?:accurate|appropriate|best|correct|right|better|suitable|fitting|label|answer|choice|one)"
        r"|(?: (?:label|reading|option|sentiment|answer))? (?:fits|applies|prevails|dominates|wins)"
    ),
    first_thought="at first|initially|at first (?:glance|sight)|originally|one (?:may|might|could)",
    not_only="not (?:only|just|merely|simply)|no doubt|without (?:a )?doubt|not sure|no question",
    concluding=(
        "therefore|thus|hence|so|overall|consequently|accordingly|in conclusion|to conclude|"
        "in summary|to sum up|on balance|on the whole|"
        "in short|all in all|as a result|ultimately|finally|conclusion|"
        "i conclude|we conclude|conclude that|in the end|taken together|altogether|which means|"
        "final answer|final label|in this case|based on this|given this|my answer|=>|→|⇒"
    ),
    revising=(
        "wait|actually|correction|on second thought|on reflection|on closer (?:reading|look)|"
        "scratch that|i mean|let me correct|re-?consider(?:ing)?|revised|in fact|more precisely"
    ),
    copula=(
        r"is|'s|are|was|be|being|remains?|seems?|appears?|looks?|sounds?|reads?|feels?|stays?|"
        "becomes?|makes?|equals|would be|should be|must be|has|have|express(?:es|ing)?|"
        "convey(?:s|ing)?|shows?|showing|indicat(?:es?|ing)|suggest(?:s|ing)?|reflect(?:s|ing)?|"
        "carr(?:ies|ying)|impl(?:ies|ying)|contains?|represents?|leans?|leaning|tends?"
    ),
    between=(
        "a|an|the|as|to|be|more|most|mostly|rather|quite|very|clearly|really|probably|likely|best|"
        "somewhat|slightly|mildly|moderately|strongly|fairly|generally|overall|still|just|simply|"
        "definitely|considered|it|this|that|in|of|towards?|for|me|now|also|both|indeed|purely|"
        "largely|mainly|primarily|predominantly|inherently|essentially|basically|certainly|"
        "label|class|category|option|answer|choice|sentiment|tone|quot|text|mathrm|textbf"
    ),
    subjects=(
        "sentiment|answer|label|classification|category|class|polarity|tone|stance|verdict|option|"
        "choice|prediction|rating|relationship|response|mood|outlook|conclusion|emotion|impact"
    ),
    classified=(
        "classif(?:y|ied|ies)(?: \\w+){0,4} as|classif(?:y|ied)|"
        "categori[sz]ed?(?: \\w+){0,4} as|"
        "label(?:l?ed)?(?: \\w+){0,4} as|label(?:l?ed)|rated?(?: \\w+){0,4} as|"
        "consider(?:ed)?(?: \\w+){0,3} (?:as|to be)|considered|seen as|viewed as|regarded as|"
        "described as|interpreted as|tagged as|marked as|deem(?:ed)?|identified as|"
        "assign(?:ed)?(?: \\w+){0,4}|"
        "go with|going with|i'd say|i would say|i say|choose|chose|pick|select|"
        "falls? (?:under|into|in)|"
        "belongs? to|categor(?:y|ies) of|leans?(?: towards?)?|leaning(?: towards?)?|conclude|guess"
    ),
    carried=(
        "sentiments?|tone|label|statement|sentence|text|news|information|class|category|one|article|"
        "report|headline|message|review|comment|piece|option|answer|stance|manner|way|outlook|"
        "context|nature|light|view|tweet|post|classification|polarity|passage|item|choice|overall"
    ),
    behind=(
        "because|as|since|and|but|or|nor|for|in|with|to|towards?|overall|based|due|given|although|"
        "though|while|despite|rather|so|about|from|than|regarding|on|by|at|here|if|when|not|it|it's|"
        "this|that|the|there|i|we|they|would|which|however|therefore|is|instead|too|now|then"
    ),
    whether=(
        "whether|if|unless|(?:decid(?:e|ing)|choos(?:e|ing)|distinguish|choice) between|either|"
        "which of"
    ),
    conditional="would|wouldn't|had|were|might become|could become",
    maybe="could|may|might|perhaps|maybe|possibly|can be seen",
    joiners=r"and|or|nor|to|vs\.?|versus|&|and/or",
    choices="option|choice|class|label|category|level|rating|score|grade|number|answer",
    out_of="of|out of",
    points="stars?|points?",
    adverbs=(
        "mostly|slightly|somewhat|very|clearly|definitely|probably|likely|overall|generally|"
        "strongly|mildly|fairly|rather|quite|largely|moderately|it's|it is|that's"
    ),
)
