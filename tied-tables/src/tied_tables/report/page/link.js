"use strict";

// The address of the page names what is marked and which row is explained, so that a
// link restores them. Rows are named by their numbers in the table: #marked=3-7.12&row=5
const Link = (() => {
  const { places } = Data; // in order
  let isReading = false;

  /** Write rows as ranges of their numbers. */
  function join(rows) {
    const ranges = [];
    for (const place of rows.map((row) => places[row]).sort((a, b) => a - b)) {
      const last = ranges.at(-1);
      if (last?.[1] === place - 1) last[1] = place;
      else ranges.push([place, place]);
    }
    const parts = ranges.map((range) => [...new Set(range)].join("-"));
    return parts.join(".");
  }

  /** The drawn rows in ranges; what is no number is ignored. */
  function split(text) {
    const ranges = text.split(".").map((part) => part.split("-").map(Number));
    return Data.all.filter((row) =>
      ranges.some(([first, last = first]) => {
        const place = places[row];
        return place >= first && place <= last;
      }),
    );
  }

  function write() {
    if (isReading) return;
    const parts = [];
    const marked = Marks.get();
    const row = Row.current();
    if (marked.length) parts.push(`marked=${join(marked)}`);
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
