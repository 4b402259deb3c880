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
  const given = table(new Float64Array(readBytes(rows.X)), d);
  const expected = table(new Float64Array(readBytes(rows.expected)), d);
  const shares = table(readFloats(rows.shares), rows.columns.length);
  const isMended = table(new Uint8Array(readBytes(rows.is_mended)), rows.columns.length);

  /** The share of each column in the oddness of a row, the largest first; 0 where what is expected stands there. */
  function explain(row) {
    const write = (column, values) => Format.value(column, values(row));
    const causes = rows.columns.map((column, index) => {
      const share = shares(row)[index];
      const isSame = share > 0 && write(column, given) === write(column, expected);
      return { index, share: isSame ? 0 : share, isMended: isMended(row)[index] === 1 };
    });
    return causes.sort((a, b) => b.share - a.share);
  }

  /** The columns that a unit follows, each by the number of it that it follows most, the closest first. */
  function drivers(unit) {
    const strength = (r) => Math.abs(r);
    const found = rows.columns.map(({ name, begin, n, kind, form }) => {
      const own = rows.correlations[unit].slice(begin, begin + n);
      const strongest = own.map(strength).indexOf(Math.max(...own.map(strength)));
      return { name: kind === "category" ? `${name}: ${form.levels[strongest]}` : name, r: own[strongest] };
    });
    return found.sort((a, b) => strength(b.r) - strength(a.r));
  }

  return {
    ...rows,
    ids: rows.ids ?? rows.places.map(Format.count),
    n: rows.places.length,
    figures: read("figures-data"),
    readFloats,
    given,
    expected,
    code: table(readFloats(rows.codes), rows.n_units),
    error: (row) => rows.errors[row] ?? -1,
    score: (row) => rows.scores[row] ?? -1,
    /** How odd a row is, in words. */
    oddness: (row) => {
      const text = rows.one_in[row];
      return text.startsWith(">") ? `fewer than one row in ${text.slice(2)} are as odd` : `one row in ${text} is as odd`;
    },
    explain,
    drivers,
  };
})();
