import numpy as np
import pandas as pd
import pytest

from vlmcog.datasets.features import Aggregate
from vlmcog.errors import UserError
from vlmcog.evaluation import people
from vlmcog.evaluation.people import People
from vlmcog.statistics import ceilings, error_consistency, pairs

RESPONSES = np.array([[0, 1, np.nan, 1], [1, np.nan, np.nan, 0]], float)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def everyone(responses):
    return People(ceilings.item_means(responses), (~np.isnan(responses)).sum(0), responses)


def by_name(found):
    return {metric.name: metric for metric in found}


def test_the_matrix_follows_the_items_whatever_the_order_of_the_rows(trials):
    source = trials(4, responses=RESPONSES)
    table = source.judgments().sample(frac=1, random_state=0)
    found = people.gather(source, [t.item for t in source], table)
    np.testing.assert_array_equal(found.responses, RESPONSES)
    np.testing.assert_array_equal(found.means, [0.5, 1, np.nan, 0.5])
    np.testing.assert_array_equal(found.n, [2, 1, 0, 2])
    assert found.name == "people"


def test_excluded_answers_do_not_count_and_are_counted(trials):
    source = trials(4, responses=RESPONSES)
    table = source.judgments()
    table.loc[0, "excluded"] = "too fast"
    found = people.gather(source, [t.item for t in source], table)
    assert found.excluded == 1
    assert found.n.sum() == len(table) - 1


def test_no_people(trials):
    assert people.gather(trials(3), ["item-0"]) is None


def test_published_means_stand_in_for_single_answers(trials):
    import dataclasses

    source = [dataclasses.replace(t, aggregate=Aggregate(0.25, 8) if k else None) for k, t in enumerate(trials(3))]
    source = type(trials(0))(source)
    found = people.gather(source, [t.item for t in source])
    assert found.responses is None
    np.testing.assert_array_equal(found.means, [np.nan, 0.25, 0.25])
    np.testing.assert_array_equal(found.n, [0, 8, 8])


def test_simulated_participants_are_called_so(trials):
    source = trials(4, responses=RESPONSES)
    items = [t.item for t in source]
    table = source.judgments()
    simulated = table.assign(participant="simulated-" + table.participant)
    found = people.gather(source, items, simulated)
    assert found.name == "simulated participants"
    assert set(people.item_table(found, items, evaluated_on="s").who) == {"simulated participants"}
    with pytest.raises(UserError, match="'simulated-p0' is a simulated participant among people"):
        people.gather(source, items, pd.concat([simulated.iloc[:2], table.iloc[2:]]))


def test_the_item_table_holds_no_single_person():
    responses = np.array([[0.0, 1.0, 20.0], [1.0, np.nan, 40.0], [1.0, np.nan, 90.0]])
    table = people.item_table(everyone(responses), ["a", "b", "c"], evaluated_on="s")
    assert list(table) == ["evaluated_on", "who", "item", "mean", "sd", "n"]
    assert set(table.evaluated_on) == {"s"}
    assert set(table.who) == {"people"}
    np.testing.assert_allclose(table["mean"], [2 / 3, 1, 50])
    np.testing.assert_allclose(table["sd"], [np.std([0, 1, 1], ddof=1), np.nan, np.std([20, 40, 90], ddof=1)])
    assert list(table.n) == [3, 1, 3]


def test_people_are_scored_person_by_person_as_a_vote_and_with_each_other(answers_table, rng):
    truth = rng.integers(2, size=40)
    responses = np.where(rng.random((15, 40)) < 0.7, truth, 1 - truth).astype(float)
    found = by_name(people.people_metrics(answers_table(np.full((40, 2), 0.5), truth), everyone(responses)))
    assert found["accuracy"].value == pytest.approx((responses == truth).mean())
    assert found["majority_accuracy"].value == pytest.approx(((responses.mean(0) > 0.5) == truth).mean())
    assert found["kappa"].value == pairs.mean_kappa(responses)
    assert found["error_consistency"].value == error_consistency.mean_of_pairs((responses == truth).astype(float))
    assert found["leave_one_out_pearson"].value == ceilings.leave_one_out(responses)
    assert found["in_sample_pearson"].value == ceilings.in_sample(responses) > found["leave_one_out_pearson"].value
    assert found["pearson_ceiling"].value == pytest.approx(np.sqrt(found["split_half_reliability"].value))
    assert found["pearson_cap_of_yes_or_no"].value == ceilings.binary_cap(responses.mean(0)) < 1
    assert {metric.model for metric in found.values()} == {"people"}
    without = {"in_sample_pearson", "pearson_cap_of_yes_or_no"}
    assert all(metric.value in metric.interval for name, metric in found.items() if name not in without)


def test_people_without_a_truth_have_ceilings_alone(answers_table, rng):
    responses = (rng.random((9, 30)) < rng.random(30)).astype(float)
    found = by_name(people.people_metrics(answers_table(np.full((30, 2), 0.5), np.full(30, -1)), everyone(responses)))
    ceiling = {"leave_one_out_pearson", "in_sample_pearson", "split_half_reliability", "pearson_ceiling"}
    assert set(found) == {"kappa", "pearson_cap_of_yes_or_no", *ceiling}


def test_people_who_disagree_have_no_ceiling_and_say_why(answers_table):
    opposite = np.array([[0, 1, 1, 0, 1], [1, 0, 0, 1, 0]], float)
    found = by_name(people.people_metrics(answers_table(np.full((5, 2), 0.5), np.full(5, -1)), everyone(opposite)))
    assert found["split_half_reliability"].value == pytest.approx(-1)
    assert np.isnan(found["pearson_ceiling"].value)
    assert found["pearson_ceiling"].undefined == "negative reliability"


def test_the_interval_of_a_ceiling_ends_at_0(answers_table, rng):
    responses = (rng.random((12, 6)) < np.linspace(0.25, 0.75, 6)).astype(float)
    found = by_name(people.people_metrics(answers_table(np.full((6, 2), 0.5), np.full(6, -1)), everyone(responses)))
    assert found["split_half_reliability"].interval.low < 0
    assert found["pearson_ceiling"].interval.low == 0


def test_counts_have_a_distance_from_the_truth_and_from_each_other(answers_table):
    responses = np.array([[1, 4, np.nan], [3, 4, 2]], float)
    answers = answers_table(np.eye(15)[[0, 1, 2]], [1, 4, -1], task="red_block_count")
    found = by_name(people.people_metrics(answers, everyone(responses)))
    assert found["mean_absolute_error"].value == (0 + (2 + 0) / 2) / 2
    assert found["mae_people"].value == ((1 + 0) / 2 + (1 + 0 + 0) / 3) / 2


def test_means_alone_allow_accuracies_and_no_ceilings(answers_table, rng):
    truth = rng.integers(2, size=30)
    responses = np.where(rng.random((8, 30)) < 0.7, truth, 1 - truth).astype(float)
    answers = answers_table(np.full((31, 2), 0.5), [*truth, 1])
    published = People(np.append(responses.mean(0), np.nan), np.append(np.full(30, 8), 0))
    found = by_name(people.people_metrics(answers, published))
    assert set(found) == {"accuracy", "majority_accuracy"}
    assert found["accuracy"].value == pytest.approx(ceilings.individual_accuracy(responses, truth.astype(float)))
    assert found["majority_accuracy"].value == ceilings.majority_accuracy(responses, truth.astype(float))
    assert {(metric.model, metric.n) for metric in found.values()} == {("people", 30)}
    assert all(metric.value in metric.interval for metric in found.values())


def test_means_alone_of_ratings_or_without_truths_have_no_numbers(answers_table):
    published = People(np.array([0.1, 0.9]), np.array([8, 8]))
    assert people.people_metrics(answers_table([[0.5, 0.5]] * 2, [-1, -1]), published) == []
    counts = answers_table(np.eye(15)[[0, 1]], [1, 4], task="red_block_count")
    assert people.people_metrics(counts, published) == []
