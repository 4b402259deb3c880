"""A picture for each case, light and dark: who is ahead, and by how much."""

from pathlib import Path
from typing import Any

from benchmarks._case import find_base
from benchmarks._results import EVEN, Result, format_number

COLOURS = {
    "light": {
        "text": "#1f2328",
        "line": "#8c959f",
        "ours": "#0a6ebd",
        "peer": "#c2570c",
    },
    "dark": {
        "text": "#e6edf3",
        "line": "#6e7681",
        "ours": "#58a6ff",
        "peer": "#f0883e",
    },
}
WIDTH = 5.2  # inches, so that text can be read where the page is 390 pixels wide


def draw_pictures(results: dict[str, Result], folder: Path) -> None:
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    folder.mkdir(parents=True, exist_ok=True)
    style = {"svg.fonttype": "none", "svg.hashsalt": "keras-tied", "font.size": 9}
    style |= {
        "axes.titlelocation": "left",
        "axes.titlesize": 9,
        "axes.titleweight": "bold",
    }
    for name, result in results.items():
        for mode, colours in COLOURS.items():
            text = {f"{k}.color": colours["text"] for k in ("text", "xtick", "ytick")}
            with pyplot.rc_context(
                {**style, **text, "axes.labelcolor": colours["text"]}
            ):
                figure = draw(result, colours)
                figure.savefig(
                    folder / f"{name}-{mode}.svg",
                    transparent=True,
                    metadata={"Date": None},
                    bbox_inches="tight",
                )
                pyplot.close(figure)


def draw(result: Result, colours: dict[str, str]) -> Any:
    from matplotlib import pyplot

    if hasattr(result.case, "draw_result"):
        panels = len(result.case.PICTURE)
        figure, axes = pyplot.subplots(
            panels, 1, figsize=(WIDTH, 2.6 * panels), squeeze=False
        )
        for axis, measure in zip(axes[:, 0], result.case.PICTURE, strict=True):
            result.case.draw_result(result, measure, axis)
            style_axis(axis, colours)
    else:
        drawn = [
            column for column in result.columns if column[1] in result.case.PICTURE
        ]
        bars = {column: list_bars(result, *column[1:]) for column in drawn}
        bars = {column: rows for column, rows in bars.items() if rows}
        heights = [len(rows) + 1 for rows in bars.values()] or [1]
        figure, axes = pyplot.subplots(
            len(heights),
            1,
            figsize=(WIDTH, 0.27 * sum(heights) + 0.5 * len(heights)),
            height_ratios=heights,
            squeeze=False,
        )
        for axis, ((title, measure, _), rows) in zip(
            axes[:, 0], bars.items(), strict=False
        ):
            is_less = result.measures[measure].better == "less"
            axis.set_title(f"{title} ({'smaller' if is_less else 'larger'} is better)")
            draw_bars(axis, result, rows, colours)
            style_axis(axis, colours)
    figure.tight_layout()
    return figure


def style_axis(axis: Any, colours: dict[str, str]) -> None:
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axis.spines[side].set_color(colours["line"])
    axis.tick_params(color=colours["line"])
    if legend := axis.get_legend():
        legend.get_frame().set_alpha(0)


def list_bars(
    result: Result, measure: str, task: str
) -> list[tuple[str, float, float]]:
    """Systems with a value, and their ratios."""
    rows = []
    for system in result.runs:
        value = result.compute_value(system, measure, task)
        ratio = result.compute_ratio(system, measure, task)
        if value is not None and ratio is not None:
            rows.append((system, value, ratio))
    return rows


def draw_bars(
    axis: Any,
    result: Result,
    rows: list[tuple[str, float, float]],
    colours: dict[str, str],
) -> None:
    """How many times as good ours is: to the right ours is ahead, to the left the peer."""
    for place, (system, value, ratio) in enumerate(rows):
        is_base = find_base(result.case.SYSTEMS, system) == system
        colour = colours[
            "peer" if ratio < 1 / EVEN and not result.is_ours(system) else "ours"
        ]
        axis.barh(
            place, ratio - 1, left=1, height=0.6, color=colour, alpha=1 - is_base / 2
        )
        told = (
            format_number(value)
            if is_base
            else f"{ratio:.3g} times  ({format_number(value)})"
        )
        axis.annotate(
            told,
            (max(ratio, 1), place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            color=colours["text"],
        )
    axis.axvline(1, color=colours["line"], linewidth=1)
    axis.set_xscale("log")
    ratios = [ratio for *_, ratio in rows]
    low, high = min([*ratios, 0.9]), max([*ratios, 1.1])
    axis.set_xlim(low / 1.1, high * (high / low) ** 0.6)
    axis.set_yticks(range(len(rows)), [system for system, *_ in rows])
    axis.invert_yaxis()
    axis.set_xticks([], [])
    axis.set_xticks([], [], minor=True)
    axis.set_xlabel("← the peer is ahead, ours is ahead →", fontsize=8)
