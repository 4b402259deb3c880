"use strict";

// Which rows are marked. Bokeh's own selection is the only state.
const Marks = (() => {
  const listeners = [];
  let source = null;
  let waiting = false;

  const get = () => (source === null ? [] : source.selected.indices);

  function set(indices) {
    source.selected.indices = indices;
  }

  function toggle(row) {
    set(get().includes(row) ? get().filter((other) => other !== row) : [...get(), row]);
  }

  const isSame = (indices) => {
    const marked = new Set(get());
    return indices.length > 0 && indices.length === marked.size && indices.every((row) => marked.has(row));
  };

  /** Call a function after each change, once a frame. */
  const onChange = (listener) => listeners.push(listener);

  function connect(ofRows) {
    source = ofRows;
    source.selected.properties.indices.change.connect(() => {
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(() => {
        waiting = false;
        listeners.forEach((listener) => listener(get()));
      });
    });
  }

  return { get, set, toggle, isSame, onChange, connect };
})();
