"use strict";

// What the units of the code mean: the columns that they follow, and what a code stands for.
const Units = (() => {
  const MOST_UNITS = 32;
  const MOST_COLUMNS = 5;
  const STEPS = 200;
  const list = document.getElementById("units");
  const decoded = document.getElementById("decoded");
  const n = Math.min(Data.n_units, MOST_UNITS);
  // A value far outside of its column would be all of its range.
  const ordinary = Data.is_far.flatMap((far, row) => (far ? [] : [row]));
  let sliders = [];
  let code = [];
  let lines = [];

  const sorted = (values) => Float64Array.from(values).filter(Number.isFinite).sort();
  const quantile = (values, share) => values[Math.round(share * (values.length - 1))] ?? 0;

  function driver({ name, r }) {
    const bar = make("span", { className: r < 0 ? "bar falls" : "bar rises" });
    bar.style.width = `${(50 * Math.abs(r)).toFixed(1)}%`;
    const track = make("span", { className: "track signed" }, bar);
    track.setAttribute("aria-hidden", "true");
    return make("li", {}, makeName(name), track, make("span", { className: "r" }, r.toFixed(2)));
  }

  function makeSlider(unit, values) {
    const [low, high] = [quantile(values, 0.01), quantile(values, 0.99)];
    const step = (high - low) / STEPS || 1;
    const slider = make("input", { type: "range", min: String(low), max: String(high), step: String(step) });
    slider.setAttribute("aria-label", `Unit ${unit + 1}`);
    slider.addEventListener("input", () => {
      code[unit] = Number(slider.value);
      decode();
    });
    return slider;
  }

  function makeUnit(unit) {
    const values = sorted(ordinary.map((row) => Data.code(row)[unit]));
    code[unit] = quantile(values, 0.5);
    const children = [
      make("h3", {}, `Unit ${unit + 1}`),
      make("ul", {}, ...Data.drivers(unit).slice(0, MOST_COLUMNS).map(driver)),
    ];
    if (Decoder.isThere) {
      sliders[unit] = makeSlider(unit, values);
      const output = make("output", {});
      children.push(make("div", { className: "slide" }, sliders[unit], output));
    }
    const made = make("li", { className: "unit" }, ...children);
    made.id = `unit-${unit + 1}`;
    return made;
  }

  function makeLines() {
    lines = Data.columns.map((column) => {
      const isNumber = column.kind === "number" || column.kind === "whole" || column.kind === "time";
      const values = isNumber ? sorted(ordinary.map((row) => Data.given(row)[column.begin])) : [];
      const dot = make("span", { className: "dot" });
      const track = make("span", { className: "track", hidden: !isNumber }, dot);
      track.setAttribute("aria-hidden", "true");
      const value = make("td", {});
      return { column, dot, value, track, low: quantile(values, 0.01), high: quantile(values, 0.99) };
    });
    decoded.tBodies[0].replaceChildren(
      ...lines.map(({ column, value, track }) =>
        make("tr", {}, make("th", { scope: "row" }, makeName(column.name)), value, make("td", {}, track))),
    );
  }

  function decode() {
    if (!Decoder.isThere) return;
    const row = Decoder.decode(code);
    for (const { column, value, dot, low, high } of lines) {
      value.textContent = Format.value(column, row);
      const share = (row[column.begin] - low) / (high - low || 1);
      dot.style.left = `${(100 * Math.min(Math.max(share, 0), 1)).toFixed(1)}%`;
    }
    sliders.forEach((slider, unit) => {
      slider.nextElementSibling.textContent = Format.number(code[unit]);
    });
  }

  /** Set the sliders to a code. */
  function setCode(units) {
    code = [...units];
    sliders.forEach((slider, unit) => { slider.value = String(code[unit]); });
    decode();
  }

  function start() {
    code = Array.from(Data.code(0));
    list.replaceChildren(...Array.from({ length: n }, (_, unit) => makeUnit(unit)));
    if (!Decoder.isThere) return;
    makeLines();
    const middle = [...code];
    document.getElementById("middle").addEventListener("click", () => setCode(middle));
    setCode(code);
  }

  return { start, setCode };
})();
