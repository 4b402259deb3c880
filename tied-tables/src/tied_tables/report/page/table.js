"use strict";

// The table of the oddest rows and of those that are marked, or of all rows by a column.
const Table = (() => {
  const MOST_ROWS = 50;  // besides the oddest
  const N_COLUMNS = 3;  // that are named for each row
  const element = (id) => document.getElementById(id);
  const [table, more, by, wanted, markListed] = ["table", "more", "by", "wanted", "mark-listed"].map(element);
  const collator = new Intl.Collator("en", { numeric: true });
  const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : collator.compare(a, b));
  const { error, score } = Data;
  const label = (row) => Data.labels[row];
  const labelKey = Data.label_numbers === null ? label : (row) => Data.label_numbers[row] ?? NaN;
  const areNumbered = Data.ids.every((id, row) => id === Format.count(Data.places[row]));
  // What all rows are listed by: what they are sorted by, what is shown, and how a limit is read.
  const choices = [
    ...(Data.labels === null ? [] : [{ name: Data.label_name, key: labelKey, text: label }]),
    ...Data.columns.map((column) => {
      const text = (row) => Format.value(column, Data.given(row));
      if (column.kind === "category" || column.kind === "truth") return { name: column.name, key: text, text };
      const read = (limit) => (column.kind === "time" ? readTime : readNumber)(limit, column.form);
      const key = (row) => Data.given(row)[column.begin];
      const isSingle = Data.ids.every((_, row) => Object.is(Math.fround(key(row)), key(row)));
      const near = isSingle ? Math.fround : Number;  // as the model takes its numbers
      return { name: column.name, key, text, read: (limit) => near(read(limit)) };
    }),
    { name: "score", key: score, text: (row) => Format.number(Data.scores[row]) },
    { name: "error", key: error, text: (row) => Format.number(Data.errors[row]) },
  ];
  const keys = {
    mark: (row, isMarked) => Number(isMarked.has(row)),
    id: (row) => (areNumbered ? Data.places : Data.ids)[row],
    label: labelKey,
    score,
    error,
    chosen: (row) => chosen().key(row),
  };
  let sort = { key: "score", descending: true };
  let listed = [];
  let ticking = false;  // the rows must stay where they are meanwhile

  const chosen = () => choices[by.value];  // none for the oddest rows

  /** A number as a column writes it, or with a decimal point. */
  function readNumber(text, form = {}) {
    const hasComma = form.decimal === "," && text.includes(",");
    const plain = hasComma ? text.replaceAll(".", "").replace(",", ".") : text.replaceAll(",", "");
    return Number(plain || NaN);
  }

  /** A time as a column writes it, such as 31.1.2020, or as 2020-01-31 18:00: days since the column's origin. */
  function readTime(text, form) {
    let iso = text;
    const [, first, mark, second, year, rest] = text.match(/^(\d{1,2})([./])(\d{1,2})\2(\d{4})(.*)$/) ?? [];
    if (year) {
      const isDayFirst = mark === "." || form.format?.startsWith("%d");
      const [day, month] = isDayFirst ? [first, second] : [second, first];
      iso = `${year}-${month.padStart(2, "0")}-${day.padStart(2, "0")}${rest}`;
    }
    if (/:\d\d(\.\d+)?$/.test(iso)) iso = `${iso.replace(" ", "T")}Z`;  // not of the reader's zone
    return Date.parse(iso) / 864e5 - (form.offset ?? 0) - (form.origin ?? 0);
  }

  /** Whether a row has what is wanted: > 10, <= 2020-01-31, = red, or a part of the text. */
  function isWanted(row) {
    const { key, text, read = readNumber } = chosen();
    const [, sign, what] = wanted.value.trim().match(/^([<>]=?|=|)\s*(.*)$/);
    const value = text(row).toLowerCase();
    if (!sign || !what) return value.includes(what.toLowerCase());
    const limit = read(what);
    const order = Number.isNaN(limit) ? collator.compare(value, what.toLowerCase()) : compare(key(row), limit);
    return (order === 0 && sign.includes("=")) || (order < 0 && sign[0] === "<") || (order > 0 && sign[0] === ">");
  }

  function list(inOrder) {
    more.hidden = false;
    if (chosen()) {
      const rows = Array.from({ length: Data.n }, (_, row) => row).filter(isWanted).sort(inOrder);
      more.textContent = `${Format.count(rows.length)} of the ${Format.count(Data.n)} rows on this page`;
      more.textContent += rows.length > MOST_ROWS ? `, of which the first ${MOST_ROWS} are listed.` : ".";
      return rows;
    }
    const worst = new Set(Data.worst);
    const others = Marks.get().filter((row) => !worst.has(row));
    others.sort((a, b) => score(b) - score(a));
    more.hidden = others.length <= MOST_ROWS;
    more.textContent =
      `${Format.count(others.length - MOST_ROWS)} more marked rows, with smaller scores, are not listed.`;
    return [...Data.worst, ...others.slice(0, MOST_ROWS)].sort(inOrder);
  }

  function fill() {
    const isMarked = new Set(Marks.get());
    const key = (row) => keys[sort.key](row, isMarked);
    const isMissing = (row) => Number(Number.isNaN(key(row)));
    const sign = sort.descending ? -1 : 1;
    listed = list((a, b) =>
      isMissing(a) - isMissing(b) || sign * compare(key(a), key(b)) || Data.ranks[a] - Data.ranks[b]);
    const most = chosen() ? MOST_ROWS : listed.length;
    table.tBodies[0].replaceChildren(...listed.slice(0, most).map(makeRow));
    tick();
    for (const header of table.querySelectorAll("th[aria-sort]")) {
      const isKey = header.firstElementChild.dataset.key === sort.key;
      header.setAttribute("aria-sort", isKey ? (sort.descending ? "descending" : "ascending") : "none");
    }
  }

  /** List all rows by a column, the largest or the first text at first, or else the oddest rows. */
  function choose() {
    const header = table.querySelector("th.chosen");
    header.hidden = wanted.disabled = markListed.disabled = !chosen();
    header.firstElementChild.replaceChildren(chosen() ? makeName(chosen().name) : "");
    wanted.value = "";
    if (chosen()) sortBy("chosen", typeof chosen().key(0) === "number");
    else sortBy("score", true);
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
    const explain = make("button", { type: "button", className: "link" }, makeName(Data.ids[row]));
    explain.addEventListener("click", () => Row.open(row));
    const contributing = Data.explain(row).slice(0, N_COLUMNS).filter(({ share }) => share >= 0.005).map(({ index, share }) => {
      const column = Data.columns[index];
      const values = Format.pair(column, Data.given(row), Data.expected(row));
      const change = `${values.join(" → ")}, ${Format.percent(share)}`;
      return make("li", {}, makeName(column.name), " ", make("span", { className: "change" }, change));
    });
    const made = make("tr", {}, cell("mark", box), cell("id", explain));
    if (Data.labels !== null) made.append(cell("label", Data.labels[row]));
    made.append(cell("score", Data.one_in[row]));
    made.append(cell("error", Format.number(Data.errors[row])));
    if (chosen()) made.append(cell("chosen", chosen().text(row)));
    made.append(cell("contributing", contributing.length ? make("ul", {}, ...contributing) : "no column alone"));
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
    by.append(...choices.map(({ name }, index) => make("option", { value: index }, name)));
    by.addEventListener("change", choose);
    wanted.addEventListener("input", fill);
    markListed.addEventListener("click", () => Marks.set([...listed]));
    element("filter").addEventListener("submit", (event) => event.preventDefault());
    for (const button of table.querySelectorAll("th button")) {
      button.addEventListener("click", () => {
        const { key } = button.dataset;
        const first = ["mark", "score", "error", "chosen"].includes(key);
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
