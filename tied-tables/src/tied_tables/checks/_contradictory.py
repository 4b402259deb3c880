"""Values that break rules between columns, or the habits of their own column."""

from collections.abc import Iterable, Iterator

import pyarrow as pa

from tied_tables.columns import Columns
from tied_tables.rows import Batch
from tied_tables.rules import Doubt, Rules, SatisfiedRelation, find_minorities

RULE_BLOCK_CELLS = 2**26  # of rows in which rules are found together


class ContradictionFinder:
    """Find the cells that break rules, in blocks of rows that fit into memory.

    Args:
        columns: the columns, whose marks of missing values are no wrong numbers.
        rules: those to keep to; None for those of each block.
        same: the column that names what several rows speak of; None if there is none.
    """

    def __init__(
        self, columns: Columns, rules: Rules | None = None, same: str | None = None
    ) -> None:
        self._marks = {column.name: column.marks for column in columns.used}
        self._same = same
        self._rules = rules
        self._latest = rules or Rules({}, [], [], {}, [])
        self._doubts: list[Doubt] = []
        self._rows: list[pa.RecordBatch] = []
        self._n_before = 0

    def watch(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Yield batches, and collect their rows."""
        for batch in batches:
            self.add(batch)
            yield batch

    def add(self, batch: Batch) -> None:
        """Collect the rows of a batch, which comes after the others."""
        self._rows.append(batch.rows)
        n_rows = sum(rows.num_rows for rows in self._rows)
        if n_rows * batch.rows.num_columns > RULE_BLOCK_CELLS:
            self._judge()

    def find(self) -> list[Doubt]:
        """Return the cells that break rules, after the last rows."""
        if self._rows:
            self._judge()
        return self._doubts

    def find_satisfied(self, rows: pa.RecordBatch) -> list[SatisfiedRelation]:
        """Return the columns of each relation, and in which rows it holds, `(n,)`."""
        return self._latest.find_satisfied(pa.Table.from_batches([rows]))

    def _judge(self) -> None:
        """Judge the rows that were collected."""
        table = pa.Table.from_batches(self._rows)
        self._latest = self._rules or Rules.find(table)
        doubts = self._latest.judge(table, self._marks)
        if self._same is not None:
            doubts = find_minorities(table, self._same) + doubts
        for doubt in doubts:
            self._doubts.append(doubt._replace(row=self._n_before + doubt.row))
        self._n_before += table.num_rows
        self._rows = []
