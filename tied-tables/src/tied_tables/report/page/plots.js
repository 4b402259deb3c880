"use strict";

// The figures, which Bokeh draws: their colours, the units shown, and the keyboard.
const Plots = (() => {
  const NAMES = ["input", "code", "reconstruction"];
  const AXES = {
    ArrowLeft: "x",
    ArrowRight: "x",
    ArrowUp: "y",
    ArrowDown: "y",
  };
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const { ranges, palettes } = Data.view;
  let models = null;
  let plots = [];
  let source = null;

  function findPlot(name) {
    return plots.find((plot) => plot.name === name);
  }

  async function draw() {
    const { document: drawing, roots } = Data.figures;
    const item = { docid: "page", roots, root_ids: Object.keys(roots) };
    await Bokeh.embed.embed_items({ page: drawing }, [item]);
    models = Bokeh.documents.at(-1);
    plots = models.roots();
    source = models.get_model_by_name("rows");
    Marks.connect(source);
    nameAxes(0, 1);
    Colours.start(showColours);
    dark.addEventListener("change", paint);
    addEventListener("beforeprint", addPictures);
    addEventListener("afterprint", removePictures);
    // A finger that scrolls the page must not draw a selection; a tool can be tapped.
    if (matchMedia("(pointer: coarse)").matches) {
      for (const { toolbar } of plots) toolbar.active_drag = null;
    }
    for (const name of NAMES) {
      element(name).addEventListener("keydown", (event) => press(event, name));
    }
  }

  function showColours() {
    const colour = Float32Array.from(Colours.get().values);
    const shape = Colours.listShapes();
    source.data = { ...source.data, colour, shape };
    paint();
  }

  // Bokeh draws on canvases, which do not know when a style sheet's colours change.
  function paint() {
    const style = getComputedStyle(root);
    const isDark = dark.matches && !root.classList.contains("printing");
    const find = (name) => style.getPropertyValue(`--${name}`).trim();
    const { low, high } = Colours.get();
    const palette = Colours.findPalette(isDark);
    const colours = models.get_model_by_name("colours");
    colours.setv({ palette, nan_color: find("muted"), low, high });
    // There is none where all rows are drawn.
    const densities = models.get_model_by_name("densities");
    densities?.setv({ palette: palettes.density[Number(isDark)] });
    for (const renderer of plots.flatMap((plot) => plot.renderers)) {
      if (renderer.name === "points") {
        renderer.selection_glyph.line_color = { value: find("ink") };
        renderer.hover_glyph.line_color = { value: find("ink") };
      } else if (renderer.name === "rings") {
        renderer.glyph.line_color = { value: find("pca") };
      }
    }
  }

  // Bokeh does this by itself, but later than a page is printed.
  function applyColours(view) {
    const glyphs = [view.glyph, view.selection_glyph, view.nonselection_glyph];
    for (const glyph of glyphs)
      glyph.set_visuals(view.model.data_source, view.all_indices);
  }

  /** Put a picture of each figure beside it, in the colours for paper. */
  function addPictures() {
    root.classList.add("printing");
    paint();
    for (const plot of plots) {
      const view = Bokeh.index.get_by_id(plot.id);
      const renderers = view.all_renderer_views.filter(({ glyph }) => glyph);
      renderers.forEach(applyColours);
      const { canvas } = view.export("png");
      const alt = element(`${plot.name}-heading`).textContent;
      const properties = { className: "printed", src: canvas.toDataURL(), alt };
      element(plot.name).append(make("img", properties));
    }
  }

  function removePictures() {
    root.classList.remove("printing");
    paint();
    for (const image of document.querySelectorAll(".printed")) image.remove();
  }

  /** Choose the type of the tool that dragging uses; the wheel zooms beside moving. */
  function chooseTool(type) {
    for (const { toolbar } of plots) {
      const find = (wanted) =>
        toolbar.tools.find((tool) => tool.type === wanted);
      toolbar.active_drag = find(type);
      toolbar.active_scroll = type === "PanTool" ? find("WheelZoomTool") : null;
    }
  }

  /** Show all of some values along an axis. */
  function fit(range, values) {
    const finite = [...values].filter(Number.isFinite);
    if (finite.length === 0) return;
    const low = Math.min(...finite);
    const high = Math.max(...finite);
    const room = 0.04 * (high - low) || 0.5;
    range.setv({ start: low - room, end: high + room });
  }

  /** Show every row that is drawn, however far out. */
  function showAll() {
    for (const { name, x_range, y_range } of plots) {
      fit(x_range, source.data[`${name}_x`]);
      fit(y_range, source.data[`${name}_y`]);
    }
  }

  function reset() {
    for (const { x_range, y_range } of plots) {
      x_range.reset();
      y_range.reset();
    }
  }

  /** Say which columns the units follow that are drawn. */
  function nameAxes(across, upwards) {
    const units = [across, upwards];
    const names = units.map((unit) => Data.units[unit]?.follows);
    const [first, second = "Error"] = names;
    element("axes").replaceChildren(
      make("div", {}, `→ ${first}`),
      make("div", {}, `↑ ${second}`),
    );
  }

  /** Show a part of an axis, or all of its values, until it is reset. */
  function showPart(range, values, view) {
    if (view) range.setv({ start: view[0], end: view[1] });
    else fit(range, values);
    range.setv({ reset_start: range.start, reset_end: range.end });
  }

  /** Draw two units of the code, and how many rows lie where, if that is known. */
  function chooseUnits(across, upwards) {
    const { x_range, y_range, below, left, renderers } = findPlot("code");
    const [x, y] = [across, upwards].map((unit) =>
      Float32Array.from(Data.all, (row) => Data.code(row)[unit]),
    );
    source.data = { ...source.data, code_x: x, code_y: y };
    const density = `density ${across} ${upwards}`;
    for (const renderer of renderers) {
      if (renderer.name.startsWith("density")) {
        renderer.visible = renderer.name === density;
      }
    }
    const view = ranges[`${across} ${upwards}`];
    showPart(x_range, x, view?.[0]);
    showPart(y_range, y, view?.[1]);
    below[0].axis_label.text = Data.units[across].name;
    left[0].axis_label.text = Data.units[upwards].name;
    nameAxes(across, upwards);
  }

  /** Go from row to row along an axis of a panel. */
  function step(values, by) {
    const rows = Data.all.filter((row) => Number.isFinite(values[row]));
    rows.sort((a, b) => values[a] - values[b]);
    if (by < 0) rows.reverse();
    const last = rows.length - 1;
    const place = rows.indexOf(Row.current());
    const next = rows[Math.min(place + 1, last)];
    if (next !== undefined) Row.open(next, { focus: false });
  }

  // Arrows go from row to row in the panel that has the focus; space marks the row.
  function press(event, name) {
    const { key } = event;
    const axis = AXES[key];
    const current = Row.current();
    const isMark = key === " " && current !== null;
    if (!axis && !isMark) return;
    event.preventDefault();
    if (isMark) Marks.toggle(current);
    else step(source.data[`${name}_${axis}`], /Right|Up/.test(key) ? 1 : -1);
  }

  /** Draw a ring around a row, or around none. */
  function point(row) {
    source.inspected.indices = row === null ? [] : [row];
    source.inspected.change.emit?.();
    source.change.emit?.();
  }

  function onHover(listener) {
    source.inspect.connect(() => listener(source.inspected.indices[0]));
  }

  function onTap(listener) {
    for (const plot of plots) plot.on_event("tap", listener);
  }

  return {
    draw,
    chooseTool,
    showAll,
    reset,
    chooseUnits,
    point,
    onHover,
    onTap,
  };
})();
