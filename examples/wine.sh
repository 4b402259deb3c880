#!/usr/bin/env bash
# From a table to codes, odd rows, a picture and a page, on scikit-learn's wines, in an empty folder.
set -euo pipefail
cd "$(mktemp -d)"

python - <<'PYTHON'
import pyarrow
from pyarrow import csv
from sklearn.datasets import load_wine

wine = load_wine()
columns = {"bottle": range(1, len(wine.data) + 1), "cultivar": wine.target_names[wine.target]}
columns |= zip(wine.feature_names, wine.data.T)
csv.write_csv(pyarrow.table(columns), "wine.csv")
PYTHON

tied-tables fit wine.csv -o wine.safetensors --components 2 --label cultivar --id bottle
tied-tables inspect wine.safetensors
tied-tables encode wine.safetensors wine.csv -o codes.csv
tied-tables score wine.safetensors wine.csv --top 5 -o -
tied-tables plot wine.safetensors wine.csv -o wine.png
tied-tables report wine.safetensors wine.csv -o wine.html
echo "written to $PWD:"
ls
