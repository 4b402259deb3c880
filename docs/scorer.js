// How Sphinx's search ranks what it finds: its own scores, and less for pages that name everything.
var Scorer = {
  score: ([page, , , , score]) =>
    /^(changelog|benchmarks|reference\/generated\/)/.test(page) ? score - 6 : score,
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
