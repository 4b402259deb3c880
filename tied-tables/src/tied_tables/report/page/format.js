"use strict";

// Numbers and the values of columns as text.
const Format = (() => {
  const MISSPELT = 0.5; // the largest feature of a category that is misspelt
  // Of times that are no text.
  const TIME_FORMATS = { date: "%Y-%m-%d", timestamp: "%Y-%m-%d %H:%M:%S", time: "%H:%M:%S" };
  const MONTH = 30.436875; // days, its mean length: the step of the same day of each
  const two = (number) => String(number).padStart(2, "0");

  /** Round to the nearest whole number, and halves to the even one, as NumPy does. */
  function round(value) {
    const nearest = Math.round(value) + 0;  // not -0
    return nearest - value === 0.5 && nearest % 2 !== 0 ? nearest - 1 : nearest;
  }

  const count = (number) => number.toLocaleString("en");
  const percent = (share) => `${Math.round(100 * share)} %`;

  /** Three significant digits. */
  function number(value) {
    if (value === null || Number.isNaN(value)) return "-";
    const size = Math.abs(value);
    if (size >= 1e7 || (size > 0 && size < 1e-4)) return value.toExponential(2);
    return size >= 1000 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(3)));
  }

  /** Four digits as 2003: they may be a year. */
  const ungroup = (text) => text.replace(/^(-?\d),(\d{3})$/, "$1$2");

  /** A number as its column writes it, such as CHF 1'200.50. */
  function written(value, form) {
    const { decimal = ".", separator = "", prefix = "", suffix = "", places = null, parentheses = false } = form;
    const digits = places === null ? number(Math.abs(value)).replaceAll(",", "") : Math.abs(value).toFixed(places);
    const [whole, rest] = digits.split(".");
    const grouped = separator ? whole.replace(/\B(?=(\d{3})+(?!\d))/g, separator) : whole;
    const size = rest === undefined ? grouped : grouped + decimal + rest;
    const negative = value < 0 && (places === null || Number(digits) > 0);
    if (parentheses && negative) return `(${prefix}${size}${suffix})`;
    const sign = negative ? "-" : "";
    return prefix.endsWith(" ") ? prefix + sign + size + suffix : sign + prefix + size + suffix;
  }

  /** Days since 1970, from the features of a time. */
  function days(features, form) {
    const { origin = 0, hour = null, step = 0, is_clock = false } = form;
    let days = features[0] + origin;
    if (hour !== null) {
      let time = Math.atan2(features[hour], features[hour + 1]) / (2 * Math.PI);
      time -= Math.floor(time);
      const byWaves = round(days - time) + time;
      if (!is_clock || Math.abs(days - byWaves) >= 1 / 24) days = byWaves;
    }
    if (step === MONTH) return nearestMonth(days, origin);
    return step ? round((days - origin) / step) * step + origin : days;
  }

  /** The nearest day that is the same of its month as the origin, or the last. */
  function nearestMonth(days, origin) {
    const isLast = beginMonth(origin + 1) > origin;
    const place = isLast ? -1 : origin - beginMonth(origin);
    return beginMonth(within(days) - place + MONTH / 2) + place;
  }

  /** The first day of the month that a day lies in. */
  function beginMonth(days) {
    return new Date(Math.floor(days) * 86400000).setUTCDate(1) / 86400000;
  }

  /** A day within the years 1 to 9999. */
  function within(days) {
    return Math.min(Math.max(days, -719162), 2932896);
  }

  /** A time as its column writes it; `format` is as for strftime. */
  function time(features, form) {
    const { dtype = "date", offset = 0, places = 0, padded = true, is_clock = false, months = [] } = form;
    const format = form.format || TIME_FORMATS[dtype];
    const zone = form.format ? form.zone ?? "" : "";  // of times that are text
    let local = within(days(features, form) + offset);
    if (is_clock) local -= Math.floor(local + 1e-9);
    const step = format.includes("%S") ? 10 ** places : format.includes("%M") ? 1 / 60 : 1 / 86400;
    const seconds = round(local * 86400 * step) / step;
    const at = new Date(Math.floor(seconds + 1e-9) * 1000);
    const hour = at.getUTCHours();
    const fraction = places ? `.${String(Math.round((seconds % 1) * 10 ** places)).padStart(places, "0")}` : "";
    const monday = Math.floor((local + 3) / 7) * 7 - 3; // of its week
    const thursday = new Date((monday + 3) * 86400000);
    const year = thursday.getUTCFullYear(); // that the week is counted in
    const named = (part, length) => at.toLocaleDateString("en-US", { timeZone: "UTC", [part]: length });
    const parts = {
      Y: () => String(at.getUTCFullYear()).padStart(4, "0"),
      y: () => two(at.getUTCFullYear() % 100),
      m: () => two(at.getUTCMonth() + 1),
      d: () => two(at.getUTCDate()),
      b: () => named("month", "short"),
      B: () => named("month", "long"),
      a: () => named("weekday", "short"),
      A: () => named("weekday", "long"),
      H: () => two(hour),
      I: () => two(hour % 12 || 12),
      M: () => two(at.getUTCMinutes()),
      S: () => two(at.getUTCSeconds()) + fraction,
      p: () => (hour < 12 ? "AM" : "PM"),
      G: () => String(year).padStart(4, "0"),
      V: () => two(1 + Math.floor((thursday - Date.UTC(year, 0, 1)) / 604800000)),
      E: () => String(Number((local + 25569).toFixed(5))), // the days of a spreadsheet
    };
    let text = format.replace(/%(\w)/g, (_, letter) => parts[letter]());
    for (const [word, name] of months) text = text.replace(word, name);
    return (padded ? text : text.replace(/(^|[-/. ,])0(\d)/g, "$1$2")) + zone;
  }

  /** The value of a column, from the features of a row. */
  function value(column, row) {
    const features = row.subarray(column.begin, column.begin + column.n);
    if (features.some(Number.isNaN)) return "missing";
    const { form } = column;
    switch (column.kind) {
      case "category": {
        let largest = 0;
        features.forEach((feature, level) => { if (feature > features[largest]) largest = level; });
        const level = form.levels ? form.levels[largest] : String(largest + 1);
        return features[largest] === MISSPELT ? `${level}, misspelt` : level;
      }
      case "truth":
        return features[0] >= 0.5 ? (form.true ?? "true") : (form.false ?? "false");
      case "whole":
        return ungroup(round(features[0]).toLocaleString("en"));
      case "time":
        return time(features, form);
      default:
        return Object.keys(form).length ? written(features[0], form) : ungroup(number(features[0]));
    }
  }

  /** A value and what is expected, which has decimals where it is about as large. */
  function pair(column, ...rows) {
    const texts = rows.map((row) => value(column, row));
    const isClose = column.kind === "whole" && texts[0] === texts[1] && texts[0] !== "missing";
    return isClose ? [texts[0], ungroup(number(rows[1][column.begin]))] : texts;
  }

  return { count, percent, number, value, pair };
})();

/** Make an element; its children are elements or text, and never markup. */
function make(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** A name, which may break where its words end. */
function makeName(name) {
  const words = name.split(/(?<=[_.:])(?!\d)|(?<=[a-z])(?=[A-Z])/);
  return make("bdi", {}, ...words.flatMap((word) => [word, make("wbr")]));
}
