"""The fitted value over batches of Arrow tables, here, on Dask or another engine.

`load_transform` gives a function of Arrow batches, which is all that an engine such as
Ray or Spark needs. Whole tables go through Dask: `connect` reaches its workers. Needs
`tied-tables[cli]`, and `tied-tables[dask]` for workers.
"""

from tied_tables.rows._cluster import ClusterError, connect
from tied_tables.rows._fill import fill_rows, list_new_cells
from tied_tables.rows._folder import OutputFolder
from tied_tables.rows._scan import Batch, Reads, Scan, fold
from tied_tables.rows._tables import sample_table, transform_table
from tied_tables.rows._transform import (
    BatchTransform,
    Output,
    code_names,
    find_columns,
    load_transform,
    prepend_id,
    to_dict,
)
from tied_tables.rows._workers import Here, Workers

__all__ = [
    "Batch",
    "BatchTransform",
    "ClusterError",
    "Here",
    "Output",
    "OutputFolder",
    "Reads",
    "Scan",
    "Workers",
    "code_names",
    "connect",
    "fill_rows",
    "find_columns",
    "fold",
    "list_new_cells",
    "load_transform",
    "prepend_id",
    "sample_table",
    "to_dict",
    "transform_table",
]
