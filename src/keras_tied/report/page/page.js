"use strict";

// Draws the figures, and keeps what is marked the same in the panels, the legend and the table.
(async () => {
  const MOST_ROWS = 50;  // of the table, besides the worst
  const element = (id) => document.getElementById(id);
  const read = (id) => JSON.parse(element(id).textContent);

  const rows = read("rows-data");
  const figures = read("figures-data");
  const n = rows.ids.length;

  await Bokeh.embed.embed_items(
    { page: figures.document },
    [{ docid: "page", roots: figures.roots, root_ids: Object.keys(figures.roots) }],
  );
  const drawing = Bokeh.documents[Bokeh.documents.length - 1];
  const plots = drawing.roots();
  const source = drawing.get_model_by_name("rows");
  const bins = drawing.get_model_by_name("bins");
  const mapper = drawing.get_model_by_name("colours");

  // Light and dark. Bokeh draws on canvases, which do not know when a style sheet's colours change.
  const dark = matchMedia("(prefers-color-scheme: dark)");

  function colour() {
    const style = getComputedStyle(document.documentElement);
    const of = (name) => style.getPropertyValue(`--${name}`).trim();
    mapper.setv({
      palette: dark.matches ? rows.colours.dark : rows.colours.light,
      nan_color: of("muted"),
      low: rows.colours.low,
      high: rows.colours.high,
    });
    const lines = { mean: of("ink"), pca: of("pca"), training: of("pale"), validation: of("ink") };
    for (const plot of plots) {
      for (const { name, glyph, selection_glyph, nonselection_glyph, hover_glyph } of plot.renderers) {
        if (name === "points") {
          selection_glyph.line_color = { value: of("ink") };
          hover_glyph.line_color = { value: of("ink") };
        } else if (name === "bars") {
          glyph.fill_color = { value: of("pale") };
          selection_glyph.fill_color = { value: of("accent") };
          nonselection_glyph.fill_color = { value: of("pale") };
        } else if (glyph.type === "Scatter") {
          glyph.fill_color = { value: lines[name] };
        } else {
          glyph.line_color = lines[name];
        }
      }
      for (const span of plot.center.filter(({ type }) => type === "Span")) {
        span.line_color = lines[span.name];
      }
    }
  }

  dark.addEventListener("change", colour);
  colour();

  // A finger that scrolls the page must not draw a selection; the tool can be tapped on.
  if (matchMedia("(pointer: coarse)").matches) {
    for (const { toolbar } of plots) toolbar.active_drag = null;
  }

  // What is marked. Bokeh's own selection is the only state.
  const marked = () => source.selected.indices;

  function mark(indices) {
    source.selected.indices = indices;
  }

  const same = (some, others) => {
    const set = new Set(others);
    return some.length === set.size && some.every((row) => set.has(row));
  };

  function describe(indices) {
    if (indices.length === 0) return "No rows are marked.";
    if (indices.length === 1) return lines(indices[0]).join(", ");
    const errors = indices.map((row) => rows.errors[row]).filter((value) => value !== null);
    const mean = errors.reduce((sum, value) => sum + value, 0) / errors.length;
    const shown = errors.length ? `; their mean error is ${mean.toPrecision(3)}, that of all ${rows.mean}` : "";
    return `${indices.length.toLocaleString("en")} of ${n.toLocaleString("en")} rows are marked${shown}.`;
  }

  function lines(row) {
    const label = rows.labels === null ? [] : [`${labelName()} ${rows.labels[row] || "missing"}`];
    return [`Row ${rows.ids[row]}`, ...label, `error ${rows.error_texts[row]}`];
  }

  function labelName() {
    return document.querySelector(".legend .what").textContent;
  }

  const groups = [...document.querySelectorAll(".group")].map((button) => {
    const members = rows.groups.flatMap((group, row) => (group === Number(button.dataset.group) ? [row] : []));
    button.addEventListener("click", () => mark(same(marked(), members) ? [] : members));
    return { button, members };
  });

  element("mark-worst").addEventListener("click", () => mark([...rows.worst]));
  element("clear").addEventListener("click", () => mark([]));
  element("show-marked").addEventListener("click", () => {
    sort = { key: "mark", descending: true };
    fill();
    element("worst-heading").scrollIntoView();
    element("worst-heading").focus({ preventScroll: true });
  });

  let ticking = false;  // in the table, whose rows must stay where they are meanwhile

  source.selected.properties.indices.change.connect(() => {
    const indices = marked();
    element("status").textContent = describe(indices);
    element("clear").disabled = element("show-marked").disabled = indices.length === 0;
    for (const { button, members } of groups) {
      button.setAttribute("aria-pressed", String(members.length > 0 && same(indices, members)));
    }
    if (ticking) {
      tick();
    } else {
      fill();
    }
    if (!binning) bins.selected.indices = [];
  });

  // A stretch of the histogram marks the rows with these errors.
  let binning = false;
  const histogram = plots.find(({ name }) => name === "errors");
  histogram.on_event("selectiongeometry", ({ final, geometry }) => {
    if (!final || geometry.type !== "rect") return;
    const { x0, x1 } = geometry;
    const within = rows.errors.flatMap((value, row) => (value !== null && value >= x0 && value <= x1 ? [row] : []));
    binning = true;
    mark(within);
    binning = false;
  });

  // The table.
  const table = element("table");
  const collator = new Intl.Collator("en", { numeric: true });
  const error = (row) => rows.errors[row] ?? -1;
  const keys = {
    mark: (row, isMarked) => Number(isMarked.has(row)),
    id: (row) => rows.ids[row],
    label: (row) => rows.labels[row],
    error,
  };
  let sort = { key: "error", descending: true };

  function listed() {
    const worst = new Set(rows.worst);
    const others = marked().filter((row) => !worst.has(row));
    others.sort((a, b) => error(b) - error(a));
    element("more").hidden = others.length <= MOST_ROWS;
    element("more").textContent =
      `${(others.length - MOST_ROWS).toLocaleString("en")} more marked rows, with smaller errors, are not listed.`;
    return [...rows.worst, ...others.slice(0, MOST_ROWS)];
  }

  function fill() {
    const isMarked = new Set(marked());
    const key = (row) => keys[sort.key](row, isMarked);
    const compare = (a, b) => (typeof a === "number" ? a - b : collator.compare(a, b));
    const sign = sort.descending ? -1 : 1;
    const order = listed().sort(
      (a, b) => sign * compare(key(a), key(b)) || error(b) - error(a),
    );
    table.tBodies[0].replaceChildren(...order.map(tableRow));
    tick();
    for (const header of table.querySelectorAll("th[aria-sort]")) {
      const isKey = header.firstElementChild.dataset.key === sort.key;
      header.setAttribute("aria-sort", isKey ? (sort.descending ? "descending" : "ascending") : "none");
    }
  }

  function make(tag, properties, ...children) {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  }

  function cell(kind, ...children) {
    const made = make("td", { className: kind }, ...children);
    made.setAttribute("role", "cell");
    return made;
  }

  function tableRow(row) {
    const box = make("input", { type: "checkbox" });
    box.setAttribute("aria-label", `Mark row ${rows.ids[row]}`);
    box.addEventListener("change", () => {
      ticking = true;
      mark(box.checked ? [...marked(), row] : marked().filter((other) => other !== row));
      ticking = false;
    });
    const contributing = rows.features[row].flatMap((feature, i) => {
      const share = rows.shares[row][i];
      if (share < 0.005) return [];
      const change = `${rows.inputs[row][i]} → ${rows.reconstructions[row][i]}, ${Math.round(100 * share)} %`;
      return [make("li", {}, make("bdi", {}, rows.names[feature]), " ", make("span", { className: "change" }, change))];
    });
    const made = make("tr", {}, cell("mark", box), cell("id", rows.ids[row]));
    if (rows.labels !== null) made.append(cell("label", rows.labels[row]));
    made.append(cell("error", rows.error_texts[row]), cell("contributing", make("ul", {}, ...contributing)));
    made.setAttribute("role", "row");
    made.dataset.row = row;
    return made;
  }

  function tick() {
    const isMarked = new Set(marked());
    for (const made of table.tBodies[0].rows) {
      const on = isMarked.has(Number(made.dataset.row));
      made.classList.toggle("marked", on);
      made.querySelector("input").checked = on;
    }
  }

  for (const button of table.querySelectorAll("th button")) {
    button.addEventListener("click", () => {
      const { key } = button.dataset;
      const first = key === "mark" || key === "error";
      sort = { key, descending: sort.key === key ? !sort.descending : first };
      fill();
    });
  }

  // What is under the pointer.
  const hover = element("hover");
  let pointer = { x: 0, y: 0 };
  document.addEventListener("pointermove", ({ clientX, clientY }) => {
    pointer = { x: clientX, y: clientY };
    if (!hover.hidden) place();
  });

  function place() {
    const { width, height } = hover.getBoundingClientRect();
    const left = pointer.x + 16 + width < innerWidth ? pointer.x + 16 : pointer.x - 16 - width;
    const top = pointer.y + 16 + height < innerHeight ? pointer.y + 16 : pointer.y - 16 - height;
    Object.assign(hover.style, { left: `${Math.max(4, left)}px`, top: `${Math.max(4, top)}px` });
  }

  source.inspect.connect(() => {
    const [row] = source.inspected.indices;
    hover.hidden = row === undefined;
    if (hover.hidden) return;
    hover.replaceChildren(...lines(row).map((text, i) => make("div", { className: i ? "" : "name" }, text)));
    place();
  });

  fill();
})();
