"use strict";

// A row explained: its columns, given and suggested by the others, and the rows that are like it.
const Row = (() => {
  const N_NEAREST = 5;
  const { main_share: MAIN, contradiction: CONTRADICTION } = Data;
  const element = (id) => document.getElementById(id);
  const panel = element("row");
  let open = null;
  let before = null;

  // How far apart units are, so that each counts as much.
  const spreads = Array.from({ length: Data.n_units }, (_, unit) => {
    const values = Array.from({ length: Data.n }, (_, row) => Data.code(row)[unit]);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length) || 1;
  });

  /** The rows whose codes are nearest, with their distances in standard deviations. */
  function nearest(row) {
    const own = Data.code(row);
    const distance = (other) =>
      Math.hypot(...Data.code(other).map((unit, i) => (unit - own[i]) / spreads[i]));
    return Array.from({ length: Data.n }, (_, other) => [other, other === row ? Infinity : distance(other)])
      .filter(([, far]) => Number.isFinite(far))
      .sort((a, b) => a[1] - b[1])
      .slice(0, N_NEAREST);
  }

  function line({ index, share }, largest, row) {
    const column = Data.columns[index];
    const bar = make("span", { className: "bar" });
    bar.style.width = `${((100 * share) / (largest || 1)).toFixed(1)}%`;
    const cells = [
      ...Format.pair(column, Data.given(row), Data.expected(row)).map((text) => make("td", {}, text)),
      make("td", { className: "share" }, make("span", { className: "track" }, bar), Format.percent(share)),
    ];
    const header = make("th", { scope: "row" }, makeName(column.name));
    return make("tr", {}, header, ...cells);
  }

  // As `describe_reason` of tied_tables._reasons, which is for the command.
  function reason(row, shares) {
    const causes = shares.filter(({ share }) => share > 0).slice(0, 3).map(({ index, share, isMended }) => {
      const column = Data.columns[index];
      const [given, expected] = Format.pair(column, Data.given(row), Data.expected(row));
      return { name: column.name, share, isMended, given, expected };
    });
    if (causes.length === 0) return "No column alone makes it odd.";
    const [first, second] = causes;
    const mended = (which) => (first.isMended ? `, and with ${which} the row would be ordinary` : "");
    if (first.share >= MAIN || second === undefined) {
      return `${first.name}: ${first.given} is given; the other columns suggest ${first.expected}${mended("that")}.`;
    }
    if (second.share >= CONTRADICTION * first.share && first.share + second.share >= MAIN) {
      return `${first.name} ${first.given} and ${second.name} ${second.given} seldom go together; the other columns ` +
        `suggest ${first.name} ${first.expected} or ${second.name} ${second.expected}${mended("the former")}.`;
    }
    return `Several columns: ${causes.map((c) => `${c.name} ${c.given} (suggested ${c.expected})`).join(", ")}.`;
  }

  function standing(row) {
    if (Data.scores[row] === null) return "It has no score: all of its values are missing.";
    const rank = `number ${Format.count(Data.ranks[row])} of ${Format.count(Data.n_all)}`;
    return `Outlier score ${Format.number(Data.scores[row])}: ${Data.oddness(row)}, ${rank}. Error ${Format.number(Data.errors[row])}.`;
  }

  /** Which row is the oddest, why, and how odd it is. */
  function describeOddest() {
    const [row] = Data.worst;
    const score = Data.scores[row];
    if (score === null) return "";
    const number = Format.count(Data.places[row]);
    const name = Data.ids[row] === number ? number : `${number} (id ${Data.ids[row]})`;
    const size = Data.median > 0 ? `${Format.number(score / Data.median)} times the median` : Format.number(score);
    const start = Data.n_outstanding ? `The oddest row is ${name}` : `Even the oddest row, ${name}, is within what is usual in ${Format.count(Data.n_all)} rows`;
    const rare = Data.n_outstanding ? `; ${Data.oddness(row)}${Data.has_drifted ? " in training" : ""}` : "";
    return `${start}. ${reason(row, Data.explain(row))} Its score is ${size}${rare}.`;
  }

  function show(row) {
    const shares = Data.explain(row);
    const [name, ...rest] = Toolbar.describeRow(row);
    element("row-heading").textContent = rest.length > 1 ? `${name}, ${rest[0]}` : name;
    element("row-reason").textContent = reason(row, shares);
    element("row-standing").textContent = standing(row);
    element("row-columns").tBodies[0].replaceChildren(...shares.map((share) => line(share, shares[0].share, row)));
    element("row-nearest").replaceChildren(
      ...nearest(row).map(([other, far]) => {
        const button = make("button", { type: "button" }, makeName(Data.ids[other]));
        button.addEventListener("click", () => openRow(other));
        return make("li", {}, button, ` ${Format.number(far)}`);
      }),
    );
    element("row-mark").setAttribute("aria-pressed", String(Marks.get().includes(row)));
  }

  function openRow(row, { focus = true } = {}) {
    if (open === null) before = document.activeElement;
    open = row;
    show(row);
    panel.hidden = false;
    document.body.classList.add("explains");
    element("row-content").scrollTop = 0;
    if (focus) element("row-heading").focus();
    Plots.point(row);
    Units.setCode(Data.code(row));
    Link.write();
  }

  function close() {
    if (open === null) return;
    const hadFocus = panel.contains(document.activeElement);
    open = null;
    panel.hidden = true;
    document.body.classList.remove("explains");
    if (hadFocus) before?.focus();
    Plots.point(null);
    Link.write();
  }

  /** Go to the row with the next larger or smaller score. */
  function step(by) {
    const order = Array.from({ length: Data.n }, (_, row) => row).sort((a, b) => Data.ranks[a] - Data.ranks[b]);
    const next = order[order.indexOf(open) + by];
    if (next !== undefined) openRow(next, { focus: false });
  }

  function start() {
    element("oddest-row").textContent = describeOddest();
    element("row-close").addEventListener("click", close);
    element("row-mark").addEventListener("click", () => Marks.toggle(open));
    element("row-larger").addEventListener("click", () => step(-1));
    element("row-smaller").addEventListener("click", () => step(1));
    document.addEventListener("keydown", ({ key }) => {
      if (key !== "Escape") return;
      if (open === null) Marks.set([]);
      else close();
    });
    Marks.onChange((indices) => {
      if (open !== null) element("row-mark").setAttribute("aria-pressed", String(indices.includes(open)));
    });
    Plots.onTap(() => requestAnimationFrame(() => {
      if (Marks.get().length === 1) openRow(Marks.get()[0], { focus: false });
    }));
  }

  return { start, open: openRow, close, current: () => open };
})();
