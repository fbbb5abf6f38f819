"""Times the slow statistics on answers of 107 simulated people to 100 items: `python scripts/benchmark_statistics.py`.

The mixed model is fitted three times; the first fit compiles it. Each bootstrap makes 10,000 resamples.
"""

import time
from collections.abc import Callable

import numpy as np

from vlmcog.statistics import agreement, ceilings, mixed, pairs
from vlmcog.statistics.intervals import bootstrap

PEOPLE, ITEMS, RESAMPLES = 107, 100, 10_000


def main() -> None:
    """Prints one table."""
    rng = np.random.default_rng(0)
    p_yes = rng.random(ITEMS)
    people = (rng.random((PEOPLE, ITEMS)) < p_yes).astype(float)
    truth, means = (p_yes > 0.5).astype(float), people.mean(0)
    print(f"{'on ' + str(PEOPLE) + ' people x ' + str(ITEMS) + ' items':48}seconds")
    for name in ("first fit, compiled", "second fit", "third fit"):
        model = (rng.random(ITEMS) < p_yes).astype(float)
        _time(f"signed root of R2: {name}", lambda model=model: mixed.signed_root_r2(people, model, family="logistic"))
        _time(
            f"slope of the crossed model: {name}", lambda model=model: mixed.crossed(people, model, family="logistic")
        )
    _time("Pearson's r, over items", lambda: bootstrap(agreement.pearson, p_yes, means, resamples=RESAMPLES))
    for name, interval in (
        ("accuracy", lambda: ceilings.individual_accuracy_interval(people, truth, resamples=RESAMPLES)),
        ("majority accuracy", lambda: ceilings.majority_accuracy_interval(people, truth, resamples=RESAMPLES)),
        ("leave-one-out ceiling", lambda: ceilings.leave_one_out_interval(people, resamples=RESAMPLES)),
        ("mean kappa of pairs", lambda: pairs.mean_kappa_interval(people, resamples=RESAMPLES)),
    ):
        _time(f"{name}, over people and items", interval)


def _time(name: str, work: Callable[[], object]) -> None:
    start = time.perf_counter()
    result = work()
    seconds = time.perf_counter() - start
    failed = f"  failed: {result.failed}" if isinstance(result, mixed.Fit) and result.failed else ""
    print(f"{name:48}{seconds:7.1f}{failed}", flush=True)


if __name__ == "__main__":
    main()
