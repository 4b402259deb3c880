"use strict";

// A row explained: its columns, given and suggested by the others, and rows like it.
const Row = (() => {
  const panel = element("row");
  const heading = element("row-heading");
  const byRank = (a, b) => Data.ranks[a] - Data.ranks[b];
  const order = [...Data.all].sort(byRank);
  let current = null;
  let before = null; // what had the focus

  /** The name of a row, and its label, if it has one. */
  function name(row) {
    const { label } = Data;
    const names = [`Row ${Data.id(row)}`];
    if (label) names.push(`${label.name} ${Data.text(label, row)}`);
    return names;
  }

  function makeLine({ name, given, expected, share }, largest) {
    const bar = make("span", { className: "bar" });
    const width = (100 * share) / (largest || 1);
    bar.style.width = `${width.toFixed(1)}%`;
    const track = make("span", { className: "track" }, bar);
    const percent = `${Math.round(share)} %`;
    return make(
      "tr",
      {},
      make("th", { scope: "row" }, makeName(name)),
      make("td", {}, given),
      make("td", {}, expected),
      make("td", { className: "share" }, track, percent),
    );
  }

  function makeNearest(row) {
    const button = makeButton([makeName(Data.id(row))], () => open(row));
    return make("li", {}, button);
  }

  function press(indices) {
    const isMarked = indices.includes(current);
    element("row-mark").setAttribute("aria-pressed", String(isMarked));
  }

  function show(row) {
    const causes = Data.explain(row);
    const lines = causes.map((cause) => makeLine(cause, causes[0].share));
    heading.textContent = name(row).join(", ");
    element("row-reason").textContent = `${Data.reasons[row]}.`;
    element("row-standing").textContent = Data.standings[row];
    element("row-columns").tBodies[0].replaceChildren(...lines);
    element("row-nearest").replaceChildren(
      ...Data.nearest[row].map(makeNearest),
    );
    press(Marks.get());
  }

  /** Show a panel on a row, or close it for null. */
  function set(row) {
    current = row;
    panel.hidden = row === null;
    document.body.classList.toggle("explains", row !== null);
    Plots.point(row);
    Link.write();
  }

  function open(row, { focus = true } = {}) {
    if (current === null) before = document.activeElement;
    set(row);
    show(row);
    element("row-content").scrollTop = 0;
    if (focus) heading.focus();
    Units.setCode(Data.code(row));
  }

  function close() {
    if (current === null) return;
    const hadFocus = panel.contains(document.activeElement);
    set(null);
    if (hadFocus) before?.focus();
  }

  /** Go to the row with the next larger or smaller score. */
  function step(by) {
    const next = order[order.indexOf(current) + by];
    if (next !== undefined) open(next, { focus: false });
  }

  function start() {
    const onClick = (id, listener) =>
      element(id).addEventListener("click", listener);
    onClick("row-close", close);
    onClick("row-mark", () => Marks.toggle(current));
    onClick("row-larger", () => step(-1));
    onClick("row-smaller", () => step(1));
    document.addEventListener("keydown", ({ key }) => {
      if (key !== "Escape") return;
      if (current === null) Marks.set([]);
      else close();
    });
    Marks.onChange(press);
    Plots.onTap(() =>
      requestAnimationFrame(() => {
        const [row, ...others] = Marks.get();
        if (row !== undefined && others.length === 0)
          open(row, { focus: false });
      }),
    );
  }

  return { start, open, name, current: () => current };
})();
