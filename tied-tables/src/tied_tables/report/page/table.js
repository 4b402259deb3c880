"use strict";

// The table of the oddest rows and of those that are marked, or of all rows by a field.
const Table = (() => {
  const MOST_CAUSES = 3; // columns that are named for each row
  const SMALLEST_SHARE = 0.5; // of them, in percent
  const collator = new Intl.Collator("en", { numeric: true });
  const table = element("table");
  const by = element("by");
  const wanted = element("wanted");
  const more = element("more");
  const worst = new Set(Data.worst);
  const MOST_ROWS = Math.max(50, worst.size);
  let sort = { key: "score", isDescending: true };
  let marked = new Set();
  let listed = [];
  let isTicking = false; // the rows must stay where they are meanwhile

  /** What rows are sorted by, by the key of a header. */
  const KEYS = {
    mark: (row) => Number(marked.has(row)),
    id: Data.idKey,
    label: (row) => Data.sortKey(Data.label, row),
    score: (row) => -Data.ranks[row],
    error: (row) => Data.error.numbers[row],
    chosen: (row) => Data.sortKey(findField(), row),
  };

  /** The field that all rows are listed by; undefined for the oddest rows. */
  function findField() {
    return Data.fields[by.value];
  }

  function compare(a, b) {
    return typeof a === "number" ? a - b : collator.compare(a, b);
  }

  /** Sort rows by a key, those without one last. */
  function order(rows) {
    const key = KEYS[sort.key];
    const sign = sort.isDescending ? -1 : 1;
    const isMissing = (row) => Number(Number.isNaN(key(row)));
    return rows.sort((a, b) => {
      const missing = isMissing(a) - isMissing(b);
      const byKey = sign * compare(key(a), key(b));
      return missing || byKey || Data.ranks[a] - Data.ranks[b];
    });
  }

  /** A number as a column writes it, or with a decimal point. */
  function readNumber(text, { decimal }) {
    if (decimal === "," && text.includes(",")) {
      return Number(text.replaceAll(".", "").replace(",", "."));
    }
    return Number(text.replaceAll(",", "") || NaN);
  }

  /** A time such as 31.1.2020 or 2020-01-31 18:00: seconds since 1970. */
  function readTime(text, { is_day_first: isDayFirst }) {
    const parts = text.match(/^(\d{1,2})([./])(\d{1,2})\2(\d{4})(.*)$/);
    let iso = text;
    if (parts) {
      const [, first, mark, second, year, clock] = parts;
      const pair = [first, second].map((part) => part.padStart(2, "0"));
      if (mark === "." || isDayFirst) pair.reverse();
      iso = `${year}-${pair.join("-")}${clock}`;
    }
    const isUtc = /:\d\d(\.\d+)?$/.test(iso); // and not of the reader's zone
    return Date.parse(isUtc ? `${iso.replace(" ", "T")}Z` : iso) / 1000;
  }

  /** Whether a row has what is wanted: > 10, <= 2020-01-31, = red, or part of a text. */
  function isWanted(row) {
    const field = findField();
    const value = Data.text(field, row).toLowerCase();
    const text = wanted.value.trim().toLowerCase();
    const [, sign, limit] = text.match(/^([<>]=?|=|)\s*(.*)$/);
    if (!sign || !limit) return value.includes(limit);
    const read = field.is_time ? readTime : readNumber;
    const number = field.numbers ? read(limit, field) : NaN;
    const difference = Number.isNaN(number)
      ? collator.compare(value, limit)
      : field.numbers[row] - number;
    if (difference === 0) return sign.includes("=");
    return (
      sign[0] === (difference < 0 ? "<" : ">") && !Number.isNaN(difference)
    );
  }

  /** List the oddest rows and the marked ones, or all that are wanted. */
  function fill() {
    const isOdd = (row) => worst.has(row) || marked.has(row);
    listed = order(Data.all.filter(findField() ? isWanted : isOdd));
    const shown = listed.slice(0, MOST_ROWS);
    const n = Text.count(listed.length);
    const isLong = listed.length > shown.length;
    const ending = isLong
      ? `, of which the first ${MOST_ROWS} are listed.`
      : ".";
    more.textContent = `${n} of the ${Text.count(Data.n)} rows on this page${ending}`;
    table.tBodies[0].replaceChildren(...shown.map(makeRow));
    tick();
    const direction = sort.isDescending ? "descending" : "ascending";
    for (const header of table.querySelectorAll("th[aria-sort]")) {
      const isKey = header.firstElementChild.dataset.key === sort.key;
      header.setAttribute("aria-sort", isKey ? direction : "none");
    }
  }

  /** List all rows by a field, the largest or the first text at first. */
  function choose() {
    const field = findField();
    const header = table.querySelector("th.chosen");
    header.hidden = !field;
    wanted.disabled = !field;
    element("mark-listed").disabled = !field;
    header.firstElementChild.replaceChildren(makeName(field?.name ?? ""));
    wanted.value = "";
    if (field) sortBy("chosen", Boolean(field.numbers));
    else sortBy("score", true);
  }

  function makeCell(className, ...children) {
    const cell = make("td", { className }, ...children);
    cell.setAttribute("role", "cell");
    return cell;
  }

  function makeCause({ name, given, expected, share }) {
    const change = `${given} → ${expected}, ${Math.round(share)} %`;
    const text = make("span", { className: "change" }, change);
    return make("li", {}, makeName(name), " ", text);
  }

  function makeCauses(row) {
    const causes = Data.explain(row).slice(0, MOST_CAUSES);
    const named = causes.filter(({ share }) => share >= SMALLEST_SHARE);
    if (named.length === 0) return "no single column";
    return make("ul", {}, ...named.map(makeCause));
  }

  function makeBox(row) {
    const box = make("input", { type: "checkbox" });
    box.setAttribute("aria-label", `Mark row ${Data.id(row)}`);
    box.addEventListener("change", () => {
      isTicking = true;
      Marks.toggle(row);
    });
    return box;
  }

  function makeRow(row) {
    const { label, error, one_in: oneIn } = Data;
    const name = makeName(Data.id(row));
    const cells = [
      makeCell("mark", makeBox(row)),
      makeCell(
        "id",
        makeButton([name], () => Row.open(row), "link"),
      ),
    ];
    if (label) cells.push(makeCell("label", Data.text(label, row)));
    cells.push(makeCell("score", Data.text(oneIn, row)));
    cells.push(makeCell("error", Data.text(error, row)));
    const field = findField();
    if (field) cells.push(makeCell("chosen", Data.text(field, row)));
    cells.push(makeCell("contributing", makeCauses(row)));
    const line = make("tr", {}, ...cells);
    line.setAttribute("role", "row");
    line.dataset.row = row;
    return line;
  }

  function tick() {
    for (const line of table.tBodies[0].rows) {
      const isMarked = marked.has(Number(line.dataset.row));
      line.classList.toggle("marked", isMarked);
      line.querySelector("input").checked = isMarked;
    }
  }

  function sortBy(key, isDescending) {
    sort = { key, isDescending };
    fill();
  }

  function show(indices) {
    marked = new Set(indices);
    if (isTicking) tick();
    else fill();
    isTicking = false;
  }

  function start() {
    by.addEventListener("change", choose);
    wanted.addEventListener("input", fill);
    element("mark-listed").addEventListener("click", () =>
      Marks.set([...listed]),
    );
    element("filter").addEventListener("submit", (event) =>
      event.preventDefault(),
    );
    for (const button of table.querySelectorAll("th button")) {
      button.addEventListener("click", () => {
        const { key, descending } = button.dataset;
        const isAgain = sort.key === key;
        sortBy(key, isAgain ? !sort.isDescending : Boolean(descending));
      });
    }
    // In the frame after the next: the panels have drawn in that one.
    Marks.onChange((indices) => requestAnimationFrame(() => show(indices)));
    fill();
  }

  return { start, sortBy };
})();
