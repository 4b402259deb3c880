"""Figures and pages of the command, and what a browser makes of them."""

import json
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from keras_tied import TiedAutoencoder
from keras_tied.cli import _rows
from keras_tied.cli._model import load

from .conftest import table_options

HOSTILE = [
    '<img src=x onerror="window.ran=1">',
    "</script><script>window.ran=1</script>",
    "$$\\frac{1}{2}$$ {{ 7 * 7 }} [bold]",
    "=cmd|' /C calc'!A0",
]


def one_sentence(done):
    assert done.err.startswith("keras-tied: ")
    assert done.err.count("\n") == 1
    assert "Traceback" not in done.err
    return done.err


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(("ending", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_plot_writes_a_figure(keras_tied, model, fruit_csv, tmp_path, ending, start):
    done = keras_tied("plot", model, fruit_csv, "-o", f"fruit.{ending}")
    assert done == (0, f"drew 300 of 300 rows to fruit.{ending}\n", "")
    assert (tmp_path / f"fruit.{ending}").read_bytes().startswith(start)


def test_plot_gives_machines_the_error_of_the_rows_and_of_their_pca(
    keras_tied, tmp_path
):
    X = np.random.default_rng(0).normal(size=(80, 4)).astype(np.float32)
    np.save(tmp_path / "rows.npy", X)
    estimator = TiedAutoencoder(2, max_iter=5, random_state=0, trim=False).fit(X)
    estimator.save(tmp_path / "model.safetensors")
    done = keras_tied(
        "plot", "model.safetensors", "rows.npy", "-o", "rows.pdf", "--json"
    )
    found = json.loads(done.out)
    Z = StandardScaler().fit_transform(X)
    pca = PCA(2).fit(Z)
    reconstruction = pca.inverse_transform(pca.transform(Z))
    assert found["pca_error"] == pytest.approx(
        np.square(reconstruction - Z).mean(), rel=1e-4
    )
    assert found["error"] == pytest.approx(
        estimator.reconstruction_error(X).mean(), rel=1e-4
    )
    assert (found["rows"], found["drawn"], found["output"]) == (80, 80, "rows.pdf")


def test_a_letter_that_no_font_has_is_drawn_without_a_remark(keras_tied, tmp_path):
    lines = [f"{i % 7},{i % 5},{'漢字' if i % 2 else '𓂀'}" for i in range(60)]
    (tmp_path / "rows.csv").write_text("\n".join(["a,b,語", *lines]), encoding="utf-8")
    options = "--components", 1, "--epochs", 2, "--quiet"
    assert (
        keras_tied(
            "fit", "rows.csv", "-o", "m.safetensors", "--label", "語", *options
        ).code
        == 0
    )
    done = keras_tied("plot", "m.safetensors", "rows.csv", "-o", "rows.png", "--quiet")
    assert done == (0, "", "")


def open_rows(model, path, label=None):
    return _rows.open_with_label(load(model), str(path), table_options(), None, label)


def sample_of(*arguments):
    return _rows.take(open_rows(*arguments))[0]


def test_a_long_table_is_sampled_in_order_with_its_own_ids(
    model, fruit_csv, monkeypatch
):
    whole = sample_of(model, fruit_csv)
    monkeypatch.setattr(_rows, "MOST_ROWS", 120)
    part = sample_of(model, fruit_csv)
    places = [int(name) for name in part.ids]
    assert len(set(places)) == 120
    assert places == sorted(places)
    np.testing.assert_array_equal(part.numbers, whole.numbers[places])
    np.testing.assert_array_equal(part.labels, whole.labels[places])


def test_a_sample_of_rows_without_an_id_tells_their_places(
    keras_tied, tmp_path, monkeypatch
):
    X = np.random.default_rng(0).normal(size=(1200, 2)).astype(np.float32)
    np.save(tmp_path / "rows.npy", X)
    TiedAutoencoder(1, max_iter=1, random_state=0).fit(X).save(
        tmp_path / "m.safetensors"
    )
    monkeypatch.setattr(_rows, "MOST_ROWS", 300)
    part = sample_of(tmp_path / "m.safetensors", tmp_path / "rows.npy")
    assert part.ids is None
    assert len(part.places) == 300
    np.testing.assert_array_equal(part.numbers, X[part.places])


@pytest.mark.parametrize(
    ("label", "kind", "first"),
    [(None, "U", "good"), ("weight", "f", None), ("ripe", "b", None)],
)
def test_the_label_of_fit_or_any_column_tells_rows_apart(
    model, fruit_csv, label, kind, first
):
    rows = open_rows(model, fruit_csv, label)
    assert rows.label == (label or "taste")
    sample, _ = _rows.take(rows)
    assert sample.labels.dtype.kind == kind
    assert first is None or first in sample.labels


def test_text_that_is_all_numbers_is_shades_where_it_is_much(model, fruit_csv):
    # The id was read as text: it is of digits.
    sample = sample_of(model, fruit_csv, "name")
    np.testing.assert_array_equal(sample.labels, np.arange(300.0))


@pytest.fixture
def opened(chromium):
    """Opens a page without a network; gives it with what it says and what
    it asks for.
    """
    contexts = []

    def open_page(path):
        contexts.append(chromium.new_context(viewport={"width": 1440, "height": 900}))
        contexts[-1].set_offline(True)
        page, said, asked_for = contexts[-1].new_page(), [], []
        page.on(
            "console",
            lambda message: said.append(message.text) if message.type != "log" else 0,
        )
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: said.append(dialog.message))
        page.on("request", lambda request: asked_for.append(request.url))
        page.goto(path.as_uri())
        page.wait_for_selector("#table tbody tr")
        return page, said, asked_for

    yield open_page
    for context in contexts:
        context.close()


def test_report_writes_a_page(keras_tied, model, fruit_csv, tmp_path):
    done = keras_tied("report", model, fruit_csv, "-o", "fruit.html")
    assert done == (0, "reported on 300 rows to fruit.html\n", "")
    assert "keras-tied fit" in (tmp_path / "fruit.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_report_is_a_page_whose_panels_are_linked(
    keras_tied, model, fruit_csv, tmp_path, opened
):
    done = keras_tied("report", model, fruit_csv, "-o", "fruit.html")
    assert done == (0, "reported on 300 rows to fruit.html\n", "")
    page, said, asked_for = opened(tmp_path / "fruit.html")
    page.locator("#input").scroll_into_view_if_needed()
    box = page.locator("#input").bounding_box()
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.3 * box["height"])
    page.mouse.down()
    page.mouse.move(
        box["x"] + 0.8 * box["width"], box["y"] + 0.7 * box["height"], steps=5
    )
    page.mouse.up()
    page.wait_for_selector("#table input:checked")
    marked = "Bokeh.documents[0].get_model_by_name('rows').selected.indices.length"
    assert f"{page.evaluate(marked)} of 300 rows" in page.inner_text("#status")
    assert said == []
    assert len(asked_for) == 1


@pytest.mark.slow
def test_report_tells_ids_labels_commands_and_what_was_left_out(
    keras_tied, model, fruit_csv, tmp_path, opened
):
    keras_tied("report", model, fruit_csv, "-o", "fruit.html")
    page, _, _ = opened(tmp_path / "fruit.html")
    worst = keras_tied("score", model, fruit_csv, "--json", "--top", 5)
    ids = page.locator("#table tbody td.id").all_inner_texts()
    assert ids[:5] == [row["name"] for row in json.loads(worst.out)["oddest"]]
    text = page.inner_text("body")
    assert "keras-tied fit" in text
    assert f"keras-tied report {model} {fruit_csv} -o fruit.html" in text
    assert "day (a date or time" in text
    for name in ("keras-tied", "numpy", "scipy", "bokeh"):
        assert name in page.locator(".versions dt").all_inner_texts()


@pytest.fixture
def hostile(keras_tied, tmp_path):
    """A table and a model whose names and labels try to be more than text."""
    rng = np.random.default_rng(0)
    quoted = ['"' + text.replace('"', '""') + '"' for text in HOSTILE]
    lines = [
        f"{a:.3f},{b:.3f},{quoted[i % 4]},{quoted[-i % 4]}{i}"
        for i, (a, b) in rows(rng)
    ]
    data = "<b>&'it'$x$.csv"
    (tmp_path / data).write_text("\n".join([",".join(quoted), *lines]))
    named = "--label", HOSTILE[2], "--id", HOSTILE[3]
    options = "--components", 1, "--epochs", 2, "--quiet"
    assert keras_tied("fit", data, "-o", "<i>m.safetensors", *named, *options).code == 0
    return "<i>m.safetensors", data


def rows(rng):
    return enumerate(rng.normal(size=(60, 2)))


@pytest.mark.slow
def test_hostile_names_and_labels_are_text_in_the_page(
    keras_tied, hostile, tmp_path, opened
):
    assert keras_tied("report", *hostile, "-o", "<u>r.html").code == 0
    page, said, asked_for = opened(tmp_path / "<u>r.html")
    text = page.inner_text("body")
    assert all(name in text for name in HOSTILE)
    assert page.title() == hostile[1]
    assert page.locator("main img").count() == 0
    assert page.evaluate("window.ran") is None
    assert said == []
    assert len(asked_for) == 1


def test_hostile_names_and_labels_are_text_in_the_figure(keras_tied, hostile, tmp_path):
    assert keras_tied("plot", *hostile, "-o", "plot.svg").code == 0
    tags = {
        part.tag.split("}")[-1]
        for part in ElementTree.parse(tmp_path / "plot.svg").iter()
    }
    assert not tags & {"script", "img", "b"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["plot", "MODEL", "DATA", "-o", "a.txt"], ".png, .svg, .pdf"),
        (["report", "MODEL", "DATA", "-o", "a.pdf"], ".html"),
        (
            ["plot", "MODEL", "DATA", "-o", "nowhere/a.png"],
            "folder that does not exist",
        ),
        (
            ["report", "none.safetensors", "DATA", "-o", "a.html"],
            "no file 'none.safetensors'",
        ),
        (["report", "DATA", "DATA", "-o", "a.html"], "is not a file that"),
        (["plot", "MODEL", "none.csv", "-o", "a.png"], "none.csv"),
        (["plot", "MODEL", "short.csv", "-o", "a.png"], "no column 'weight', 'length'"),
        (
            ["report", "MODEL", "infinite.csv", "-o", "a.html"],
            "'weight' holds inf in row 2",
        ),
        (
            ["plot", "MODEL", "DATA", "-o", "a.png", "--label", "colour"],
            "no column 'colour'",
        ),
        (
            ["report", "MODEL", "DATA", "-o", "a.html", "--id", "colour"],
            "no column 'colour'",
        ),
    ],
)
def test_what_cannot_be_drawn_is_said_in_one_sentence_and_leaves_nothing(
    keras_tied, model, fruit_csv, tmp_path, arguments, said
):
    header, first, second = fruit_csv.read_text().splitlines()[:3]
    (tmp_path / "short.csv").write_text("name,kind\n1,apple\n")
    cells = second.split(",")
    infinite = ",".join([*cells[:2], "inf", *cells[3:]])
    (tmp_path / "infinite.csv").write_text("\n".join([header, first, infinite]))
    before = names(tmp_path)
    given = {"MODEL": model, "DATA": fruit_csv}
    done = keras_tied(*[given.get(argument, argument) for argument in arguments])
    assert done.code == 2
    assert said in one_sentence(done)
    assert names(tmp_path) == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "output"), [("plot", "a.png"), ("report", "a.html")]
)
def test_a_file_that_cannot_be_written_whole_is_not_there(
    model, fruit_csv, tmp_path, command, output
):
    keras_tied = (
        sys.executable,
        "-m",
        "keras_tied",
        command,
        model,
        fruit_csv,
        "-o",
        output,
    )
    keras_tied += ("--quiet",)  # else a slow machine says that it is at work
    done = subprocess.run(
        ["sh", "-c", 'ulimit -f 200; exec "$@"', "-", *keras_tied],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(
        f"keras-tied: cannot write '{output}': File too large; "
    )
    assert done.stderr.count("\n") == 1
    assert names(tmp_path) == []


@pytest.mark.slow
def test_characters_that_no_font_has_are_named_once(
    keras_tied, model, fruit_csv, tmp_path
):
    text = fruit_csv.read_text().replace(",good", ",𒀀𒀁").replace(",bad", ",𒀀")
    (tmp_path / "rows.csv").write_text(text, encoding="utf-8")
    done = keras_tied("plot", model, "rows.csv", "-o", "a.png")
    assert done.code == 0
    assert done.err.count("no font here has 𒀀𒀁, drawn as boxes") == 1
    assert keras_tied("plot", model, "rows.csv", "-o", "a.png", "--quiet").err == ""


@pytest.mark.slow
def test_a_long_table_is_drawn_as_a_density_with_some_of_its_rows(keras_tied, tmp_path):
    X = np.random.default_rng(0).normal(size=(10_400, 3)).astype(np.float32)
    np.save(tmp_path / "rows.npy", X)
    TiedAutoencoder(1, max_iter=1, random_state=0).fit(X[:300]).save(
        tmp_path / "m.safetensors"
    )
    done = keras_tied("plot", "m.safetensors", "rows.npy", "-o", "a.svg")
    assert done.out == "drew 10,400 of 10,400 rows to a.svg\n"
    assert "1,500 of 10,400 rows as points" in (tmp_path / "a.svg").read_text(
        encoding="utf-8"
    )


def test_the_curve_of_a_network_that_was_rejected_is_not_drawn(keras_tied, tmp_path):
    rng = np.random.default_rng(0)
    rows = "\n".join(
        ",".join(f"{x:.3f}" for x in row) for row in rng.normal(size=(60, 4))
    )
    (tmp_path / "noise.csv").write_text(f"a,b,c,d\n{rows}\n")
    assert keras_tied("fit", "noise.csv", "-o", "m.safetensors", "--quiet").code == 0
    assert keras_tied("plot", "m.safetensors", "noise.csv", "-o", "a.svg").code == 0
    assert "not trained" in (tmp_path / "a.svg").read_text()
