"use strict";

// The address of the page names what is marked and which row is explained, so that a
// link restores them. Rows are named by their numbers in the table: #marked=3.7.12&row=5
const Link = (() => {
  const { places } = Data; // in order
  let isReading = false;

  /** The drawn rows with these numbers; others, and what is no number, are ignored. */
  function split(text) {
    const wanted = new Set(text.split(".").map(Number));
    return Data.all.filter((row) => wanted.has(places[row]));
  }

  function write() {
    if (isReading) return;
    const parts = [];
    const marked = Marks.get();
    const row = Row.current();
    const numbers = marked.map((index) => places[index]);
    numbers.sort((a, b) => a - b);
    if (marked.length) parts.push(`marked=${numbers.join(".")}`);
    if (row !== null) parts.push(`row=${places[row]}`);
    const hash = parts.length ? `#${parts.join("&")}` : "";
    if (hash === location.hash) return;
    try {
      history.replaceState(null, "", hash || location.href.split("#")[0]);
    } catch {
      // A frame without an origin, such as in a notebook, has no history.
    }
  }

  function read() {
    const parameters = new URLSearchParams(location.hash.slice(1));
    const marked = parameters.get("marked");
    const [row] = split(parameters.get("row") ?? "");
    isReading = true;
    if (marked !== null) Marks.set(split(marked));
    if (row !== undefined) Row.open(row, { focus: false });
    isReading = false;
  }

  function start() {
    Marks.onChange(write);
    addEventListener("hashchange", read);
    read();
  }

  return { start, write };
})();
