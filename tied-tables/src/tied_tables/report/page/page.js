"use strict";

// Starts the page, and tells of the row that is under the pointer.
(async () => {
  const hover = document.getElementById("hover");
  let pointer = { x: 0, y: 0 };

  function place() {
    const { width, height } = hover.getBoundingClientRect();
    const left = pointer.x + 16 + width < innerWidth ? pointer.x + 16 : pointer.x - 16 - width;
    const top = pointer.y + 16 + height < innerHeight ? pointer.y + 16 : pointer.y - 16 - height;
    Object.assign(hover.style, { left: `${Math.max(4, left)}px`, top: `${Math.max(4, top)}px` });
  }

  document.addEventListener("pointermove", ({ clientX, clientY }) => {
    pointer = { x: clientX, y: clientY };
    if (!hover.hidden) place();
  });

  for (const name of document.querySelectorAll("th bdi, li > bdi")) name.replaceWith(makeName(name.textContent));
  await Plots.draw();
  Toolbar.start();
  Table.start();
  Units.start();
  Histograms.start();
  Row.start();
  Plots.onHover((row) => {
    hover.hidden = row === undefined;
    if (hover.hidden) return;
    hover.replaceChildren(
      ...Toolbar.describeRow(row).map((text, i) => make("div", { className: i ? "" : "name" }, text)),
    );
    place();
  });
  for (const button of document.querySelectorAll("[data-more]")) {
    button.addEventListener("click", () => {
      const more = document.getElementById(button.dataset.more);
      more.hidden = !more.hidden;
      button.setAttribute("aria-expanded", String(!more.hidden));
      button.textContent = more.hidden ? button.dataset.closed : button.dataset.open;
    });
  }
  Link.start();
})();
