// Photos and windows taken out by hand: what exclude.csv says, and what was changed here.
const NOTE = "marked in the report";
const STORED = `dped-build exclude ${location.pathname}`; // pages from a disk share one store
const keyOf = (pair, x = "", y = "") => JSON.stringify([pair, String(x), String(y)]);
const listed = new Map(data.excluded.map((line) => [keyOf(...line.slice(0, 3)), line]));
const changes = readChanges(); // key → line to add, or null to take off the list
const onMark = []; // called after every change
keepChanges(); // without those that exclude.csv has meanwhile

// The browser may keep nothing for pages from a disk: then marks last until it closes.
function readChanges() {
  try {
    const stored = JSON.parse(localStorage.getItem(STORED) || "[]");
    return new Map(stored.filter(([key, line]) => typeof key === "string"
      && (line === null || line.length === 4) && listed.has(key) !== (line !== null)));
  } catch (error) {
    console.info(`marks are not kept: ${error.message}`);
    return new Map();
  }
}

function keepChanges() {
  try {
    localStorage.setItem(STORED, JSON.stringify([...changes]));
  } catch (error) {
    console.info(`marks are not kept: ${error.message}`);
  }
}

function isMarked(pair, x, y) {
  const key = keyOf(pair, x, y);
  return changes.has(key) ? changes.get(key) !== null : listed.has(key);
}

// How many windows of a photo are marked one by one.
const markedWindows = (pair) =>
  markedLines().filter((line) => line[0] === pair && line[1] !== "").length;

function toggleMark(pair, x = "", y = "") {
  const key = keyOf(pair, x, y);
  if (changes.has(key)) {
    changes.delete(key);
  } else {
    changes.set(key, listed.has(key) ? null : [pair, x, y, NOTE]);
  }
  keepChanges();
  showMarks();
}

function showMarks() {
  const lines = markedLines();
  const photos = lines.filter((line) => line[1] === "").length;
  const windows = lines.length - photos;
  by("marks").hidden = changes.size === 0;
  by("marked").textContent =
    `${counted(photos, "photo")} and ${counted(windows, "window")} to leave out`;
  onMark.forEach((shown) => shown());
}

function markedLines() {
  const kept = [...listed].filter(([key]) => !changes.has(key)).map(([, line]) => line);
  return [...kept, ...[...changes.values()].filter((line) => line !== null)];
}

function excludeCsv() {
  const field = (value) => {
    const text = String(value);
    return /^\s|[",\r\n]|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const lines = [["pair", "x", "y", "note"], ...markedLines()];
  return lines.map((line) => `${line.map(field).join(",")}\n`).join("");
}

by("save").addEventListener("click", () => {
  const address = URL.createObjectURL(new Blob([excludeCsv()], { type: "text/csv" }));
  make("a", { href: address, download: "exclude.csv" }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
});
by("forget").addEventListener("click", () => {
  changes.clear();
  keepChanges();
  showMarks();
});

// The contact sheets: a button and the key X mark the window that a picture shows.
for (const figure of document.querySelectorAll("figure[data-pair]")) {
  const { pair, x, y } = figure.dataset;
  const button = figure.querySelector("button.mark");
  const show = () => {
    figure.classList.toggle("marked", isMarked(pair, x, y) || isMarked(pair));
    button.setAttribute("aria-pressed", isMarked(pair, x, y));
  };
  button.addEventListener("click", () => toggleMark(pair, x, y));
  figure.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() === "x" && !typing(event)) {
      toggleMark(pair, x, y);
    }
  });
  onMark.push(show);
}
