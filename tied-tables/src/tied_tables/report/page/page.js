"use strict";

// Starts the page, and describes the row that is under the pointer.
(async () => {
  const GAP = 16; // pixels from the pointer
  const hover = element("hover");
  let pointer = { x: 0, y: 0 };

  /** Where a box begins beside the pointer, on the side where there is room. */
  function besides(at, size, room) {
    const after = at + GAP;
    const before = at - GAP - size;
    return Math.max(4, after + size < room ? after : before);
  }

  function place() {
    const { width, height } = hover.getBoundingClientRect();
    hover.style.left = `${besides(pointer.x, width, innerWidth)}px`;
    hover.style.top = `${besides(pointer.y, height, innerHeight)}px`;
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
    place();
  }

  function unfold(button) {
    const more = element(button.dataset.more);
    const { closed, open } = button.dataset;
    more.hidden = !more.hidden;
    button.setAttribute("aria-expanded", String(!more.hidden));
    button.textContent = more.hidden ? closed : open;
  }

  document.addEventListener("pointermove", ({ clientX: x, clientY: y }) => {
    pointer = { x, y };
    if (!hover.hidden) place();
  });
  for (const button of document.querySelectorAll("[data-more]")) {
    button.addEventListener("click", () => unfold(button));
  }
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
