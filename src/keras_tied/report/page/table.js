"use strict";

// The table of the oddest rows, and of those that are marked.
const Table = (() => {
  const MOST_ROWS = 50;  // besides the oddest
  const N_COLUMNS = 3;  // that are named for each row
  const table = document.getElementById("table");
  const more = document.getElementById("more");
  const collator = new Intl.Collator("en", { numeric: true });
  const { error, score } = Data;
  const keys = {
    mark: (row, isMarked) => Number(isMarked.has(row)),
    id: (row) => Data.ids[row],
    label: (row) => Data.labels[row],
    score,
    error,
  };
  let sort = { key: "score", descending: true };
  let ticking = false;  // the rows must stay where they are meanwhile

  function list() {
    const worst = new Set(Data.worst);
    const others = Marks.get().filter((row) => !worst.has(row));
    others.sort((a, b) => score(b) - score(a));
    more.hidden = others.length <= MOST_ROWS;
    more.textContent =
      `${Format.count(others.length - MOST_ROWS)} more marked rows, with smaller scores, are not listed.`;
    return [...Data.worst, ...others.slice(0, MOST_ROWS)];
  }

  function fill() {
    const isMarked = new Set(Marks.get());
    const key = (row) => keys[sort.key](row, isMarked);
    const compare = (a, b) => (typeof a === "number" ? a - b : collator.compare(a, b));
    const sign = sort.descending ? -1 : 1;
    const order = list().sort((a, b) => sign * compare(key(a), key(b)) || Data.ranks[a] - Data.ranks[b]);
    table.tBodies[0].replaceChildren(...order.map(makeRow));
    tick();
    for (const header of table.querySelectorAll("th[aria-sort]")) {
      const isKey = header.firstElementChild.dataset.key === sort.key;
      header.setAttribute("aria-sort", isKey ? (sort.descending ? "descending" : "ascending") : "none");
    }
  }

  function cell(kind, ...children) {
    const made = make("td", { className: kind }, ...children);
    made.setAttribute("role", "cell");
    return made;
  }

  function makeRow(row) {
    const box = make("input", { type: "checkbox" });
    box.setAttribute("aria-label", `Mark row ${Data.ids[row]}`);
    box.addEventListener("change", () => {
      ticking = true;
      Marks.toggle(row);
    });
    const explain = make("button", { type: "button", className: "link" }, make("bdi", {}, Data.ids[row]));
    explain.addEventListener("click", () => Row.open(row));
    const contributing = Data.explain(row).slice(0, N_COLUMNS).filter(({ share }) => share >= 0.005).map(({ index, share }) => {
      const column = Data.columns[index];
      const values = [Data.given(row), Data.expected(row)].map((features) => Format.value(column, features));
      const change = `${values.join(" → ")}, ${Format.percent(share)}`;
      return make("li", {}, make("bdi", {}, column.name), " ", make("span", { className: "change" }, change));
    });
    const made = make("tr", {}, cell("mark", box), cell("id", explain));
    if (Data.labels !== null) made.append(cell("label", Data.labels[row]));
    made.append(cell("score", Data.one_in === null ? Format.number(Data.scores[row]) : Data.one_in[row]));
    made.append(cell("error", Format.number(Data.errors[row])), cell("contributing", make("ul", {}, ...contributing)));
    made.setAttribute("role", "row");
    made.dataset.row = row;
    return made;
  }

  function tick() {
    const isMarked = new Set(Marks.get());
    for (const made of table.tBodies[0].rows) {
      const on = isMarked.has(Number(made.dataset.row));
      made.classList.toggle("marked", on);
      made.querySelector("input").checked = on;
    }
  }

  function sortBy(key, descending) {
    sort = { key, descending };
    fill();
  }

  function start() {
    for (const button of table.querySelectorAll("th button")) {
      button.addEventListener("click", () => {
        const { key } = button.dataset;
        const first = ["mark", "score", "error"].includes(key);
        sortBy(key, sort.key === key ? !sort.descending : first);
      });
    }
    // In a frame of its own: the panels have drawn in this one.
    Marks.onChange(() => requestAnimationFrame(() => {
      if (ticking) tick();
      else fill();
      ticking = false;
    }));
    fill();
  }

  return { start, sortBy };
})();
