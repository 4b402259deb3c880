"use strict";

// The figures, which Bokeh draws: their colours, the units that are shown, and the keyboard.
const Plots = (() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  let roots = [];
  let source = null;
  let models = null;

  const find = (name) => roots.find((plot) => plot.name === name);
  const panels = () => ["input", "code", "reconstruction"].map(find);

  async function draw() {
    const { document: drawing, roots: places } = Data.figures;
    await Bokeh.embed.embed_items(
      { page: drawing },
      [{ docid: "page", roots: places, root_ids: Object.keys(places) }],
    );
    models = Bokeh.documents[Bokeh.documents.length - 1];
    roots = models.roots();
    source = models.get_model_by_name("rows");
    Marks.connect(source);
    nameAxes(0, 1);
    Colours.start(showColours);
    dark.addEventListener("change", paint);
    addEventListener("beforeprint", picture);
    addEventListener("afterprint", removePictures);
    // A finger that scrolls the page must not draw a selection; the tool can be tapped on.
    if (matchMedia("(pointer: coarse)").matches) for (const { toolbar } of roots) toolbar.active_drag = null;
    for (const name of ["input", "code", "reconstruction"]) listenToKeys(name);
  }

  function showColours() {
    const { values, isSquare = () => false } = Colours.get();
    const shape = values.map((value) => (isSquare(value) ? "square" : "circle"));
    source.data = { ...source.data, colour: Float32Array.from(values), shape };
    paint();
  }

  // Bokeh draws on canvases, which do not know when a style sheet's colours change.
  function paint() {
    const style = getComputedStyle(document.documentElement);
    const isDark = dark.matches && !document.documentElement.classList.contains("printing");
    const of = (name) => style.getPropertyValue(`--${name}`).trim();
    const { light, dark: darkest, low, high } = Colours.get();
    const palette = isDark ? darkest : light;
    models.get_model_by_name("colours").setv({ palette, nan_color: of("muted"), low, high });
    // There is none where all rows are drawn.
    models.get_model_by_name("densities")?.setv({ palette: Data.palettes.density[Number(isDark)] });
    for (const plot of roots) {
      for (const { name, glyph, selection_glyph, hover_glyph } of plot.renderers) {
        if (name === "points") {
          selection_glyph.line_color = { value: of("ink") };
          hover_glyph.line_color = { value: of("ink") };
        } else if (name === "rings") {
          glyph.line_color = { value: of("pca") };
        }
      }
    }
  }

  // Bokeh does this by itself, but later than a page is printed.
  function applyColours({ model, all_indices, glyph, selection_glyph, nonselection_glyph }) {
    for (const drawn of [glyph, selection_glyph, nonselection_glyph]) drawn.set_visuals(model.data_source, all_indices);
  }

  /** Put a picture of each figure beside it, in the colours for paper. */
  function picture() {
    document.documentElement.classList.add("printing");
    paint();
    for (const plot of roots) {
      const view = Bokeh.index.get_by_id(plot.id);
      view.all_renderer_views.filter(({ glyph }) => glyph).forEach(applyColours);
      const { canvas } = view.export("png");
      const alt = document.querySelector(`#${plot.name}-heading`).textContent;
      document.getElementById(plot.name).append(make("img", { className: "printed", src: canvas.toDataURL(), alt }));
    }
  }

  function removePictures() {
    document.documentElement.classList.remove("printing");
    paint();
    for (const image of document.querySelectorAll(".printed")) image.remove();
  }

  /** Choose the type of the tool that dragging uses. */
  function chooseTool(type) {
    for (const { toolbar } of panels()) toolbar.active_drag = toolbar.tools.find((tool) => tool.type === type);
  }

  function zoomOnScroll(on) {
    for (const { toolbar } of panels()) {
      toolbar.active_scroll = on ? toolbar.tools.find((tool) => tool.type === "WheelZoomTool") : null;
    }
  }

  function setRange(range, values) {
    const finite = values.filter(Number.isFinite);
    if (finite.length === 0) return;
    const low = finite.reduce((a, b) => Math.min(a, b));
    const high = finite.reduce((a, b) => Math.max(a, b));
    const room = 0.04 * (high - low) || 0.5;
    range.setv({ start: low - room, end: high + room });
  }

  /** Show every row that is drawn, however far out. */
  function showAll() {
    for (const plot of panels()) {
      setRange(plot.x_range, [...source.data[`${plot.name}_x`]]);
      setRange(plot.y_range, [...source.data[`${plot.name}_y`]]);
    }
  }

  function reset() {
    for (const { x_range, y_range } of panels()) {
      x_range.reset();
      y_range.reset();
    }
  }

  /** The part of two units that holds nearly all rows, where it is known. */
  function findView(across, upwards) {
    const [, , ...view] = Data.views.find(([first, second]) => first === across && second === upwards) ?? [];
    return view.length ? view : null;
  }

  /** Name the columns that a unit follows most, with their correlations. */
  function nameUnit(unit) {
    if (unit >= Data.n_units) return "Error";
    const drivers = Data.drivers(unit).slice(0, 2).map(({ name, r }) => `${name} (${r.toFixed(2)})`);
    return `Unit ${unit + 1} follows ${drivers.join(", ")}`;
  }

  /** Say which columns the units follow that are drawn. */
  function nameAxes(across, upwards) {
    const names = [`→ ${nameUnit(across)}`, `↑ ${nameUnit(upwards)}`];
    document.getElementById("axes").replaceChildren(...names.map((name) => make("div", {}, name)));
  }

  /** Draw two units of the code, and how many rows lie where, if it is known of them. */
  function chooseUnits(across, upwards) {
    const plot = find("code");
    const values = (unit) => Float32Array.from({ length: Data.n }, (_, row) => Data.code(row)[unit]);
    source.data = { ...source.data, code_x: values(across), code_y: values(upwards) };
    for (const renderer of plot.renderers) {
      if (renderer.name.startsWith("density")) renderer.visible = renderer.name === `density ${across} ${upwards}`;
    }
    plot.below[0].axis_label.text = `unit ${across + 1}`;
    plot.left[0].axis_label.text = `unit ${upwards + 1}`;
    nameAxes(across, upwards);
    const view = findView(across, upwards);
    for (const [range, axis, values] of [[plot.x_range, 0, source.data.code_x], [plot.y_range, 1, source.data.code_y]]) {
      if (view) range.setv({ start: view[axis][0], end: view[axis][1] });
      else setRange(range, [...values]);
      range.setv({ reset_start: range.start, reset_end: range.end });
    }
  }

  // Arrows go from row to row along an axis of the panel in focus; space marks the row.
  function listenToKeys(name) {
    document.getElementById(name).addEventListener("keydown", (event) => {
      const { key } = event;
      if (key === " " && Row.current() !== null) {
        event.preventDefault();
        Marks.toggle(Row.current());
        return;
      }
      const axis = { ArrowLeft: "x", ArrowRight: "x", ArrowUp: "y", ArrowDown: "y" }[key];
      if (axis === undefined) return;
      event.preventDefault();
      const along = source.data[`${name}_${axis}`];
      const order = Array.from(along.keys()).filter((row) => Number.isFinite(along[row])).sort((a, b) => along[a] - along[b]);
      const step = key === "ArrowRight" || key === "ArrowUp" ? 1 : -1;
      const now = order.indexOf(Row.current());
      const next = now < 0 ? (step > 0 ? 0 : order.length - 1) : Math.min(Math.max(now + step, 0), order.length - 1);
      if (order.length) Row.open(order[next], { focus: false });
    });
  }

  /** How many rows of the map lie outside of what it shows. */
  function countOutside() {
    const { x_range, y_range } = find("code");
    const { code_x: x, code_y: y } = source.data;
    const isIn = (value, { start, end }) => value >= start && value <= end;
    return Array.from(x.keys()).filter((row) => !isIn(x[row], x_range) || !isIn(y[row], y_range)).length;
  }

  /** Draw a ring around a row, or around none. */
  function point(row) {
    source.inspected.indices = row === null ? [] : [row];
    source.inspected.change.emit?.();
    source.change.emit?.();
  }

  return {
    draw, chooseTool, zoomOnScroll, showAll, reset, chooseUnits, countOutside, point,
    onHover: (listener) => source.inspect.connect(() => listener(source.inspected.indices[0])),
    onTap: (listener) => panels().forEach((plot) => plot.on_event("tap", () => listener())),
  };
})();
