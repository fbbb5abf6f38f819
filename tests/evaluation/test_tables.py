import math

import pandas as pd
import pytest

from vlmcog.errors import UserError
from vlmcog.evaluation import metrics, tables
from vlmcog.statistics.intervals import UNDEFINED

MAKE = "python -m vlmcog.evaluate --workdir w"


def metric_rows(on, value, run="r"):
    found = [metrics.Metric("tiny", "accuracy", value, 9, UNDEFINED)]
    return metrics.table(found, run=run, tuned_on="t", evaluated_on=on, seed=0)


@pytest.mark.parametrize("item", ["NA", "null", "007", 'a "quoted", item', "<script>", "\u00e9t\u00e9", "two\nlines"])
def test_answers_survive_the_round_trip(tmp_path, answers_table, item):
    answers = answers_table([[0.1, 0.9], [1 / 3, 2 / 3]], [1, -1]).assign(item=["x", item])
    tables.write(answers, tmp_path / "a.csv")
    again = tables.read_answers(tmp_path / "a.csv", run="towers", make_it=MAKE)
    pd.testing.assert_frame_equal(again, answers, check_dtype=False)
    parquet = pd.read_parquet(tmp_path / "a.parquet")
    pd.testing.assert_frame_equal(parquet, answers, check_dtype=False)


def test_metrics_replace_those_of_the_same_set_alone(tmp_path):
    for rows in (metric_rows("a", 0.1), metric_rows("b", math.nan), metric_rows("a", 0.3)):
        tables.update_metrics(tmp_path, rows, run="r", make_it=MAKE)
    table = tables.read_metrics(tmp_path, run="r", make_it=MAKE).set_index("evaluated_on")
    assert table.value["a"] == 0.3
    assert math.isnan(table.value["b"])
    assert len(table) == 2
    assert ",NaN," in (tmp_path / "metrics.csv").read_text()


def test_nothing_but_the_tables_is_left(tmp_path):
    tables.update_metrics(tmp_path, metric_rows("a", 0.1), run="r", make_it=MAKE)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["metrics.csv", "metrics.parquet"]


def test_a_missing_table_names_the_command(tmp_path):
    with pytest.raises(UserError, match=r"metrics.csv is missing; make it with: python -m vlmcog.evaluate"):
        tables.read_metrics(tmp_path, run="r", make_it=MAKE)


def test_another_run_s_answers_are_refused(tmp_path, answers_table):
    tables.write(answers_table([[0.1, 0.9]], [1], run="other"), tmp_path / "a.csv")
    with pytest.raises(UserError, match=r"a.csv is of run 'other', not 'mine'"):
        tables.read_answers(tmp_path / "a.csv", run="mine", make_it=MAKE)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot read"),
        ("run,model\nr,m\n", "no column 'tuned_on'"),
        ("run,model,tuned_on,evaluated_on,metric,value,ci_low,ci_high,n,seed\nr,m,t,e,accuracy,much,,,9,0\n", "'much'"),
    ],
)
def test_a_damaged_table_is_named(tmp_path, text, message):
    (tmp_path / "metrics.csv").write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        tables.read_metrics(tmp_path, run="r", make_it=MAKE)
    assert "metrics.csv" in str(caught.value)
    assert "\n" not in str(caught.value)
