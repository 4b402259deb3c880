"use strict";

// The rows that the page holds, and how it shows them; Python has written every text.
const Data = (() => {
  function read(id) {
    const { textContent } = document.getElementById(id);
    return JSON.parse(textContent);
  }

  /** Decode base64 of single precision, little-endian. */
  function readFloats(text) {
    const bytes = Uint8Array.from(atob(text), (character) =>
      character.charCodeAt(0),
    );
    return new Float32Array(bytes.buffer);
  }

  const rows = read("rows-data");
  const codes = readFloats(rows.codes);
  const n = rows.places.length;

  // What rows can be listed by; a missing number is null in JSON.
  const fields = [rows.label, rows.score, rows.error, ...rows.columns];
  const given = fields.filter(Boolean);
  for (const field of given) {
    field.numbers &&= field.numbers.map((number) => number ?? NaN);
  }

  /** The text of a row in a field. */
  function text({ texts, cells }, row) {
    return texts[cells[row]];
  }

  /** What sorts a row by a field: a number, or its text. */
  function sortKey(field, row) {
    return field.numbers ? field.numbers[row] : text(field, row);
  }

  /** The columns of a row by their shares in its score, the largest first. */
  function explain(row) {
    const causes = rows.columns.map(
      ({ name, texts, cells, expected }, index) => ({
        name,
        given: texts[cells[row]],
        expected: texts[expected[row]],
        share: rows.shares[index][row],
      }),
    );
    return causes.sort((a, b) => b.share - a.share);
  }

  /** The units of a row. */
  function code(row) {
    const begin = row * rows.n_units;
    return codes.subarray(begin, begin + rows.n_units);
  }

  return {
    ...rows,
    n,
    all: [...Array(n).keys()],
    fields: given,
    view: read("view-data"),
    figures: read("figures-data"),
    id: (row) => text(rows.id, row),
    idKey: (row) => sortKey(rows.id, row),
    readFloats,
    text,
    sortKey,
    explain,
    code,
  };
})();
