"use strict";

// The rows and columns that the page holds, as typed arrays.
const Data = (() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);

  /** Decode base64 of single precision, little-endian. */
  function readFloats(text) {
    const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    return new Float32Array(bytes.buffer);
  }

  const rows = read("rows-data");
  const d = rows.columns.reduce((sum, { n }) => sum + n, 0);
  let begin = 0;
  for (const column of rows.columns) {
    column.begin = begin;
    begin += column.n;
  }
  const table = (name, width, offsets = null) => {
    let numbers = readFloats(rows[name]);
    if (offsets) numbers = Float64Array.from(numbers, (number, i) => number + offsets[i % width]);
    return (row) => numbers.subarray(row * width, (row + 1) * width);
  };
  const shares = table("shares", rows.columns.length);

  /** The share of each column in the oddness of a row, the largest first. */
  function explain(row) {
    return Array.from(shares(row), (share, index) => ({ index, share })).sort((a, b) => b.share - a.share);
  }

  return {
    ...rows,
    n: rows.ids.length,
    figures: read("figures-data"),
    readFloats,
    given: table("X", d, rows.offsets),
    expected: table("expected", d, rows.offsets),
    code: table("codes", rows.n_units),
    error: (row) => rows.errors[row] ?? -1,
    score: (row) => rows.scores[row] ?? -1,
    /** How odd a row is, in words. */
    oddness: (row) =>
      rows.one_in === null ? `score ${Format.number(rows.scores[row])}` : rows.rarities[rows.one_in[row]],
    explain,
  };
})();
