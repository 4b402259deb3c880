"use strict";

// The address of the page names what is marked and which row is explained, so that a link restores
// them. Rows are named by their numbers in the table: #marked=3-7.12&row=5
const Link = (() => {
  let reading = false;

  function join(places) {
    const parts = [];
    for (const place of [...places].sort((a, b) => a - b)) {
      const last = parts[parts.length - 1];
      if (last !== undefined && place === last[1] + 1) last[1] = place;
      else parts.push([place, place]);
    }
    return parts.map(([first, last]) => (first === last ? first : `${first}-${last}`)).join(".");
  }

  /** The drawn rows with these numbers; others, and what is no number, are left out. */
  function split(text) {
    const rows = new Map(Data.places.map((place, row) => [place, row]));
    const ranges = text.split(".").map((part) => part.split("-").map(Number));
    return Data.places
      .filter((place) => ranges.some(([first, last = first]) => place >= first && place <= last))
      .map((place) => rows.get(place));
  }

  function write() {
    if (reading) return;
    const parts = [];
    const marked = Marks.get();
    if (marked.length) parts.push(`marked=${join(marked.map((row) => Data.places[row]))}`);
    if (Row.current() !== null) parts.push(`row=${Data.places[Row.current()]}`);
    const hash = parts.length ? `#${parts.join("&")}` : "";
    if (hash === location.hash) return;
    try {
      history.replaceState(null, "", hash || location.href.split("#")[0]);
    } catch {
      // A frame without an origin, such as in a notebook, has no history.
    }
  }

  function read() {
    const said = new Map(location.hash.slice(1).split("&").map((part) => part.split("=")));
    reading = true;
    if (said.has("marked")) Marks.set(split(said.get("marked") ?? ""));
    const [row] = said.has("row") ? split(said.get("row") ?? "") : [];
    if (row !== undefined) Row.open(row, { focus: false });
    reading = false;
  }

  function start() {
    Marks.onChange(write);
    addEventListener("hashchange", read);
    read();
  }

  return { start, write };
})();
