import numpy as np

from vlmcog.evaluation import people


def test_the_matrix_follows_the_items_whatever_the_order_of_the_rows(trials):
    responses = np.array([[0, 1, np.nan, 1], [1, np.nan, np.nan, 0]], float)
    source = trials(4, responses=responses)
    table = source.judgments().sample(frac=1, random_state=0)
    np.testing.assert_array_equal(people.response_matrix(table, [t.item for t in source]), responses)


def test_no_people_no_matrix(trials):
    assert people.response_matrix(trials(3).judgments(), ["item-0"]) is None


def test_the_item_table_holds_no_single_person(trials):
    table = people.item_table(np.array([[0.0, 1.0], [1.0, np.nan]]), ["a", "b"], evaluated_on="s")
    assert table.to_dict("list") == {"evaluated_on": ["s", "s"], "item": ["a", "b"], "mean": [0.5, 1.0], "n": [2, 1]}
