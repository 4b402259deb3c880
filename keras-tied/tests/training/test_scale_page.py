"""The scripts and launch files of `docs/guide/scale.md`."""

import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import pytest
from keras.saving import load_model
from numpy.random import default_rng
from tests.marks import slow
from tests.processes import find_port, run_python

PAGE = Path(__file__).parents[3] / "docs" / "guide" / "scale.md"
BLOCKS = re.findall(
    r"^```(\w+)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL
)


def blocks(language):
    return [text for name, text in BLOCKS if name == language]


@pytest.mark.parametrize("script", blocks("python"))
def test_python_of_the_page_compiles(script):
    compile(script, str(PAGE), "exec")


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize("script", blocks("bash"))
def test_shell_of_the_page_has_no_syntax_errors(script):
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)


@pytest.mark.parametrize("text", blocks("yaml"))
def test_kubernetes_file_of_the_page_names_one_service_and_its_job(text):
    yaml = pytest.importorskip("yaml")
    service, job = yaml.safe_load_all(text)
    assert (service["kind"], job["kind"]) == ("Service", "Job")
    pod = job["spec"]["template"]["spec"]
    assert pod["subdomain"] == service["metadata"]["name"]
    variables = {each["name"]: each["value"] for each in pod["containers"][0]["env"]}
    assert (
        int(variables["PROCESSES"])
        == job["spec"]["completions"]
        == job["spec"]["parallelism"]
    )
    host = f"{job['metadata']['name']}-0.{service['metadata']['name']}"
    assert variables["JAX_COORDINATOR_ADDRESS"].startswith(f"{host}:")


@slow
@pytest.mark.skipif(keras.backend.backend() != "jax", reason="needs JAX")
def test_script_of_the_page_trains_on_two_processes_as_kubernetes_starts_it(tmp_path):
    (script,) = (text for text in blocks("python") if text.startswith("# train.py"))
    (tmp_path / "train.py").write_text(script)
    rows = default_rng(0).normal(size=(600, 40)).astype("float32")
    np.save(tmp_path / "rows.npy", rows)
    environment = {
        "KERAS_BACKEND": "jax",
        "JAX_PLATFORMS": "cpu",
        "PROCESSES": "2",
        "JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{find_port()}",
    }

    def train(index):
        own = environment | {"JOB_COMPLETION_INDEX": index}
        run_python("train.py", environment=own, cwd=tmp_path)

    with ThreadPoolExecutor() as pool:
        list(pool.map(train, "01"))
    model = load_model(tmp_path / "autoencoder.keras")
    assert model.reconstruction_error(rows).mean() < np.square(rows).mean()
