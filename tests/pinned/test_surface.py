"""What users' code, files and scripts name stays: more may come, and nothing of this
may go.
"""

import importlib
import inspect
from typing import Any

import keras
import pytest
import typer

from keras_tied import cli, mirror
from keras_tied.fitted import file

REGISTERED = {
    "keras_tied>Autoencoder": "keras_tied.Autoencoder",
    "keras_tied>Contractive": "keras_tied.layers.Contractive",
    "keras_tied>KLSparsity": "keras_tied.regularizers.KLSparsity",
    "keras_tied>KSparse": "keras_tied.layers.KSparse",
    "keras_tied>LBFGS": "keras_tied.training.LBFGS",
    "keras_tied>MaskingNoise": "keras_tied.layers.MaskingNoise",
    "keras_tied>NanMeanSquaredError": "keras_tied.losses.NanMeanSquaredError",
    "keras_tied>Orthonormal": "keras_tied.regularizers.Orthonormal",
    "keras_tied>PartlyLinear": "keras_tied.layers.PartlyLinear",
    "keras_tied>SaltAndPepperNoise": "keras_tied.layers.SaltAndPepperNoise",
    "keras_tied>TiedConv": "keras_tied.layers.TiedConv",
    "keras_tied>TiedDense": "keras_tied.layers.TiedDense",
    "keras_tied>TiedEinsumDense": "keras_tied.layers.TiedEinsumDense",
}
"""The names under which Keras's files know our classes."""

LISTED = {
    "keras_tied": (
        """
        Autoencoder TiedAutoencoder __version__ assert_tied comparison datasets estimator
        experiment layers load losses mirror plotting reference regularizers report retie tie ties
        trainable_variables training
        """
    ),
    "keras_tied.cli": "app main",
    "keras_tied.columns": "MISSING OTHER Column Columns Kind",
    "keras_tied.estimator": "TiedAutoencoder load",
    "keras_tied.layers": (
        """
        Contractive KSparse MaskingNoise PartlyLinear SaltAndPepperNoise Tie TiedConv TiedDense
        TiedEinsumDense assert_tied retie squared_jacobian_norm tie ties trainable_variables
        """
    ),
    "keras_tied.plotting": (
        """
        FORMATS AutoencoderDisplay four_panels new_figure new_window
        """
    ),
    "keras_tied.reference": (
        """
        NotFittedError NumpyAutoencoder PyTensorAutoencoder Weights loss_and_gradient
        """
    ),
    "keras_tied.regularizers": "KLSparsity Orthonormal",
    "keras_tied.report": "About PageColumn Report Rows Training",
    "keras_tied.tables": (
        """
        ENDINGS OUTPUT_ENDINGS Source TableError WriteError check_output open_table write_table
        """
    ),
    "keras_tied.training": (
        """
        LBFGS CountUnits Watcher fit interrupts
        """
    ),
}
"""The names in `__all__`, by module."""

UNLISTED = {
    "keras_tied.autoencoder": "Autoencoder",
    "keras_tied.comparison": "Width choose_width compare_widths",
    "keras_tied.datasets": "load_donuts make_clients make_correlated_donuts prepare",
    "keras_tied.experiment": "Experiment build_model run run_from_pca split",
    "keras_tied.losses": "NanMeanSquaredError",
}
"""The public names of the modules that have no `__all__`."""

ARGUMENTS = {
    "keras_tied.Autoencoder": "encoder decoder noise code_regularizer contraction",
    "keras_tied.Autoencoder.decode": "code batch_size verbose",
    "keras_tied.Autoencoder.encode": "x batch_size verbose",
    "keras_tied.Autoencoder.evaluate": "x y batch_size verbose sample_weight",
    "keras_tied.Autoencoder.fit": (
        """
        x y batch_size epochs verbose callbacks validation_split validation_data shuffle
        class_weight sample_weight initial_epoch steps_per_epoch validation_steps
        validation_batch_size validation_freq start
        """
    ),
    "keras_tied.Autoencoder.reconstruction_error": "x per_feature batch_size",
    "keras_tied.Autoencoder.start_from_pca": "x",
    "keras_tied.TiedAutoencoder": (
        """
        n_components hidden_layer_sizes activation solver scaler noise sparsity weight_decay
        encoder categorical_features max_iter batch_size learning_rate
        early_stopping validation_fraction n_iter_no_change contamination trim random_state verbose
        """
    ),
    "keras_tied.TiedAutoencoder.decision_function": "X",
    "keras_tied.TiedAutoencoder.explain": "X",
    "keras_tied.TiedAutoencoder.export": "path part dtype",
    "keras_tied.TiedAutoencoder.fit": "X y sample_weight",
    "keras_tied.TiedAutoencoder.inverse_transform": "X",
    "keras_tied.TiedAutoencoder.load": "path",
    "keras_tied.TiedAutoencoder.partial_fit": "X y sample_weight",
    "keras_tied.TiedAutoencoder.predict": "X",
    "keras_tied.TiedAutoencoder.rarity": "X",
    "keras_tied.TiedAutoencoder.reconstruct": "X",
    "keras_tied.TiedAutoencoder.reconstruction_error": "X per_feature",
    "keras_tied.TiedAutoencoder.save": "path",
    "keras_tied.TiedAutoencoder.score": "X y sample_weight",
    "keras_tied.TiedAutoencoder.score_samples": "X",
    "keras_tied.TiedAutoencoder.transform": "X",
    "keras_tied.datasets.load_donuts": "path",
    "keras_tied.datasets.make_clients": "n_samples random_state",
    "keras_tied.datasets.make_correlated_donuts": "n_samples random_state",
    "keras_tied.datasets.prepare": "X y random_state",
    "keras_tied.experiment.build_model": "kernel",
    "keras_tied.experiment.run": "X epochs engine random_state on_epoch",
    "keras_tied.experiment.run_from_pca": "X",
    "keras_tied.experiment.split": "X",
    "keras_tied.layers.Contractive": "encoder factor",
    "keras_tied.layers.KSparse": "k alpha",
    "keras_tied.layers.MaskingNoise": "rate seed",
    "keras_tied.layers.PartlyLinear": "activation linear_units",
    "keras_tied.layers.SaltAndPepperNoise": "rate low high seed",
    "keras_tied.layers.TiedConv": "tied_to transpose gain output_size",
    "keras_tied.layers.TiedDense": (
        """
        tied_to transpose gain activation use_bias bias_initializer bias_regularizer
        bias_constraint
        """
    ),
    "keras_tied.layers.TiedEinsumDense": "tied_to transpose gain bias_axes",
    "keras_tied.layers.squared_jacobian_norm": "encoder x",
    "keras_tied.layers.tie": "layer",
    "keras_tied.losses.NanMeanSquaredError": "reduction name dtype",
    "keras_tied.mirror": "encoder gain output_activation name",
    "keras_tied.mirror.register": "classes kernel",
    "keras_tied.plotting.AutoencoderDisplay": (
        """
        X code reconstruction history y errors pca_error feature_names label_name plane
        """
    ),
    "keras_tied.plotting.AutoencoderDisplay.from_estimator": (
        "estimator X figure kwargs"
    ),
    "keras_tied.plotting.AutoencoderDisplay.plot": "figure",
    "keras_tied.plotting.four_panels": "X code reconstruction history y pca_mse figure",
    "keras_tied.reference.NumpyAutoencoder": (
        """
        n_components learning_rate momentum decay epochs dtype random_state
        """
    ),
    "keras_tied.reference.PyTensorAutoencoder": (
        """
        n_components learning_rate momentum decay epochs dtype random_state
        """
    ),
    "keras_tied.regularizers.KLSparsity": "target factor",
    "keras_tied.regularizers.Orthonormal": "factor",
    "keras_tied.report.Report": (
        """
        fitted rows columns all_rows old changed training about most_points n_worst
        """
    ),
    "keras_tied.report.Report.from_estimator": (
        "estimator X feature_names ids labels label_name title facts"
    ),
    "keras_tied.report.Rows": (
        """
        X code reconstruction feature_errors outlier_scores ids labels label_name
        """
    ),
    "keras_tied.report.Training": "model history pca_error widths",
    "keras_tied.report.About": ("title warnings facts notes command versions safe_csv"),
    "keras_tied.report.Report.to_html": "",
    "keras_tied.training.LBFGS": "memory tolerance name",
    "keras_tied.training.fit": (
        """
        model x y batch_size epochs verbose callbacks validation_split validation_data shuffle
        class_weight sample_weight initial_epoch steps_per_epoch validation_steps
        validation_batch_size validation_freq checkpoint
        """
    ),
}
"""The arguments of what the reference in the documentation lists, in their order."""

POSITIONAL = {
    "": "",
    "demo": "",
    "sample": "output",
    "fit": "data",
    "encode": "model data",
    "reconstruct": "model data",
    "decode": "model data",
    "score": "model data",
    "plot": "model data",
    "report": "model data",
    "export": "model",
    "inspect": "model",
}
"""What each command is given by place, in order; the first is the command without a
name.
"""

READING = "--delimiter --encoding --array --sheet --skip --comment --max-columns"
COMMON = "--json --quiet -q --debug"
OPTIONS = {
    "": "--version --install-completion --show-completion",
    "demo": (
        """
        --output -o --show --data --epochs --seed --backend --engine --quiet -q --debug
        """
    ),
    "sample": "--seed --quiet -q --debug --no-clobber",
    "fit": (
        f"""
        --output -o --components --hidden --solver --epochs --validation --scaler --seed --columns
        --exclude --label --id {READING} {COMMON}
        """
    ),
    "encode": f"--output -o --id --safe-csv --impute-absent {READING} {COMMON}",
    "reconstruct": f"--output -o --id --safe-csv --impute-absent {READING} {COMMON}",
    "decode": f"--output -o --id --safe-csv {READING} {COMMON}",
    "score": f"--output -o --top --id --safe-csv --impute-absent {READING} {COMMON}",
    "plot": f"--output -o --label --impute-absent {READING} {COMMON}",
    "report": f"--output -o --label --id --impute-absent {READING} {COMMON}",
    "export": f"--output -o --part {COMMON}",
    "inspect": "--json --debug",
}
"""The options of each command, short forms too."""
WITH_NEEDED_OUTPUT = "fit encode reconstruct decode plot report export".split()
"""The commands that refuse to run without --output; no other option is needed anywhere.
"""


def found(path: str) -> Any:
    """What a dotted name stands for."""
    first, *names = path.split(".")
    value: Any = importlib.import_module(first)
    for name in names:
        value = getattr(value, name)
    return value


def command(name: str) -> Any:
    every = typer.main.get_command(cli.app)
    return every.commands[name] if name else every


def parameters(name: str, kind: str) -> list[Any]:
    """The options of a command, or its arguments."""
    return [p for p in command(name).params if p.param_type_name == kind]


@pytest.fixture
def long_table(tmp_path_factory, table):
    """The rows of the table, 50 times: their codes take 75,000 bytes of CSV."""
    header, *rows = table.read_text().splitlines(keepends=True)
    path = tmp_path_factory.mktemp("table") / "long.csv"
    path.write_text(header + "".join(rows * 50))
    return path


@pytest.mark.parametrize("name", REGISTERED)
def test_a_class_is_registered_with_keras_under_its_name(name):
    cls = found(REGISTERED[name])
    assert keras.saving.get_registered_name(cls) == name
    assert keras.saving.get_registered_object(name) is cls


@pytest.mark.parametrize("module", LISTED)
def test_a_module_lists_these_names(module):
    assert set(LISTED[module].split()) <= set(importlib.import_module(module).__all__)


@pytest.mark.parametrize("module", LISTED | UNLISTED)
def test_a_module_has_these_names(module):
    names = (LISTED | UNLISTED)[module].split()
    assert [
        name for name in names if not hasattr(importlib.import_module(module), name)
    ] == []


@pytest.mark.parametrize("path", ARGUMENTS)
def test_arguments_keep_their_names_and_order(path):
    expected = ARGUMENTS[path].split()
    there = [
        name for name in inspect.signature(found(path)).parameters if name != "self"
    ]
    assert [name for name in there if name in expected] == expected


def test_a_rule_of_mirror_is_told_these_facts():
    told = []

    class Own(keras.layers.Layer):
        def call(self, inputs):
            return inputs

    @mirror.register(Own)
    def rule(layer, seen):
        told.append(seen)
        return keras.layers.Identity(name=seen.name)

    mirror(keras.Sequential([keras.Input((3,)), Own(name="own")]), gain=False)
    (seen,) = told
    assert (seen.input_shape, seen.output_shape) == ((3,), (3,))
    assert (seen.name, seen.gain, seen.activation) == ("own_mirror", False, None)


@pytest.mark.parametrize("name", OPTIONS)
def test_a_command_has_these_options(name):
    options = {option for p in parameters(name, "option") for option in p.opts}
    assert set(OPTIONS[name].split()) <= options


@pytest.mark.parametrize("name", POSITIONAL)
def test_a_command_takes_these_arguments_in_order(name):
    assert [p.name for p in parameters(name, "argument")] == POSITIONAL[name].split()


@pytest.mark.parametrize("name", POSITIONAL)
def test_a_command_needs_no_other_option(name):
    needed = [p.name for p in parameters(name, "option") if p.required]
    assert needed == (["output"] if name in WITH_NEEDED_OUTPUT else [])


def test_what_succeeds_is_exit_code_0(keras_tied, model):
    assert keras_tied("inspect", model).code == 0


def test_what_fails_is_exit_code_1(keras_tied, tmp_path, model, long_table):
    """No file may grow beyond 50,000 bytes: Keras unpacks the model into fewer."""
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        done = keras_tied("encode", model, long_table, "-o", "codes.csv")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert done.code == 1
    assert "cannot write 'codes.csv'" in done.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [(), ("steam",), ("encode",), ("inspect", "none.keras"), ("inspect", "--steam")],
    ids=[
        "no command",
        "no such command",
        "no argument",
        "no such file",
        "no such option",
    ],
)
def test_wrong_use_is_exit_code_2(keras_tied, arguments):
    assert keras_tied(*arguments).code == 2


def test_ctrl_c_is_exit_code_130(keras_tied, model, monkeypatch, ctrl_c):
    monkeypatch.setattr(file, "read", ctrl_c)
    done = keras_tied("inspect", model)
    assert (done.code, done.err) == (130, "keras-tied: interrupted.\n")
