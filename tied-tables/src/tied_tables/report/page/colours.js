"use strict";

// What the colours of the points show, and the legend.
const Colours = (() => {
  const { palettes, labels, label_numbers: numbers, label_name: labelName, columns } = Data;
  const collator = new Intl.Collator("en", { numeric: true });
  const MOST_COLOURS = palettes.groups.length - 1;
  const MOST_GROUPS = 2 * MOST_COLOURS;  // each colour as a circle and as a square
  const legend = document.getElementById("legend");
  const choice = document.getElementById("colour-by");
  let shown = null;
  let buttons = [];
  let repaint = () => {};

  /** Numbers from the lowest to the highest, nearly: those far out have the colour of the end. */
  function shade(name, values, format, all = false) {
    const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
    const at = (share) => sorted[Math.round(share * (sorted.length - 1))] ?? 0;
    const [low, high] = all ? [at(0), at(1)] : [at(0.01), at(0.99)];
    const [light, dark] = palettes.shades;
    const room = high > low ? 0 : 0.5;
    return { name, values, low: low - room, high: high + room, light, dark, ends: [format(low), format(high)] };
  }

  function group(name, values, names, nColoured) {
    const several = (colours) => Array.from({ length: nColoured }, (_, i) => colours[i % colours.length]);
    const [light, dark] = palettes.groups[Math.min(nColoured, MOST_COLOURS)].map(several);
    const neutral = (colour) => Array(names.length - nColoured).fill(colour);
    const n = names.map(() => 0);
    values.forEach((value) => { n[value] += 1; });
    return {
      name, values, low: -0.5, high: names.length - 0.5, names, n,
      isSquare: (value) => value >= MOST_COLOURS && value < nColoured,
      light: [...light, ...neutral(palettes.neutral[0])],
      dark: [...dark, ...neutral(palettes.neutral[1])],
    };
  }

  /** Many different numbers are shades. */
  function byLabel() {
    const areShades = numbers !== null && new Set(labels.filter(Boolean)).size > MOST_COLOURS;
    const order = new Map(labels.map((text, row) => [text, numbers?.[row] ?? 0]));
    if (!areShades) return byText(labelName, labels, (a, b) => order.get(a) - order.get(b));
    return shade(labelName, numbers.map((number) => number ?? NaN), Format.number, true);
  }

  /** The most frequent texts are told apart; the empty one is missing. */
  function byText(name, texts, compare = () => 0) {
    const counts = new Map();
    texts.filter(Boolean).forEach((text) => counts.set(text, (counts.get(text) ?? 0) + 1));
    const frequent = [...counts].sort((a, b) => b[1] - a[1]).map(([text]) => text);
    const names = frequent.slice(0, MOST_GROUPS).sort((a, b) => compare(a, b) || collator.compare(a, b));
    const nColoured = names.length;
    const place = new Map(names.map((text, index) => [text, index]));
    if (frequent.length > nColoured) names.push(`${frequent.length - nColoured} others`);
    if (texts.includes("")) names.push("missing");
    const find = (text) => (text === "" ? names.length - 1 : place.get(text) ?? nColoured);
    return group(name, texts.map(find), names, nColoured);
  }

  /** Scores and errors differ by orders of magnitude, so that their logarithm is shown. */
  function byLogarithm(name, numbers) {
    const smallest = Math.min(...numbers.filter((number) => number > 0));
    if (!Number.isFinite(smallest)) return shade(name, numbers.map(() => 0), Format.number, true);
    const logs = numbers.map((number) => (number === null ? NaN : Math.log10(Math.max(number, smallest))));
    return shade(name, logs, (log) => Format.number(10 ** log));
  }

  function byColumn(column) {
    const rows = Array.from({ length: Data.n }, (_, row) => Data.given(row));
    if (column.kind !== "category" && column.kind !== "truth") {
      const format = (number) => Histograms.name(column, number);
      return shade(column.name, rows.map((row) => row[column.begin]), format);
    }
    const write = (row) => (Number.isNaN(row[column.begin]) ? "" : Format.value(column, row));
    return byText(column.name, rows.map(write));
  }

  const byUnit = (unit) =>
    shade(`unit ${unit + 1}`, Array.from({ length: Data.n }, (_, row) => Data.code(row)[unit]), Format.number);

  const choices = [
    ...(labels === null ? [] : [[labelName, byLabel]]),
    ["outlier score", () => byLogarithm("outlier score", Data.scores)],
    ["error", () => byLogarithm("error", Data.errors)],
    ...columns.map((column) => [column.name, () => byColumn(column)]),
    ...Array.from({ length: Data.n_units }, (_, unit) => [`unit ${unit + 1}`, () => byUnit(unit)]),
  ];

  function ramp(colours) {
    return `linear-gradient(90deg,${colours.join(",")})`;
  }

  function drawLegend() {
    buttons = [];
    if (shown.names === undefined) {
      const bar = make("span", { className: "ramp" });
      bar.style.setProperty("--light", ramp(shown.light));
      bar.style.setProperty("--dark", ramp(shown.dark));
      legend.replaceChildren(make("span", { className: "shades" }, shown.ends[0], bar, shown.ends[1]));
      return;
    }
    buttons = shown.names.map((name, index) => {
      const swatch = make("span", { className: shown.isSquare(index) ? "swatch square-swatch" : "swatch" });
      swatch.style.setProperty("--light", shown.light[index]);
      swatch.style.setProperty("--dark", shown.dark[index]);
      const n = make("span", { className: "n" }, Format.count(shown.n[index]));
      const button = make("button", { type: "button", className: "group" }, swatch, make("bdi", {}, name), " ", n);
      const members = shown.values.flatMap((value, row) => (value === index ? [row] : []));
      button.setAttribute("aria-pressed", "false");
      button.addEventListener("click", () => Marks.set(Marks.isSame(members) ? [] : members));
      return { button, members };
    });
    legend.replaceChildren(...buttons.map(({ button }) => button));
  }

  function press() {
    for (const { button, members } of buttons) button.setAttribute("aria-pressed", String(Marks.isSame(members)));
  }

  function choose(index) {
    shown = choices[index][1]();
    legend.setAttribute("aria-label", `Colours: ${shown.name}`);
    drawLegend();
    press();
    repaint();
  }

  choice.replaceChildren(...choices.map(([name], index) => make("option", { value: index }, name)));
  choice.addEventListener("change", () => choose(Number(choice.value)));
  Marks.onChange(press);

  /** Begin, and call a function when other colours are shown. */
  function start(onChoice) {
    repaint = onChoice;
    choose(0);
  }

  return { start, get: () => shown };
})();
