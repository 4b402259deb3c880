"use strict";

// One toolbar for all panels: what dragging does, finding a row, and the marks.
const Toolbar = (() => {
  const found = element("found");
  const status = element("status");
  const places = new Map(
    Data.all.map((row) => [Data.id(row).trim().toLowerCase(), row]),
  );

  /** The row with an id, or with this number in the table; else undefined. */
  function findRow(text) {
    const name = text.toLowerCase();
    return places.get(name) ?? places.get(Text.count(Number(name)));
  }

  function find(event) {
    event.preventDefault();
    const text = element("find").value.trim();
    const row = findRow(text);
    const isMissing = row === undefined && text !== "";
    found.textContent = isMissing
      ? `No row on this page is named ${text}.`
      : "";
    if (row === undefined) return;
    Marks.set([row]);
    Row.open(row);
  }

  function startTools() {
    for (const tool of document.getElementsByName("tool")) {
      tool.addEventListener("change", () => Plots.chooseTool(tool.value));
      tool.checked &&= !matchMedia("(pointer: coarse)").matches;
    }
    for (const button of document.querySelectorAll("[data-show-all]")) {
      button.addEventListener("click", Plots.showAll);
    }
  }

  function startUnits() {
    const choices = [element("across"), element("upwards")];
    for (const choice of choices) {
      choice?.addEventListener("change", () => {
        const [across, upwards] = choices.map(({ value }) => Number(value));
        Plots.chooseUnits(across, upwards);
      });
    }
  }

  function showMarked() {
    const heading = element("worst-heading");
    Table.sortBy("mark", true);
    heading.scrollIntoView();
    heading.focus({ preventScroll: true });
  }

  function start() {
    startTools();
    startUnits();
    const { worst } = Data;
    const onClick = (id, listener) =>
      element(id).addEventListener("click", listener);
    element("find-form").addEventListener("submit", find);
    onClick("reset", Plots.reset);
    onClick("mark-worst", () => Marks.set([...worst]));
    onClick("oddest", () => Row.open(worst[0]));
    onClick("clear", () => Marks.set([]));
    onClick("download", () => Download.save(Marks.get()));
    onClick("show-marked", showMarked);
    Marks.onChange((indices) => {
      const isEmpty = indices.length === 0;
      const n = Text.count(indices.length);
      status.textContent = `Marked: ${n} of ${Text.count(Data.n)} rows.`;
      status.classList.toggle("unmarked", isEmpty);
      for (const id of ["clear", "show-marked", "download"]) {
        element(id).disabled = isEmpty;
      }
    });
  }

  return { start };
})();
