"use strict";

// What the colours of the points show, and the legend.
const Colours = (() => {
  const { shades } = Data.view.palettes;
  const legend = element("legend");
  const choice = element("colour-by");
  const choices = [...Data.fields, ...Data.units];
  let shown = null;
  let buttons = [];

  /** The number of each row that its colour shows. */
  function listValues(index) {
    const { colours, numbers } = choices[index];
    const unit = index - Data.fields.length;
    if (unit >= 0) return Data.all.map((row) => Data.code(row)[unit]);
    return (colours.values ?? numbers).map((value) => value ?? NaN);
  }

  function setColours(part, light, dark) {
    part.style.setProperty("--light", light);
    part.style.setProperty("--dark", dark);
    return part;
  }

  function drawShades([low, high]) {
    const ramps = shades.map((colours) => `linear-gradient(90deg,${colours})`);
    const bar = setColours(make("span", { className: "ramp" }), ...ramps);
    return make("span", { className: "shades" }, low, bar, high);
  }

  function drawGroup(group, index) {
    const { name, n, colours } = group;
    const className = group.is_square ? "swatch square-swatch" : "swatch";
    const swatch = setColours(make("span", { className }), ...colours);
    const members = Data.all.filter((row) => shown.values[row] === index);
    const count = make("span", { className: "n" }, n);
    const button = makeButton(
      [swatch, make("bdi", {}, name), " ", count],
      () => Marks.set(Marks.isSame(members) ? [] : members),
      "group",
    );
    buttons.push({ button, members });
    return button;
  }

  function press() {
    for (const { button, members } of buttons) {
      button.setAttribute("aria-pressed", String(Marks.isSame(members)));
    }
  }

  function choose() {
    const index = Number(choice.value);
    const { name, colours } = choices[index];
    shown = { ...colours, values: listValues(index) };
    buttons = [];
    legend.setAttribute("aria-label", `Colours: ${name}`);
    const parts = shown.groups?.map(drawGroup) ?? [drawShades(shown.ends)];
    legend.replaceChildren(...parts);
    press();
  }

  /** Begin, and call a function when other colours are shown. */
  function start(onChoice) {
    Marks.onChange(press);
    choice.addEventListener("change", () => {
      choose();
      onChoice();
    });
    choose();
    onChoice();
  }

  /** The colours on a light or on a dark page, from the lowest number to the highest. */
  function findPalette(isDark) {
    const side = Number(isDark);
    return shown.groups?.map(({ colours }) => colours[side]) ?? shades[side];
  }

  /** The marker of each row. */
  function listShapes() {
    const isSquare = (value) => shown.groups?.[value].is_square;
    return shown.values.map((value) => (isSquare(value) ? "square" : "circle"));
  }

  return { start, findPalette, listShapes, get: () => shown };
})();
