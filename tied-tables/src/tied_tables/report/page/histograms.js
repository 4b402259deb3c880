"use strict";

// The bars of the histograms are in the page; what each of them counts is said here.
const Histograms = (() => {
  /** The text of a number or a class of a column. */
  function name(column, place) {
    const row = new Float64Array(column.begin + column.n);
    const isCategory = column.kind === "category";
    row[column.begin + (isCategory ? place : 0)] = isCategory ? 1 : place;
    if (column.form.hour) {
      const angle = 2 * Math.PI * (place + column.form.origin);
      row.set([Math.sin(angle), Math.cos(angle)], column.begin + column.form.hour);
    }
    return Format.value(column, row);
  }

  function nameClasses(column, { counts, places, n_rows: nRows }) {
    if (counts.length === 0) return [[], ["-", "-"]];
    const names = places.map((place) => name(column, place));
    const end = (bar) => `${names.at(bar)} (${Format.percent(counts.at(bar) / nRows)})`;
    const n = column.kind === "truth" ? 2 : column.n;
    const some = n > counts.length ? `${counts.length} of ${n} categories` : `${n} categories`;
    return [names, [end(0), n === 2 ? end(-1) : some]];
  }

  /** A bar of many days needs no time of day. */
  function nameDay(column, place, { places: edges }) {
    const isLong = column.kind === "time" && edges.at(-1) - edges[0] > 2 * edges.length;
    const text = name(column, place);
    return isLong ? text.replace(/[T ]\d{1,2}:\d\d.*$/, "") : text;
  }

  function nameBins(column, histogram) {
    const { counts, places: edges, least, largest } = histogram;
    if (counts.length === 0) return [[], ["-", "-"]];
    const step = column.kind === "whole" ? 1 : 0;
    const names = counts.map((_, bar) => {
      const [first, last] = [nameDay(column, edges[bar], histogram), nameDay(column, edges[bar + 1] - step, histogram)];
      return first === last ? first : `${first} to ${last}`;
    });
    const [less, more] = [histogram.has_less ? " or less" : "", histogram.has_more ? " or more" : ""];
    names[0] += less;
    names[names.length - 1] += more;
    return [names, [nameDay(column, least, histogram) + less, nameDay(column, largest, histogram) + more]];
  }

  function start() {
    document.querySelectorAll(".columns > li").forEach((item, index) => {
      const column = Data.columns[index];
      const histogram = Data.histograms[index];
      const { counts } = histogram;
      const isClass = column.kind === "category" || column.kind === "truth";
      const [names, ends] = (isClass ? nameClasses : nameBins)(column, histogram);
      item.querySelectorAll("title").forEach((title, bar) => {
        title.textContent = `${names[bar]}: ${Format.count(counts[bar])} ${counts[bar] === 1 ? "row" : "rows"}`;
      });
      item.querySelector("svg").setAttribute("aria-label", `Histogram, from ${ends.join(" to ")}`);
      item.querySelectorAll(".ends bdi").forEach((end, which) => { end.textContent = ends[which]; });
    });
  }

  return { start, name };
})();
