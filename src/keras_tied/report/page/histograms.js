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

  function nameClasses(column, [counts, classes], n) {
    const names = classes.map((place) => name(column, place));
    const end = (bar) => (counts.length ? `${names.at(bar)} (${Format.percent(counts.at(bar) / n)})` : "-");
    return [names, [end(0), end(-1)]];
  }

  function nameBins(column, [counts, edges, least, largest, hasLess, hasMore]) {
    if (counts.length === 0) return [[], ["-", "-"]];
    const step = column.kind === "whole" ? 1 : 0;
    const names = counts.map((_, bar) => {
      const [first, last] = [name(column, edges[bar]), name(column, edges[bar + 1] - step)];
      return first === last ? first : `${first} to ${last}`;
    });
    const [less, more] = [hasLess ? " or less" : "", hasMore ? " or more" : ""];
    names[0] += less;
    names[names.length - 1] += more;
    return [names, [name(column, least) + less, name(column, largest) + more]];
  }

  function start() {
    document.querySelectorAll(".columns > li").forEach((item, index) => {
      const column = Data.columns[index];
      const histogram = Data.histograms[index];
      const [counts] = histogram;
      const total = counts.reduce((sum, count) => sum + count, 0);
      const isClass = column.kind === "category" || column.kind === "truth";
      const [names, ends] = (isClass ? nameClasses : nameBins)(column, histogram, total);
      item.querySelectorAll("title").forEach((title, bar) => {
        title.textContent = `${names[bar]}: ${Format.count(counts[bar])} ${counts[bar] === 1 ? "row" : "rows"}`;
      });
      item.querySelector("svg").setAttribute("aria-label", `Histogram, from ${ends.join(" to ")}`);
      item.querySelectorAll(".ends bdi").forEach((end, which) => { end.textContent = ends[which]; });
    });
  }

  return { start, name };
})();
