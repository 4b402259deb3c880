import datetime
import json

import pytest

from keras_tied.columns import Columns
from keras_tied.tables import open_table


@pytest.mark.parametrize("name", ["clients.csv", "clients.parquet", "clients.tsv.gz"])
def test_a_table_of_all_kinds_is_written(keras_tied, name):
    done = keras_tied("sample", name)
    assert (done.code, done.out) == (0, "")
    assert f"wrote 300 rows to {name}; next, keras-tied check {name}" in done.err
    rows = open_table(name).sample(300, seed=0)
    columns, facts = Columns.survey(rows)
    kinds = {column.name: str(column.kind) for column in columns.used}
    assert kinds.pop("joined") == "time"
    assert kinds == {
        **{"town": "text", "age": "integer", "income": "integer", "plan": "text"},
        **{"orders": "integer", "spent": "number", "newsletter": "boolean"},
    }
    assert sum(fact.missing > 0 for fact in facts) == 1


def test_a_table_is_that_of_its_seed(keras_tied):
    first = keras_tied("sample", "-", "--quiet")
    assert first.err == ""
    assert keras_tied("sample", "-", "--quiet", "--seed", 0).out == first.out
    assert keras_tied("sample", "-", "--quiet", "--seed", 1).out != first.out
    day = first.out.splitlines()[1].split(",")[7]
    assert datetime.date.fromisoformat(day).year >= 2020


def test_an_output_that_cannot_hold_it_is_refused(keras_tied, tmp_path):
    for arguments in (["clients.xlsx"], ["clients.npy"], ["there.csv", "--no-clobber"]):
        (tmp_path / "there.csv").write_text("")
        done = keras_tied("sample", *arguments)
        assert done.code == 2
        assert done.err.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_the_two_odd_rows_come_first(keras_tied, seed):
    keras_tied("sample", "clients.csv", "--seed", seed)
    keras_tied("fit", "clients.csv", "-o", "model.safetensors", "--id", "client")
    found = json.loads(
        keras_tied("score", "model.safetensors", "clients.csv", "--json").out
    )
    assert {row["client"] for row in found["oddest"][:2]} == {"C0101", "C0201"}
