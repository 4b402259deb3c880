"use strict";

// The sliders of the units, and the row that they stand for.
const Units = (() => {
  const sliders = [...document.querySelectorAll("#units input")];
  const middle = Data.units.map((unit) => unit.middle);
  let code = [...middle];

  function showColumn(line, row, slide) {
    const [, value] = line.cells;
    value.textContent = Text.decoded(row, slide);
    const dot = line.querySelector(".dot");
    if (!dot) return;
    const { begin, low, high } = slide;
    const share = (row[begin] - low) / (high - low || 1);
    const within = Math.min(Math.max(share, 0), 1);
    dot.style.left = `${(100 * within).toFixed(1)}%`;
  }

  function showRow() {
    const row = Decoder.decode(code);
    const lines = element("decoded").tBodies[0].rows;
    Data.view.slides.forEach((slide, i) => showColumn(lines[i], row, slide));
    sliders.forEach((slider, unit) => {
      slider.nextElementSibling.textContent = Text.number(code[unit]);
    });
  }

  /** Set the sliders to a code. */
  function setCode(units) {
    if (!Decoder.isThere) return;
    code = [...units];
    sliders.forEach((slider, unit) => {
      slider.value = String(code[unit]);
    });
    showRow();
  }

  function start() {
    if (!Decoder.isThere) return;
    sliders.forEach((slider, unit) => {
      slider.addEventListener("input", () => {
        code[unit] = Number(slider.value);
        showRow();
      });
    });
    element("middle").addEventListener("click", () => setCode(middle));
    setCode(middle);
  }

  return { start, setCode };
})();
