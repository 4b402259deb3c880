#!/usr/bin/env bash
# How many numbers does a table hold? The page of docs/images/report.png, in an empty folder.
set -euo pipefail
cd "$(mktemp -d)"

python - <<'PYTHON'
import pyarrow
from pyarrow import csv
from sklearn.datasets import load_breast_cancer

tumours = load_breast_cancer()
columns = {
    "patient": [f"p{i:03d}" for i in range(1, len(tumours.data) + 1)],
    "diagnosis": tumours.target_names[tumours.target],
}
columns |= zip(tumours.feature_names, tumours.data.T)
csv.write_csv(pyarrow.table(columns), "tumours.csv")
PYTHON

tied-tables fit tumours.csv -o tumours.safetensors --components 1..12 --id patient --label diagnosis
tied-tables report tumours.safetensors tumours.csv -o tumours.html
echo "written to $PWD"
