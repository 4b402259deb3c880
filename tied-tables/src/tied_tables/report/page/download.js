"use strict";

// The marked rows as CSV.
const Download = (() => {
  // How a cell begins that a spreadsheet may run (OWASP, CSV Injection).
  const FORMULA = /^[=+\-@\t\r\n＝＋－＠]/;
  const { safe_csv: isSafe, file } = Data.view;
  const { label, score, error, columns } = Data;

  function quote(value) {
    if (typeof value === "number")
      return Number.isNaN(value) ? "" : String(value);
    const text = isSafe && FORMULA.test(value) ? `'${value}` : value;
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  }

  function findValue(field, row) {
    if (field.is_plain) return field.numbers[row];
    const text = Data.text(field, row);
    return text === "missing" ? "" : text;
  }

  function listField(field, name = field.name) {
    return [name, (row) => findValue(field, row)];
  }

  function listUnit(_, unit) {
    return [
      `code${unit}`,
      (row) => Number(Data.code(row)[unit].toPrecision(7)),
    ];
  }

  /** What is saved of each row: the name, and a function that gives it. */
  const parts = [
    ["row", Data.id],
    ...(label ? [listField(label)] : []),
    listField(score, "score"),
    ["rank", (row) => Data.ranks[row]],
    listField(error, "error"),
    ...columns.map((column) => listField(column)),
    ...Data.units.map(listUnit),
  ];

  function toCsv(rows) {
    const ordered = [...rows].sort((a, b) => a - b);
    const head = parts.map(([name]) => name);
    const lines = ordered.map((row) => parts.map(([, find]) => find(row)));
    return [head, ...lines].map((line) => `${line.map(quote)}\n`).join("");
  }

  function save(rows) {
    const blob = new Blob([toCsv(rows)], { type: "text/csv" });
    const href = URL.createObjectURL(blob);
    const name = file.replace(/\.\w+$/, "");
    const stem = name.replace(/[^\p{L}\p{N}_-]+/gu, "_");
    make("a", { href, download: `${stem}-marked.csv` }).click();
    setTimeout(() => URL.revokeObjectURL(href), 1000);
  }

  return { save };
})();
