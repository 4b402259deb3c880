"""Encode a folder of Parquet files with Spark: python spark_batches.py MODEL DATA
OUTPUT [MASTER].

Each worker unpickles the function once, and is given Arrow batches. Needs `pyspark` 4
and Java.
"""

import sys
from collections.abc import Iterator

import pyarrow as pa
from pyspark.sql import SparkSession

from tied_tables.rows import load_transform

model, data, output, *master = sys.argv[1:]
encode = load_transform(model)


def encode_batches(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    return map(encode, (batch for batch in batches if batch.num_rows))


session = SparkSession.builder.master(master[0] if master else "local[2]").getOrCreate()
rows = session.read.parquet(data)
schema = ", ".join(f"code{index} float" for index in range(encode.fitted.n_components))
rows.mapInArrow(encode_batches, schema).write.parquet(output)
session.stop()
