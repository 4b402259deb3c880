"use strict";

// One toolbar for all panels: what dragging does, finding a row, and what is done with the marks.
const Toolbar = (() => {
  const element = (id) => document.getElementById(id);
  const places = new Map(Data.ids.map((id, row) => [id.trim().toLowerCase(), row]));

  function describe(indices) {
    if (indices.length === 0) return "No rows are marked.";
    if (indices.length === 1) return `${describeRow(indices[0]).join(", ")}.`;
    const errors = indices.map((row) => Data.errors[row]).filter((error) => error !== null);
    const mean = errors.reduce((sum, error) => sum + error, 0) / errors.length;
    const shown = errors.length ? `; their mean error is ${Format.number(mean)}, that of all ${Format.number(Data.mean)}` : "";
    return `${Format.count(indices.length)} of ${Format.count(Data.n)} rows are marked${shown}.`;
  }

  function describeRow(row) {
    const label = Data.labels === null ? [] : [`${Data.label_name} ${Data.labels[row] || "missing"}`];
    return [`Row ${Data.ids[row]}`, ...label, Data.oddness(row)];
  }

  /** The row with an id, or with this number in the table; else undefined. */
  function findRow(text) {
    const wanted = text.trim().toLowerCase();
    return places.get(wanted) ?? places.get(Number(wanted).toLocaleString("en"));
  }

  function find(event) {
    event.preventDefault();
    const text = element("find").value;
    const row = findRow(text);
    const some = Data.n < Data.n_all ? ` among the ${Format.count(Data.n)} rows on this page, of ${Format.count(Data.n_all)}` : "";
    element("found").textContent = row === undefined && text.trim() ? `No row is named ${text.trim()}${some}.` : "";
    if (row !== undefined) {
      Marks.set([row]);
      Row.open(row);
    }
  }

  function start() {
    const tools = [...document.querySelectorAll("[data-tool]")];
    const press = (button) => tools.forEach((tool) => tool.setAttribute("aria-pressed", String(tool === button)));
    for (const tool of tools) {
      tool.addEventListener("click", () => {
        Plots.chooseTool(tool.dataset.tool);
        press(tool);
      });
    }
    if (matchMedia("(pointer: coarse)").matches) press(null);
    const zoom = element("zoom");
    zoom.addEventListener("click", () => {
      const on = zoom.getAttribute("aria-pressed") !== "true";
      zoom.setAttribute("aria-pressed", String(on));
      Plots.zoomOnScroll(on);
    });
    element("show-all").addEventListener("click", Plots.showAll);
    element("reset").addEventListener("click", Plots.reset);
    element("find-form").addEventListener("submit", find);
    element("mark-worst").addEventListener("click", () => Marks.set([...Data.worst]));
    element("oddest").addEventListener("click", () => Row.open(Data.worst[0]));
    element("clear").addEventListener("click", () => Marks.set([]));
    element("download").addEventListener("click", () => Download.save(Marks.get()));
    element("show-marked").addEventListener("click", () => {
      Table.sortBy("mark", true);
      element("worst-heading").scrollIntoView();
      element("worst-heading").focus({ preventScroll: true });
    });
    const outside = Plots.countOutside();
    if (outside > 0) {
      const more = make("button", { type: "button", className: "link" }, "Show all.");
      more.addEventListener("click", Plots.showAll);
      element("outside").replaceChildren(`${Format.count(outside)} of the rows lie further out. `, more);
    }
    const units = [element("across"), element("upwards")];
    for (const choice of units) {
      choice?.addEventListener("change", () => Plots.chooseUnits(...units.map(({ value }) => Number(value))));
    }
    Marks.onChange((indices) => {
      element("status").textContent = describe(indices);
      element("status").classList.toggle("unmarked", indices.length === 0);
      for (const id of ["clear", "show-marked", "download"]) element(id).disabled = indices.length === 0;
    });
  }

  return { start, describeRow };
})();
