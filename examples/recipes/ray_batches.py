"""Encode a folder of Parquet files with Ray: python ray_batches.py MODEL DATA OUTPUT.

Each worker unpickles the function once, and is given Arrow tables. Needs `ray[data]`.
"""

import sys

import pyarrow as pa
import ray

from tied_tables.rows import load_transform

model, data, output = sys.argv[1:]
encode = load_transform(model)


def encode_table(table: pa.Table) -> pa.Table:
    schema = encode(table.slice(0, 1).to_batches()[0]).schema
    return pa.Table.from_batches(map(encode, table.to_batches()), schema)


ray.init(include_dashboard=False, logging_level="error")
rows = ray.data.read_parquet(data)
rows.map_batches(encode_table, batch_format="pyarrow", batch_size=None).write_parquet(
    output
)
ray.shutdown()
