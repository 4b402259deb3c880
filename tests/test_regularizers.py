"""The regularizers against their formulas in NumPy."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import layers, ops

from keras_tied.regularizers import KLSparsity, Orthonormal

SEEDS = st.integers(0, 2**32 - 1)


def number(value: object) -> float:
    return float(ops.convert_to_numpy(value))


def activations(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.02, 0.98, shape).astype("float32")


def divergence(x: np.ndarray, target: float) -> float:
    """The sum over units of KL(target || mean activation)."""
    mean = x.astype("float64").reshape(-1, x.shape[-1]).mean(axis=0)
    coins = np.array([[target, 1 - target]]), np.stack([mean, 1 - mean], axis=1)
    return float(np.sum(coins[0] * np.log(coins[0] / coins[1])))


class TestKLSparsity:
    @given(
        shape=st.lists(st.integers(1, 5), min_size=2, max_size=4),
        target=st.floats(0.01, 0.99),
        factor=st.floats(0, 10),
        seed=SEEDS,
    )
    @pytest.mark.slow
    def test_the_loss_of_a_layer_is_the_formula(self, shape, target, factor, seed):
        x = activations(*shape, seed=seed)
        layer = layers.Identity(activity_regularizer=KLSparsity(target, factor))
        layer(x)
        expected = factor * divergence(x, target)
        np.testing.assert_allclose(
            number(layer.losses[0]), expected, rtol=1e-4, atol=1e-5
        )

    def test_the_loss_of_a_layer_does_not_depend_on_the_batch_size(self):
        layer, losses = layers.Identity(activity_regularizer=KLSparsity()), []
        for times in (1, 2, 7):
            layer(np.tile(activations(3, 4), (times, 1)))
            losses.append(number(layer.losses[0]))
        np.testing.assert_allclose(losses, losses[0], rtol=1e-5)

    def test_called_directly_it_is_a_sum_over_rows(self):
        x = activations(6, 4)
        expected = 6 * 2.0 * divergence(x, 0.1)
        np.testing.assert_allclose(number(KLSparsity(0.1, 2.0)(x)), expected, rtol=1e-5)

    def test_it_is_zero_at_the_target_and_only_there(self):
        def cost(mean: float) -> float:
            return number(KLSparsity(0.3)(np.full((1, 1), mean, "float32")))

        assert abs(cost(0.3)) < 1e-6
        assert cost(0.29) > 0 < cost(0.31)

    @pytest.mark.parametrize("value", [0.0, 1.0])
    @pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
    def test_it_is_finite_where_units_are_always_off_or_on(self, value, dtype):
        assert np.isfinite(number(KLSparsity()(ops.full((3, 4), value, dtype=dtype))))

    def test_training_brings_units_to_the_target(self):
        x = np.random.default_rng(0).normal(size=(64, 6)).astype("float32")
        encoder = layers.Dense(3, "sigmoid", activity_regularizer=KLSparsity(0.1))
        model = keras.Sequential([keras.Input((6,)), encoder])
        model.compile(keras.optimizers.SGD(4.0), lambda _, code: 0.0 * ops.sum(code))
        for _ in range(60):
            model.train_on_batch(x, np.zeros((64, 3), "float32"))
        means = model.predict(x, verbose=0).mean(axis=0)
        np.testing.assert_allclose(means, 0.1, atol=0.01)

    def test_under_mixed_precision_the_penalty_is_computed_in_single_precision(self):
        x = activations(500, 4)
        layer = layers.Identity(
            activity_regularizer=KLSparsity(), dtype="mixed_float16"
        )
        layer(x)
        assert keras.backend.standardize_dtype(layer.losses[0].dtype) == "float32"
        expected = divergence(x.astype("float16"), 0.05)
        np.testing.assert_allclose(number(layer.losses[0]), expected, rtol=1e-4)

    @pytest.mark.parametrize("target", [0.0, 1.0, -0.1, 1.5, float("nan")])
    def test_target_that_is_no_chance(self, target):
        with pytest.raises(
            ValueError, match=r"KLSparsity takes as target .* received target="
        ):
            KLSparsity(target)


class TestOrthonormal:
    @given(
        shape=st.lists(st.integers(1, 6), min_size=2, max_size=4),
        factor=st.floats(0, 10),
        seed=SEEDS,
    )
    @pytest.mark.slow
    def test_it_is_the_formula(self, shape, factor, seed):
        kernel = np.random.default_rng(seed).normal(size=shape).astype("float32")
        singular = np.linalg.svd(
            kernel.reshape(-1, shape[-1]).astype("float64"), compute_uv=False
        )
        expected = factor * np.sum((singular**2 - 1) ** 2)
        np.testing.assert_allclose(
            number(Orthonormal(factor)(kernel)), expected, rtol=1e-4, atol=1e-5
        )

    @pytest.mark.parametrize("shape", [(6, 3), (3, 6), (2, 2, 3, 4), (4, 4)])
    def test_it_is_zero_for_orthonormal_vectors_of_the_shorter_side(self, shape):
        kernel = keras.initializers.Orthogonal(seed=0)(shape)
        assert number(Orthonormal(1.0)(kernel)) < 1e-9

    def test_keras_leaves_lengths_free_and_it_does_not(self):
        kernel = 2 * np.eye(3, dtype="float32")
        assert number(keras.regularizers.OrthogonalRegularizer(1.0)(kernel)) == 0
        assert number(Orthonormal(1.0)(kernel)) == 27

    def test_training_makes_the_tied_decoder_the_pseudo_inverse(self):
        model = keras.Sequential(
            [keras.Input((6,)), layers.Dense(3, kernel_regularizer=Orthonormal(1.0))]
        )
        model.compile(keras.optimizers.SGD(0.1), lambda _, code: 0.0 * ops.sum(code))
        for _ in range(60):
            model.train_on_batch(
                np.ones((1, 6), "float32"), np.zeros((1, 3), "float32")
            )
        kernel = model.layers[0].kernel.numpy()
        np.testing.assert_allclose(kernel.T, np.linalg.pinv(kernel), atol=1e-4)

    @pytest.mark.parametrize("dtype", ["mixed_float16", "bfloat16"])
    def test_half_precision_adds_a_penalty_in_single_precision(self, dtype):
        layer = layers.Dense(3, kernel_regularizer=Orthonormal(1.0), dtype=dtype)
        layer.build((None, 4))
        layer.kernel.assign(300 * np.ones((4, 3)))
        assert keras.backend.standardize_dtype(layer.losses[0].dtype) == "float32"
        expected = np.sum((4 * 300.0**2 * np.ones((3, 3)) - np.eye(3)) ** 2)
        np.testing.assert_allclose(number(layer.losses[0]), expected, rtol=0.02)

    def test_vector(self):
        with pytest.raises(
            ValueError, match=r"Orthonormal takes a kernel of two .* shape \(3,\): "
        ):
            Orthonormal()(np.ones(3, "float32"))


@pytest.mark.parametrize(
    "regularizer",
    [KLSparsity(0.2, 3.0), Orthonormal(0.5)],
    ids=lambda each: type(each).__name__,
)
def test_saved_and_cloned_models_keep_it(regularizer, tmp_path):
    keyword = "activity" if isinstance(regularizer, KLSparsity) else "kernel"
    layer = layers.Dense(
        3, "sigmoid", name="code", **{f"{keyword}_regularizer": regularizer}
    )
    model = keras.Sequential([keras.Input((4,)), layer])
    model.save(tmp_path / "model.keras")
    copies = [
        keras.saving.load_model(tmp_path / "model.keras"),
        keras.models.clone_model(model),
    ]
    for copy in copies:
        found = getattr(copy.get_layer("code"), f"{keyword}_regularizer")
        assert type(found) is type(regularizer)
        assert found.get_config() == regularizer.get_config()
