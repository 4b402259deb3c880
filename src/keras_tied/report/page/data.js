"use strict";

// The rows and columns that the page holds, as typed arrays.
const Data = (() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);

  const readBytes = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0)).buffer;

  /** Decode base64 of single precision, little-endian. */
  const readFloats = (text) => new Float32Array(readBytes(text));

  const rows = read("rows-data");
  const d = rows.columns.reduce((sum, { n }) => sum + n, 0);
  let begin = 0;
  for (const column of rows.columns) {
    column.begin = begin;
    begin += column.n;
  }
  const table = (numbers, width) => (row) => numbers.subarray(row * width, (row + 1) * width);
  const given = new Float64Array(readBytes(rows.X));
  const shares = table(readFloats(rows.shares), rows.columns.length);

  /** The share of each column in the oddness of a row, the largest first. */
  function explain(row) {
    return Array.from(shares(row), (share, index) => ({ index, share })).sort((a, b) => b.share - a.share);
  }

  return {
    ...rows,
    n: rows.ids.length,
    figures: read("figures-data"),
    readFloats,
    given: table(given, d),
    expected: table(new Float64Array(readBytes(rows.expected)), d),
    code: table(readFloats(rows.codes), rows.n_units),
    error: (row) => rows.errors[row] ?? -1,
    score: (row) => rows.scores[row] ?? -1,
    /** How odd a row is, in words. */
    oddness: (row) => {
      const text = rows.one_in[row];
      return text.startsWith(">") ? `fewer than one row in ${text.slice(2)} are as odd` : `one row in ${text} is as odd`;
    },
    explain,
  };
})();
