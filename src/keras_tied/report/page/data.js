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
  const table = (name, width) => {
    const numbers = readFloats(rows[name]);
    return (row) => numbers.subarray(row * width, (row + 1) * width);
  };
  const squares = table("squares", d);

  /** The share of each column in the error of a row, the largest first. */
  function explain(row) {
    const own = squares(row);
    const sums = rows.columns.map((column, index) => {
      const part = own.subarray(column.begin, column.begin + column.n);
      return { index, sum: part.reduce((sum, square) => sum + (square || 0), 0) };
    });
    const total = sums.reduce((sum, part) => sum + part.sum, 0);
    return sums
      .map(({ index, sum }) => ({ index, share: total > 0 ? sum / total : 0 }))
      .sort((a, b) => b.share - a.share);
  }

  return {
    ...rows,
    n: rows.ids.length,
    figures: read("figures-data"),
    readFloats,
    given: table("X", d),
    reconstructed: table("reconstructions", d),
    code: table("codes", rows.n_units),
    error: (row) => rows.errors[row] ?? -1,
    explain,
  };
})();
