import inspect
import subprocess
import sys
import types
import warnings

import pytest

from keras_tied._deprecation import deprecate, warn_deprecated

HEAVY = set("keras jax tensorflow torch numpy sklearn".split())


@deprecate(since="0.3", removal="0.5", use="encode")
def to_code(x: float, *, scale: float = 1.0) -> float:
    """Scale a number."""
    return scale * x


class Model:
    @deprecate(since="0.3", removal="1.0", use="Model.encode")
    def to_code(self) -> "Model":
        return self


def fit(rows: list[int], epochs: int = 1, n_epochs: int | None = None) -> int:
    """A function whose argument has a new name."""
    if n_epochs is not None:
        warn_deprecated("n_epochs", since="0.3", removal="0.5", use="epochs")
        epochs = n_epochs
    return len(rows) * epochs


def line_of(warned: pytest.WarningsRecorder) -> str:
    """The source line that the only warning points at."""
    (warning,) = warned
    with open(warning.filename, encoding="utf-8") as file:
        return file.read().splitlines()[warning.lineno - 1].strip()


def test_a_function_says_when_it_goes_and_what_to_use():
    message = "`to_code` is deprecated since 0.3 and will be removed in 0.5; use `encode` instead."
    with pytest.warns(FutureWarning) as warned:
        to_code(1.0)
    assert [str(warning.message) for warning in warned] == [message]


def test_a_method_is_named_with_its_class():
    with pytest.warns(FutureWarning, match=r"^`Model\.to_code` is deprecated since 0\.3 "):
        Model().to_code()


def test_a_function_still_does_what_it_did():
    model = Model()
    with pytest.warns(FutureWarning):
        assert to_code(2.0, scale=3.0) == 6.0
    with pytest.warns(FutureWarning):
        assert model.to_code() is model


def test_a_function_keeps_its_name_signature_and_docstring():
    assert (to_code.__name__, to_code.__doc__) == ("to_code", "Scale a number.")
    assert list(inspect.signature(to_code).parameters) == ["x", "scale"]


def test_nothing_warns_before_the_call():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        deprecate(since="0.3", removal="0.5", use="encode")(len)
        assert fit([1, 2], epochs=3) == 6


def test_the_warning_of_a_function_points_at_the_call():
    with pytest.warns(FutureWarning) as warned:
        to_code(5.0)
    assert line_of(warned) == "to_code(5.0)"


def test_the_warning_of_an_argument_points_at_the_call():
    with pytest.warns(FutureWarning, match="`n_epochs`") as warned:
        assert fit([1, 2], n_epochs=7) == 14
    assert line_of(warned) == "assert fit([1, 2], n_epochs=7) == 14"


def test_the_warning_of_a_name_in_a_module_points_at_the_import(monkeypatch):
    def find(name: str) -> int:
        if name != "old":
            raise AttributeError(name)
        warn_deprecated("module.old", since="0.3", removal="0.5", use="module.new")
        return 1

    module = types.ModuleType("keras_tied_test_module")
    monkeypatch.setattr(module, "__getattr__", find, raising=False)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    with pytest.warns(FutureWarning, match=r"`module\.old`") as warned:
        from keras_tied_test_module import old
    assert line_of(warned) == "from keras_tied_test_module import old"
    assert old == 1


@pytest.mark.parametrize(("since", "removal"), [("0.3", "0.4"), ("1.9", "1.10.2"), ("0.3", "0.2")])
def test_a_name_cannot_go_before_two_minor_versions(since, removal):
    with pytest.raises(ValueError, match=f"^`len` warns since {since}: remove it two minor"):
        deprecate(since, removal, use="size")(len)
    with pytest.raises(ValueError, match=f"^`rows` warns since {since}"):
        warn_deprecated("rows", since, removal, use="X")


@pytest.mark.parametrize(("since", "removal"), [("0.3", "0.5"), ("0.9", "0.11"), ("0.9", "1.0")])
def test_a_name_can_go_after_two_minor_versions_or_in_a_major_one(since, removal):
    with pytest.warns(FutureWarning, match=f"since {since} and will be removed in {removal}"):
        warn_deprecated("rows", since, removal, use="X")


def test_the_module_imports_nothing_heavy():
    code = f"import sys, keras_tied._deprecation; print({HEAVY} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
