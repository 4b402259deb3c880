"""A picture for each case, light and dark: who is ahead, and by how much."""

from functools import partial

from benchmarks._results import EVEN, format_number

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
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "keras-tied",
    "font.size": 9,
    "axes.titlelocation": "left",
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
}
COLOURED = ("text.color", "xtick.color", "ytick.color", "axes.labelcolor")
WIDTH = 5.2  # inches, so that text can be read where the page is 390 pixels wide


def draw_pictures(results, folder):
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    folder.mkdir(parents=True, exist_ok=True)
    for name, result in results.items():
        for mode, colours in COLOURS.items():
            text = dict.fromkeys(COLOURED, colours["text"])
            with pyplot.rc_context(STYLE | text):
                figure = draw(result, colours)
                figure.savefig(
                    folder / f"{name}-{mode}.svg",
                    transparent=True,
                    metadata={"Date": None},
                    bbox_inches="tight",
                )
                pyplot.close(figure)


def draw(result, colours):
    """A panel for each measure, by the case itself or as bars."""
    from matplotlib import pyplot

    case = result.case
    columns = [c for c in result.columns if c.measure in case.PICTURE]
    if hasattr(case, "draw_result"):
        draw_panel = case.draw_result
        heights = [1] * len(columns)
        height = 2.6 * len(columns)
    else:
        draw_panel = partial(draw_bars, colours)
        columns = [column for column in columns if list_bars(result, column)]
        heights = [len(list_bars(result, column)) + 1 for column in columns]
        height = 0.27 * sum(heights) + 0.5 * len(heights)
    figure, axes = pyplot.subplots(
        len(columns),
        1,
        figsize=(WIDTH, height),
        height_ratios=heights,
        squeeze=False,
    )
    for axis, column in zip(axes[:, 0], columns, strict=True):
        draw_panel(result, column, axis)
        style_axis(axis, colours)
    figure.tight_layout()
    return figure


def style_axis(axis, colours):
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axis.spines[side].set_color(colours["line"])
    axis.tick_params(color=colours["line"])
    if legend := axis.get_legend():
        legend.get_frame().set_alpha(0)


def list_bars(result, column):
    """Systems with a value, and their ratios."""
    bars = []
    for system in result.runs:
        value = result.compute_value(system, column.measure, column.group)
        ratio = result.compute_ratio(system, column.measure, column.group)
        if value is not None and ratio is not None:
            bars.append((system, value, ratio))
    return bars


def draw_bars(colours, result, column, axis):
    """How many times as good ours is: to the right ours is ahead, to the left the peer."""
    is_less = result.measures[column.measure].better == "less"
    axis.set_title(f"{column.title} ({'smaller' if is_less else 'larger'} is better)")
    bars = list_bars(result, column)
    for place, (system, value, ratio) in enumerate(bars):
        is_base = result.is_base(system)
        is_behind = ratio < 1 / EVEN and not result.is_ours(system)
        colour = colours["peer" if is_behind else "ours"]
        alpha = 0.5 if is_base else 1
        axis.barh(
            place,
            ratio - 1,
            left=1,
            height=0.6,
            color=colour,
            alpha=alpha,
        )
        told = format_number(value)
        axis.annotate(
            told if is_base else f"{ratio:.3g} times  ({told})",
            (max(ratio, 1), place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            color=colours["text"],
        )
    axis.axvline(1, color=colours["line"], linewidth=1)
    axis.set_xscale("log")
    ratios = [ratio for *_, ratio in bars]
    low = min([*ratios, 0.9])
    high = max([*ratios, 1.1])
    axis.set_xlim(low / 1.1, high * (high / low) ** 0.6)
    axis.set_yticks(range(len(bars)), [system for system, *_ in bars])
    axis.invert_yaxis()
    axis.set_xticks([], [])
    axis.set_xticks([], [], minor=True)
    axis.set_xlabel("← the peer is ahead, ours is ahead →", fontsize=8)
