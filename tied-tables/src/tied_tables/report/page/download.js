"use strict";

// The marked rows as CSV.
const Download = (() => {
  // How a cell begins that a spreadsheet may run (OWASP, CSV Injection).
  const FORMULA = /^[=+\-@\t\r\n＝＋－＠]/;
  const { safe_csv: isSafe, file } = Data.view;
  const { label, score, error, columns } = Data;
  const labels = label ? [label] : [];

  function quote(value) {
    if (typeof value === "number") return Number.isNaN(value) ? "" : String(value);
    const text = isSafe && FORMULA.test(value) ? `'${value}` : value;
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  }

  function findValue(field, row) {
    if (field.is_plain) return field.numbers[row];
    const text = Data.text(field, row);
    return text === "missing" ? "" : text;
  }

  function listCells(row) {
    const findAll = (fields) => fields.map((field) => findValue(field, row));
    const units = [...Data.code(row)].map((unit) => Number(unit.toPrecision(7)));
    return [
      Data.id(row),
      ...findAll(labels),
      score.numbers[row],
      Data.ranks[row],
      error.numbers[row],
      ...findAll(columns),
      ...units,
    ];
  }

  function toCsv(rows) {
    const nameAll = (fields) => fields.map(({ name }) => name);
    const head = [
      "row",
      ...nameAll(labels),
      "score",
      "rank",
      "error",
      ...nameAll(columns),
      ...Data.units.map((_, unit) => `code${unit}`),
    ];
    const ordered = [...rows].sort((a, b) => a - b);
    const lines = [head, ...ordered.map(listCells)];
    return lines.map((line) => `${line.map(quote)}\n`).join("");
  }

  function save(rows) {
    const blob = new Blob([toCsv(rows)], { type: "text/csv" });
    const href = URL.createObjectURL(blob);
    const stem = file.replace(/\.\w+$/, "").replace(/[^\p{L}\p{N}_-]+/gu, "_");
    make("a", { href, download: `${stem}-marked.csv` }).click();
    setTimeout(() => URL.revokeObjectURL(href), 1000);
  }

  return { save };
})();
