"""The fitted value over batches of Arrow tables, on workers of Dask or of any other engine.

`load_transform` gives a function of Arrow batches, which is all that an engine such as
Ray or Spark needs. Whole tables go through Dask: `connect` reaches its workers. Needs
`keras-tied[cli]`, and
`keras-tied[dask]` for workers.
"""

from keras_tied.rows._cluster import ClusterError, connect
from keras_tied.rows._folder import OutputFolder
from keras_tied.rows._odd import find_far_values, find_oddest
from keras_tied.rows._tables import measure_table, transform_table
from keras_tied.rows._transform import (
    BatchTransform,
    Output,
    code_names,
    load_transform,
    measure_rows,
    prepend_id,
)
from keras_tied.rows._workers import Here, Workers

__all__ = [
    "BatchTransform",
    "ClusterError",
    "Here",
    "Output",
    "OutputFolder",
    "Workers",
    "code_names",
    "connect",
    "find_far_values",
    "find_oddest",
    "load_transform",
    "measure_rows",
    "measure_table",
    "prepend_id",
    "transform_table",
]
