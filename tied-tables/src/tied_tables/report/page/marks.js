"use strict";

// Which rows are marked. Bokeh's own selection is the only state.
const Marks = (() => {
  const listeners = [];
  let source = null;
  let isWaiting = false;

  function get() {
    return source.selected.indices;
  }

  function set(indices) {
    source.selected.indices = indices;
  }

  function toggle(row) {
    const others = get().filter((other) => other !== row);
    set(get().includes(row) ? others : [...others, row]);
  }

  /** Whether these rows are marked, and no others. */
  function isSame(rows) {
    const marked = new Set(get());
    if (rows.length === 0 || rows.length !== marked.size) return false;
    return rows.every((row) => marked.has(row));
  }

  /** Call a function after each change, once a frame. */
  function onChange(listener) {
    listeners.push(listener);
  }

  function report() {
    isWaiting = false;
    for (const listener of listeners) listener(get());
  }

  function connect(rows) {
    source = rows;
    source.selected.properties.indices.change.connect(() => {
      if (!isWaiting) requestAnimationFrame(report);
      isWaiting = true;
    });
  }

  return { get, set, toggle, isSame, onChange, connect };
})();
