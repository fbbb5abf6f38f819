"""Numbers and sets in words: every sentence of the page that depends on a result is made here."""

import math
from collections.abc import Sequence

from vlmcog.datasets.specs import DatasetSpec
from vlmcog.evaluation import ladder
from vlmcog.evaluation.ladder import MAIN_TASK, Rung
from vlmcog.evaluation.observers import LOGISTIC
from vlmcog.report.content import Content, Estimate, Standing
from vlmcog.statistics.calibration import Bin

NARROW_SPACE = "\N{NARROW NO-BREAK SPACE}"
NO_BREAK_SPACE = "\N{NO-BREAK SPACE}"
WORD_JOINER = "\N{WORD JOINER}"
DASH = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"

NOUNS = {
    "cubeworld_towers": "towers",
    "cubeworld_pyramids": "pyramids",
    "lerer_towers": "photographs of real towers",
    "jenga": "bricks on a table",
    "michotte": "balls and a gate",
    "agents": "agents in a grid world",
    "physion": "frames of Physion's clips",
}
SHARES = ("accuracy", "majority_accuracy")


def percent(share: float, digits: int = 0) -> str:
    """Returns `91 %`."""
    return f"{100 * share:.{digits}f}{NARROW_SPACE}%"


def decimal(value: float, digits: int = 2) -> str:
    """Returns `-0.16` with a real minus sign, and without one where it rounds to 0."""
    return f"{value:z.{digits}f}".replace("-", MINUS)


def value(estimate: Estimate, digits: int = 0) -> str:
    """Returns the value, in percent if it is a share; a dash and the reason where it is undefined."""
    if math.isnan(estimate.value):
        return f"{DASH} {estimate.undefined}".strip()
    return percent(estimate.value, digits) if estimate.metric in SHARES else decimal(estimate.value, digits + 2)


def interval(estimate: Estimate, digits: int = 0) -> str:
    """Returns `[88, 93]`, in percent if it is a share; empty where there is none."""
    if math.isnan(estimate.low):
        return ""
    share = estimate.metric in SHARES
    ends = (f"{100 * end:.{digits}f}" if share else decimal(end, digits + 2) for end in (estimate.low, estimate.high))
    return f"[{f',{NO_BREAK_SPACE}'.join(ends)}]"


def with_interval(estimate: Estimate) -> str:
    """Returns `91 % [88, 93]`."""
    return f"{value(estimate)} {interval(estimate)}".strip()


def noun(spec: DatasetSpec) -> str:
    """Returns what a set shows, such as `small towers`."""
    return f"{spec.split_size} {NOUNS.get(spec.name, spec.name)}".strip()


def nouns(tuned_on: Sequence[DatasetSpec]) -> str:
    """Returns what a model was tuned on, such as `small towers, cubeworld look`."""
    looks = list(dict.fromkeys(spec.look for spec in tuned_on if spec.look))
    shown = _list(list(dict.fromkeys(map(noun, tuned_on))), "and")
    return ", ".join(filter(None, (shown, f"{_list(looks, 'and')} look{'s' * (len(looks) > 1)}" if looks else "")))


def place(rung: Rung, tuned_on: Sequence[DatasetSpec]) -> str:
    """Returns what a rung shows, told apart from the sets that the model was tuned on."""
    new = "new " if rung.name == ladder.SAME_SPLIT else ""
    is_new_look = rung.spec.look and rung.spec.look not in {one.look for one in tuned_on}
    look = f" in the {rung.spec.look} look" if is_new_look else ""
    task = "" if rung.task == MAIN_TASK.get(rung.spec.name) else f" ({rung.task.replace('_', ' ')})"
    return f"{new}{noun(rung.spec)}{look}{task}"


def size(standing: Standing) -> str:
    """Returns how many blocks its stimuli have, such as `2-4 blocks`; empty where unknown."""
    low, *high = standing.facts.get("n_blocks") or [0]
    if not low:
        return ""
    dash = f"{WORD_JOINER}{DASH}{WORD_JOINER}"  # no line ends within the range
    numbers = f"{low}{dash}{high[0]}" if high and high[0] != low else str(low)
    return f"{numbers}{NO_BREAK_SPACE}blocks"


def judged(text: str, standing: Standing) -> str:
    """Returns a text about people in the words for those who judged a set: simulated participants are no people."""
    if not standing.is_simulated:
        return text
    for word, instead in (("people", "simulated participants"), ("person", "simulated participant")):
        text = text.replace(word, instead).replace(word.capitalize(), instead.capitalize())
    return text.replace("participants\N{RIGHT SINGLE QUOTATION MARK}s", "participants\N{RIGHT SINGLE QUOTATION MARK}")


def strength(kappa: float) -> str:
    """Returns how strongly a cell of that kappa is shaded, from 0 % to 100 %."""
    return f"{100 * min(max(kappa, 0.0), 1.0):.0f}%"


def dot_radius(shown: Bin, bins: Sequence[Bin]) -> str:
    """Returns the radius in pixels of a bin's dot, whose area goes with its number of items."""
    return f"{2 + 5 * math.sqrt(shown.n / max(other.n for other in bins)):.1f}"


def headline(content: Content) -> str:
    """Returns the result in one sentence: how often right, and where better than guessing."""
    same = content.on(ladder.SAME_SPLIT)
    on_ladder = [standing for standing in scored(content) if standing.rung.name in ladder.LADDER]
    elsewhere = [standing for standing in on_ladder if standing is not same]
    if same in on_ladder and not any(map(beats_chance, on_ladder)):
        other = " there or on any other rung" if elsewhere else ""
        return f"{_right_on(same, content.tuned_on)}{other}."
    better = _list([place(s.rung, content.tuned_on) for s in elsewhere if beats_chance(s)], "and")
    worse = _list([place(s.rung, content.tuned_on) for s in elsewhere if not beats_chance(s)], "or")
    clauses = [
        _right_on(same, content.tuned_on),
        f"better than guessing on {better}" + (f", not on {worse}" if worse else "") if better else "",
        f"no better than guessing on {worse}" if worse and not better else "",
    ]
    sentence = "; ".join(filter(None, clauses)) or "nothing has a ground truth to be right about"
    return f"{sentence[:1].upper()}{sentence[1:]}."


def details(content: Content) -> str:
    """Returns the same with every interval, and what guessing and people reach."""
    clauses = []
    for standing in scored(content):
        estimate = standing.get("accuracy")
        assert estimate is not None
        verdict = "" if beats_chance(standing) else _verdict(standing)
        people = f" (the average person: {with_interval(standing.people)})" if standing.people else ""
        people = judged(people, standing)
        clauses.append(f"{with_interval(estimate)} of {place(standing.rung, content.tuned_on)}{verdict}{people}")
    return f"The model is right on {'; '.join(clauses)}."


def cue(content: Content) -> str:
    """Returns how the best simple cue does on the set of the training; empty where none was tried."""
    same = content.on(ladder.SAME_SPLIT)
    cues = [e for e in same.observers if e.who.startswith(LOGISTIC)] if same else []
    if not same or not cues:
        return ""
    best = max(cues, key=lambda estimate: estimate.value)
    name = best.who.removeprefix(LOGISTIC).strip(" ()")
    return f"A logistic regression on the best simple cue, {name}, is right on {with_interval(best)} of the same items."


def scored(content: Content) -> list[Standing]:
    """Returns the standings that have an accuracy, that is, a ground truth."""
    return [standing for standing in content.standings if standing.get("accuracy")]


def beats_chance(standing: Standing) -> bool:
    """Whether the whole interval of the model's accuracy lies above guessing."""
    estimate = standing.get("accuracy")
    return estimate is not None and estimate.low > standing.chance


def _verdict(standing: Standing) -> str:
    estimate = standing.get("accuracy")
    worse = estimate is not None and estimate.high < standing.chance
    return ", worse than guessing" if worse else ", not distinguishable from guessing"


def _right_on(same: Standing | None, tuned_on: Sequence[DatasetSpec]) -> str:
    estimate = same and same.get("accuracy")
    if not same or not estimate:
        return ""
    despite = "" if beats_chance(same) else ", no better than guessing"
    return f"Right on {value(estimate)} of {place(same.rung, tuned_on)}{despite}"


def _list(names: Sequence[str], conjunction: str) -> str:
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} {conjunction} {names[-1]}"
