"use strict";

// Numbers that are computed in the browser as texts, and elements that hold texts.
const Text = (() => {
  const DAY = 864e5; // in milliseconds
  const YEARS_1_TO_9999 = [-719162, 2932896]; // in days since 1970

  /** A whole number; with "min2" a year has no comma. */
  function count(number, useGrouping = "always") {
    return number.toLocaleString("en", { useGrouping });
  }

  /** Three significant digits. */
  function number(value) {
    const size = Math.abs(value);
    const isTiny = size > 0 && size < 1e-4;
    if (isTiny || size >= 1e7) return value.toExponential(2);
    if (size >= 1000) return count(Math.round(value), "min2");
    return String(Number(value.toPrecision(3)));
  }

  /** The date, the time of day, or both, of days since 1970. */
  function time(days, part) {
    const [first, last] = YEARS_1_TO_9999;
    const within = Math.min(Math.max(days, first), last);
    const iso = new Date(within * DAY).toISOString();
    return iso.slice(...part).replace("T", " ");
  }

  /** A decoded value; `slide` tells how its column is written. */
  function decoded(row, slide) {
    const { begin, levels, truth, part, units, decimal } = slide;
    const value = row[begin];
    if (levels) {
      const shares = row.subarray(begin, begin + levels.length);
      return levels[shares.indexOf(Math.max(...shares))];
    }
    if (truth) return truth[Number(value >= 0.5)];
    if (part) return time(value + slide.origin, part);
    const whole = Math.round(value);
    const text = slide.is_whole ? count(whole, "min2") : number(value);
    if (!units) return text;
    const [prefix, suffix] = units;
    const digits = text.replaceAll(",", "").replace(".", decimal);
    return prefix + digits + suffix;
  }

  return { count, number, decoded };
})();

function element(id) {
  return document.getElementById(id);
}

/** Make an element; its children are elements or text, and never markup. */
function make(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** Make a button that calls a function. */
function makeButton(content, onClick, className = "") {
  const button = make("button", { type: "button", className }, ...content);
  button.addEventListener("click", onClick);
  return button;
}

/** A name, which may break where its words end. */
function makeName(name) {
  const words = name.split(/(?<=[_.:])(?!\d)|(?<=[a-z])(?=[A-Z])/);
  const parts = words.flatMap((word) => [word, make("wbr")]);
  return make("bdi", {}, ...parts);
}
