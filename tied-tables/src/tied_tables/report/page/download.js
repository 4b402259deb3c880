"use strict";

// The marked rows as CSV.
const Download = (() => {
  // How a cell begins that a spreadsheet may run (OWASP, CSV Injection).
  const FORMULA = /^[=+\-@\t\r\n＝＋－＠]/;

  function cell(value) {
    if (typeof value === "number") return Number.isNaN(value) ? "" : String(value);
    const text = Data.safe_csv && FORMULA.test(value) ? `'${value}` : value;
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  }

  function columnValue(column, row) {
    const features = Data.given(row);
    const plain = column.kind === "number" && Object.keys(column.form).length === 0;
    if (plain) return Number(features[column.begin].toPrecision(7));
    const text = Format.value(column, features);
    return text === "missing" ? "" : column.kind === "whole" ? Number(text.replaceAll(",", "")) : text;
  }

  function toCsv(rows) {
    const units = Array.from({ length: Data.n_units }, (_, unit) => `code${unit}`);
    const label = Data.labels === null ? [] : [Data.label_name];
    const head = ["row", ...label, "score", "rank", "error", ...Data.columns.map(({ name }) => name), ...units];
    const lines = [...rows].sort((a, b) => a - b).map((row) => [
      Data.ids[row],
      ...(Data.labels === null ? [] : [Data.labels[row]]),
      Data.scores[row] ?? NaN,
      Data.ranks[row],
      Data.errors[row] ?? NaN,
      ...Data.columns.map((column) => columnValue(column, row)),
      ...Array.from(Data.code(row), (unit) => Number(unit.toPrecision(7))),
    ]);
    return [head, ...lines].map((line) => `${line.map(cell).join(",")}\n`).join("");
  }

  function save(rows) {
    const file = URL.createObjectURL(new Blob([toCsv(rows)], { type: "text/csv" }));
    const name = `${Data.file.replace(/\.\w+$/, "").replace(/[^\p{L}\p{N}_-]+/gu, "_")}-marked.csv`;
    make("a", { href: file, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(file), 1000);
  }

  return { save, toCsv };
})();
