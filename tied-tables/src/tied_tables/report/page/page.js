"use strict";

// Starts the page, and describes the row that is under the pointer.
(async () => {
  const hover = element("hover");

  /** Put the box beside the pointer, towards the middle of the screen. */
  function place({ clientX: x, clientY: y }) {
    const shift = (at, size) => (at < size / 2 ? "16px" : "calc(-100% - 16px)");
    const translate = `${shift(x, innerWidth)} ${shift(y, innerHeight)}`;
    Object.assign(hover.style, { left: `${x}px`, top: `${y}px`, translate });
  }

  function describe(row) {
    hover.hidden = row === undefined;
    if (hover.hidden) return;
    const [name, ...others] = Row.name(row);
    const lines = [...others, Data.text(Data.oddness, row)];
    hover.replaceChildren(
      make("div", { className: "name" }, name),
      ...lines.map((line) => make("div", {}, line)),
    );
  }

  document.addEventListener("pointermove", place);
  for (const name of document.querySelectorAll("th bdi, li > bdi")) {
    name.replaceWith(makeName(name.textContent));
  }
  await Plots.draw();
  Toolbar.start();
  Table.start();
  Units.start();
  Row.start();
  Plots.onHover(describe);
  Link.start();
})();
