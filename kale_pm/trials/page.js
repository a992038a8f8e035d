// Without this script the page is complete: the table then stands in the order of the ranks.
(() => {
  const table = document.querySelector(".trials");
  if (!table) return;
  const body = table.tBodies[0];
  const order = new Intl.Collator(undefined, { numeric: true });

  // Numbers come before texts, and what a trial does not have comes last, either way.
  const read = (cell) => {
    const text = (cell.dataset.value ?? cell.textContent).trim();
    const number = Number(text);
    return { text, number, kind: text === "" ? 2 : Number.isNaN(number) ? 1 : 0 };
  };
  const compare = (one, other, way) =>
    one.kind - other.kind
    || way * (one.kind === 0 ? one.number - other.number : order.compare(one.text, other.text));

  const headings = [...table.tHead.rows[0].cells];
  const sort = (heading, column) => {
    const way = heading.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
    headings.forEach((each) => each.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", way);
    const sign = way === "ascending" ? 1 : -1;
    const rows = [...body.rows].map((row) => ({ row, key: read(row.cells[column]) }));
    rows.sort((one, other) => compare(one.key, other.key, sign));
    const sorted = document.createDocumentFragment();
    rows.forEach(({ row }) => sorted.append(row));
    body.append(sorted);
  };
  headings.forEach((heading, column) => {
    if (heading.classList.contains("unsorted")) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    button.addEventListener("click", () => sort(heading, column));
    heading.append(button);
  });

  // The trial under the pointer is shown in all pictures and in the table.
  const shapes = new Map();
  document.querySelectorAll(".kale-trials a").forEach((shape) => {
    const trial = shape.getAttribute("href").slice(1);
    shapes.set(trial, [...(shapes.get(trial) ?? []), shape]);
  });
  let seen = null;
  const see = (trial) => {
    if (trial === seen) return;
    const mark = (id, on) => {
      document.getElementById(id)?.classList.toggle("seen", on);
      shapes.get(id)?.forEach((shape) => shape.classList.toggle("seen", on));
    };
    if (seen) mark(seen, false);
    if (trial) mark(trial, true);
    seen = trial;
  };
  document.addEventListener("pointerover", ({ target }) => {
    const shape = target.closest?.(".kale-trials a");
    see(shape ? shape.getAttribute("href").slice(1) : target.closest?.(".trials tbody tr")?.id ?? null);
  });
})();
