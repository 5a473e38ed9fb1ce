// The table of pairs: filtered, sorted, a page at a time.
const PER_PAGE = 50;
const MEASURES = [ // key, heading, how it is written; the numbers to sort and filter by
  ["inliers", "Inliers", whole],
  ["inlier_rmse_px", "RMSE, px", decimal],
  ["rmse_px", "Off a plane, px", decimal],
  ["overlap", "Overlap", percent],
  ["windows", "Windows", whole],
  ["accepted", "Accepted", whole],
  ["share", "Share", percent],
  ["exposure_ev", "Exposure, EV", signed],
  ["color_ev", "Colour, EV", decimal],
  ["sharpness_ratio", "Sharpness", decimal],
  ["parallax_px", "Parallax, px", (value) => decimal(value, 1)],
];
const WORST_LAST = ["inlier_rmse_px", "rmse_px", "parallax_px"];
const IN_PERCENT = ["overlap", "share"];
const CHOICES = ["status", "reason", "split"];
const view = { rows: [], page: 0, key: "number", down: false };
const ranges = new Map(); // key → its two fields

function fillTools() {
  for (const name of CHOICES) {
    const values = [...new Set(rows.map((row) => row[name]))].filter((v) => v !== null);
    const field = by(`by-${name}`);
    values.sort().forEach((value) => field.append(make("option", { value }, value)));
    field.closest("label").hidden = values.length === 0;
  }
  by("sort").append(make("option", { value: "number" }, "Name"));
  for (const [key, heading] of MEASURES) {
    by("sort").append(make("option", { value: key }, heading));
    const unit = IN_PERCENT.includes(key) ? ", %" : "";
    const fields = ["at least", "at most"].map((end) => make("input", {
      type: "number", step: "any", "aria-label": `${heading}${unit} ${end}`, placeholder: end,
    }));
    fields.forEach((field) => field.addEventListener("input", refresh));
    by("ranges").append(make("fieldset", {}, make("legend", {}, heading + unit), ...fields));
    ranges.set(key, fields);
  }
}

// 0.57 is 57, not 56.99999999999999: the ends of a range are in it.
const inPercent = (share) => Number((100 * share).toPrecision(12));

function passes(row) {
  const wanted = by("find").value.trim().toLowerCase();
  if (wanted && !row.pair.toLowerCase().includes(wanted)) return false;
  for (const name of CHOICES) {
    const value = by(`by-${name}`).value;
    if (value && row[name] !== value) return false;
  }
  if (by("only-marked").checked && !isMarked(row.pair) && !markedWindows(row.pair)) return false;
  for (const [key, fields] of ranges) {
    const [low, high] = fields.map((field) => field.value === "" ? null : Number(field.value));
    if (low === null && high === null) continue;
    if (row[key] === null) return false;
    const value = IN_PERCENT.includes(key) ? inPercent(row[key]) : row[key];
    if ((low !== null && value < low) || (high !== null && value > high)) return false;
  }
  return true;
}

// Rows without the value come last, whichever way; equal ones stay in the order of names.
function compare(a, b) {
  const [x, y] = [a[view.key], b[view.key]];
  if (x === null || y === null) return (x === null) - (y === null) || a.number - b.number;
  return (view.down ? y - x : x - y) || a.number - b.number;
}

function refresh() {
  view.rows = rows.filter(passes).sort(compare);
  view.page = 0;
  showPage();
}

function showPage() {
  const pages = Math.max(1, Math.ceil(view.rows.length / PER_PAGE));
  view.page = Math.min(Math.max(view.page, 0), pages - 1);
  const start = view.page * PER_PAGE;
  const shown = view.rows.slice(start, start + PER_PAGE);
  by("rows").replaceChildren(...shown.map(tableRow));
  const found = view.rows.length === rows.length ? counted(rows.length, "record")
    : `${whole(view.rows.length)} of ${counted(rows.length, "record")}`;
  const place = pages > 1 ? `; ${whole(start + 1)} to ${whole(start + shown.length)} shown` : "";
  by("shown").textContent = `${found}${place}`;
  by("pager").hidden = pages === 1;
  by("page").textContent = `Page ${view.page + 1} of ${pages}`;
  by("page-back").disabled = view.page === 0;
  by("page-on").disabled = view.page === pages - 1;
  by("sort").value = view.key;
  by("direction").textContent = view.down ? "\u2193 descending" : "\u2191 ascending";
  for (const button of document.querySelectorAll("#head button")) {
    const sorted = button.dataset.key === view.key;
    const order = view.down ? "descending" : "ascending";
    button.closest("th").setAttribute("aria-sort", sorted ? order : "none");
  }
}

function tableRow(row) {
  const thumb = row.picture === null ? null : make("img", {
    src: link(`${row.picture}-thumb.jpg`), loading: "lazy",
    alt: `${row.pair}: ${data.phone} and ${data.dslr}`,
  });
  const open = make("button", { type: "button", class: "open" }, row.pair);
  const why = row.reason === null ? "" : make("span", { class: "why" },
    make("code", {}, row.reason), ` ${row.message || reasonText(row.reason)}`);
  const out = markedWindows(row.pair);
  const badge = make("span", { class: `badge ${badgeOf(row)}` }, row.status);
  const name = make("th", { scope: "row" }, open, make("span", { class: "why" }, badge,
    row.split === null ? "" : ` ${row.split}`,
    out ? `, ${counted(out, "window")} left out` : ""), why);
  const marked = isMarked(row.pair);
  const mark = make("button", { type: "button", class: "mark", "aria-pressed": marked,
    "aria-label": `Leave out ${row.pair}`, title: "Leave this photo out (X)" }, "\u2715");
  const line = make("tr", { class: marked ? "marked" : null, "data-number": row.number },
    make("td", { class: "thumb" }, thumb ?? ""), name,
    ...MEASURES.map(([key, heading, written]) => make("td",
      { "data-label": heading, class: row[key] === null ? "none" : null }, written(row[key]))),
    make("td", { class: "marks" }, mark));
  mark.addEventListener("click", () => toggleMark(row.pair));
  line.addEventListener("click", (event) => {
    if (!mark.contains(event.target)) openPanel(row);
  });
  line.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() === "x" && !typing(event)) toggleMark(row.pair);
  });
  return line;
}

// An aligned photo that gives little is no green one.
const badgeOf = (row) =>
  row.share !== null && row.share < data.poor ? "rejected" : knownStatus(row.status);

const knownStatus = (status) =>
  ["aligned", "rejected", "failed"].includes(status) ? status : "failed";

function sortBy(key, down) {
  view.key = key;
  view.down = down;
  refresh();
}

function turnPage(step) {
  view.page += step;
  showPage();
  by("table").scrollIntoView();
}

function resetTools() {
  for (const field of document.querySelectorAll("#tools input, #tools select")) {
    if (field.type === "checkbox") field.checked = false;
    else if (field.id !== "sort") field.value = "";
  }
  refresh();
}

function startTable() {
  fillTools();
  by("tools").hidden = false;
  for (const id of ["find", "by-status", "by-reason", "by-split", "only-marked"]) {
    by(id).addEventListener("input", refresh);
  }
  by("sort").addEventListener("input", () => sortBy(by("sort").value, view.down));
  by("direction").addEventListener("click", () => sortBy(view.key, !view.down));
  by("reset").addEventListener("click", resetTools);
  by("page-back").addEventListener("click", () => turnPage(-1));
  by("page-on").addEventListener("click", () => turnPage(1));
  for (const button of document.querySelectorAll("#head button")) {
    const { key } = button.dataset;
    button.addEventListener("click", () => sortBy(key, view.key === key && !view.down));
  }
  for (const button of document.querySelectorAll("button[data-reason], button[data-sort]")) {
    button.addEventListener("click", () => {
      resetTools();
      by("by-reason").value = button.dataset.reason ?? "";
      sortBy(button.dataset.sort ?? "number", WORST_LAST.includes(button.dataset.sort));
      by("pairs").scrollIntoView();
    });
  }
  by("find").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && view.rows.length) openPanel(view.rows[0]);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !typing(event) && !by("panel").open) {
      event.preventDefault();
      by("find").focus();
    }
  });
  onMark.push(() => {
    const focused = document.activeElement.closest("#rows tr")?.dataset.number;
    const selector = document.activeElement.classList.contains("mark") ? ".mark" : ".open";
    showPage();
    if (focused !== undefined) {
      document.querySelector(`#rows tr[data-number="${focused}"] ${selector}`)?.focus();
    }
  });
  refresh();
}
