// The panel of one pair: both crops under a slider, and the windows drawn on them.
const BLINK_MS = 600;
const SVG = by("windows").namespaceURI;
const cache = new Map(); // number → windows, or null where they cannot be read
const panel = { row: null, windows: null, current: null, timer: null, hidden: new Set() };

// The files in windows/ call this: pages from a disk may run scripts, not read files.
window.dpedBuildWindows = (number, windows) => cache.set(number, windows);

function readWindows(row) {
  if (row.script === null || cache.has(row.number)) {
    return Promise.resolve(cache.get(row.number) ?? null);
  }
  return new Promise((resolve) => {
    const script = make("script", { src: link(row.script) });
    const done = () => {
      script.remove();
      resolve(cache.get(row.number) ?? null);
    };
    script.addEventListener("load", done);
    script.addEventListener("error", done);
    document.head.append(script);
  });
}

async function openPanel(row) {
  Object.assign(panel, { row, windows: null, current: null });
  panel.hidden.clear();
  showHeading();
  showPictures();
  showWindows();
  if (!by("panel").open) {
    by("panel").showModal();
    by("panel").focus(); // on no button: Enter must do nothing unasked
  }
  by("panel").scrollTop = 0;
  history.replaceState(null, "", `#pair-${row.number + 1}`);
  const windows = await readWindows(row);
  if (panel.row !== row) return; // another was opened meanwhile
  panel.windows = windows;
  showPictures();
  showWindows();
}

function showHeading() {
  const { row } = panel;
  by("panel-name").textContent = row.pair;
  const badge = by("panel-status");
  badge.textContent = row.status;
  badge.className = `badge ${badgeOf(row)}`;
  by("panel-why").textContent = row.reason === null ? ""
    : `${row.reason}: ${row.message || reasonText(row.reason)}`;
  const facts = [["Split", row.split ?? NONE]];
  MEASURES.forEach(([key, heading, written]) => facts.push([heading, written(row[key])]));
  by("facts").replaceChildren(...facts.map(([name, value]) =>
    make("div", {}, make("dt", {}, name), make("dd", {}, value))));
  const at = view.rows.indexOf(row);
  by("panel-place").textContent = at < 0 ? "" : `${whole(at + 1)} of ${whole(view.rows.length)}`;
  by("previous").disabled = at <= 0;
  by("next").disabled = at < 0 || at === view.rows.length - 1;
  showMarkOfPhoto();
  // The focus of a button that is switched off would leave the panel, and its keys with it.
  if (document.activeElement.disabled) by("panel").focus();
}

function showMarkOfPhoto() {
  if (panel.row === null) return;
  const marked = isMarked(panel.row.pair);
  by("mark").setAttribute("aria-pressed", marked);
  by("mark").textContent = marked ? "Photo left out (X)" : "Leave photo out (X)";
  by("panel").classList.toggle("marked", marked);
}

// Left, top, width and height of what the stage shows: the crop and all windows, phone px.
function frame() {
  const { windows } = panel;
  const [left, top, width, height] = windows?.box ?? [0, 0, ...(panel.row.picture_size ?? [4, 3])];
  if (!windows || windows.x.length === 0) return [left, top, width, height];
  const least = (values, start) => values.reduce((a, b) => Math.min(a, b), start);
  const most = (values, start) => values.reduce((a, b) => Math.max(a, b + windows.size), start);
  const [x0, y0] = [least(windows.x, left), least(windows.y, top)];
  const [x1, y1] = [most(windows.x, left + width), most(windows.y, top + height)];
  return [x0, y0, x1 - x0, y1 - y0];
}

function showPictures() {
  const { row, windows } = panel;
  const stage = by("stage");
  stage.hidden = row.picture === null;
  stage.classList.toggle("apart", row.on_one_grid === false);
  by("apart").hidden = row.on_one_grid !== false;
  by("no-crops").hidden = row.on_one_grid !== false || row.status !== "aligned";
  by("controls").hidden = row.on_one_grid !== true;
  by("no-picture").hidden = row.picture !== null;
  if (row.picture === null) return;
  const [x0, y0, width, height] = frame();
  const box = windows?.box ?? [0, 0, ...row.picture_size];
  stage.style.setProperty("--ratio", width / height);
  for (const [id, camera] of [["phone", data.phone], ["dslr", data.dslr]]) {
    const picture = by(id);
    const address = link(`${row.picture}-${id}.jpg`);
    if (picture.getAttribute("src") !== address) picture.setAttribute("src", address);
    picture.alt = `${row.pair}, ${camera}`;
    picture.style.left = `${100 * (box[0] - x0) / width}%`;
    picture.style.top = `${100 * (box[1] - y0) / height}%`;
    picture.style.width = `${100 * box[2] / width}%`;
    picture.style.height = `${100 * box[3] / height}%`;
  }
  by("windows").setAttribute("viewBox", `${x0} ${y0} ${width} ${height}`);
  moveSlider();
}

// The colour of a window's parallax; null: it has no trusted place.
function parallaxColor(index) {
  const { px, reach } = panel.windows.parallax ?? { px: [] };
  if ((px[index] ?? null) === null) return null;
  const share = Math.min(100, 100 * Math.abs(px[index]) / reach);
  return `color-mix(in srgb, var(--${px[index] < 0 ? "minus" : "plus"}) ${share}%, var(--even))`;
}

function showParallax() {
  const found = panel.windows?.parallax ?? null;
  const on = by("show-parallax").checked && found !== null;
  by("show-parallax").disabled = found === null;
  by("windows").classList.toggle("parallax", on);
  by("parallax").hidden = !on;
  if (!on) return;
  const [x, y] = found.direction;
  by("lowest").textContent = `${signed(-found.reach, 1)} px`;
  by("highest").textContent = `${signed(found.reach, 1)} px`;
  by("along").textContent = // it points more right and down than left and up
    "\u2197\u2192\u2198\u2193\u2199"[1 + Math.round(4 * Math.atan2(y, x) / Math.PI)];
}

const outcomeOf = (index) => panel.windows.outcomes[panel.windows.outcome[index]];

function showWindows() {
  by("tip").hidden = true;
  panel.current = null;
  const { windows, row } = panel;
  const count = windows?.x.length ?? 0;
  const shapes = [];
  for (let index = 0; index < count; index += 1) {
    const shape = document.createElementNS(SVG, "rect");
    const outcome = outcomeOf(index);
    const inset = windows.size * 0.03;
    shape.setAttribute("x", windows.x[index] + inset);
    shape.setAttribute("y", windows.y[index] + inset);
    shape.setAttribute("width", windows.size - 2 * inset);
    shape.setAttribute("height", windows.size - 2 * inset);
    shape.dataset.index = index;
    shape.style.setProperty("--c", reasonColor(outcome));
    const color = parallaxColor(index);
    if (color !== null) shape.style.setProperty("--p", color);
    shape.classList.toggle("accepted", outcome === "accepted");
    shape.classList.toggle("gone", panel.hidden.has(outcome));
    shape.classList.toggle("marked", isMarked(row.pair, windows.x[index], windows.y[index]));
    shapes.push(shape);
  }
  for (const [index, path] of Object.entries(windows?.hidden ?? {})) {
    const shape = document.createElementNS(SVG, "path"); // after all windows, which go by number
    shape.setAttribute("d", path);
    shape.classList.toggle("gone", panel.hidden.has(outcomeOf(index)));
    shapes.push(shape);
  }
  by("windows").replaceChildren(...shapes);
  showLegend();
  showParallax();
}

function showLegend() {
  const { windows } = panel;
  const counts = new Map();
  windows?.outcome.forEach((at) => {
    const outcome = windows.outcomes[at];
    counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  });
  by("outcomes").replaceChildren(...[...counts].sort((a, b) => b[1] - a[1])
    .map(([outcome, count]) => {
      const swatch = make("i");
      swatch.style.setProperty("--c", reasonColor(outcome));
      const button = make("button", {
        type: "button", "aria-pressed": !panel.hidden.has(outcome), title: reasonText(outcome),
      }, swatch, `${outcome} ${whole(count)}`);
      button.addEventListener("click", () => {
        if (!panel.hidden.delete(outcome)) panel.hidden.add(outcome);
        const at = [...by("outcomes").children].indexOf(button.parentElement);
        showWindows();
        by("outcomes").children[at].firstChild.focus();
      });
      return make("li", {}, button);
    }));
}

const UNDETERMINED_PX = 10;
const uncertain = (sigma) => sigma !== null && sigma >= UNDETERMINED_PX
  ? "position undetermined" : `uncertain by ${decimal(sigma, 3)} px`;

// What is known of one window, beside it.
function pointAt(index) {
  const shapes = by("windows").children;
  if (panel.current !== null) shapes[panel.current]?.classList.remove("current");
  panel.current = index;
  const tip = by("tip");
  tip.hidden = index === null;
  by("mark-window").disabled = index === null;
  if (index === null) return;
  shapes[index].classList.add("current");
  const { windows } = panel;
  const outcome = outcomeOf(index);
  const of = (name, digits) => decimal(windows[name][index], digits);
  const marked = isMarked(panel.row.pair, windows.x[index], windows.y[index]);
  by("mark-window").setAttribute("aria-pressed", marked);
  const measured = windows.ncc[index] === null ? [] : [
    make("span", {}, `moved ${of("shift", 2)} px, turned ${of("rotation", 2)}\u00b0`),
    make("span", {}, `${uncertain(windows.sigma[index])}, depth ${of("depth", 3)} px, `
      + `sharpness ${of("sharpness", 2)}`),
    parallaxColor(index) === null ? ""
      : make("span", {}, `parallax ${signed(windows.parallax.px[index], 1)} px`),
    windows.valid[index] === 1 ? ""
      : make("span", {}, `${percent(windows.valid[index])} of its pixels valid`)];
  tip.replaceChildren(
    make("b", {}, windows.ncc[index] === null ? "no NCC" : `NCC ${of("ncc", 4)}`),
    ` ${outcome}`,
    outcome === "accepted" ? "" : make("span", {}, reasonText(outcome)),
    ...measured,
    make("span", {}, `at x ${windows.x[index]}, y ${windows.y[index]} of the phone photo`),
    marked ? make("span", {}, "left out") : "");
  const [x0, y0, width, height] = frame();
  const middle = (windows.x[index] + windows.size / 2 - x0) / width;
  const low = (windows.y[index] - y0) / height > 0.5;
  tip.style.left = `${100 * middle}%`;
  tip.style.transform = `translate(${-100 * middle}%, ${low ? "-100%" : "0"})`;
  const edge = low ? windows.y[index] : windows.y[index] + windows.size;
  tip.style.top = `${100 * (edge - y0) / height}%`;
}

// The nearest window in a direction, from the current one; the first where there is none.
function stepWindow(dx, dy) {
  const { windows, current } = panel;
  if (!windows || windows.x.length === 0) return;
  const shown = windows.x.map((_, index) => !panel.hidden.has(outcomeOf(index)));
  if (current === null) return pointAt(shown.includes(true) ? shown.indexOf(true) : null);
  let best = null;
  let least = Infinity;
  windows.x.forEach((x, index) => {
    const [across, down] = [x - windows.x[current], windows.y[index] - windows.y[current]];
    const along = across * dx + down * dy;
    const distance = along + 3 * Math.abs(across * dy + down * dx);
    if (shown[index] && along > 0 && distance < least) [best, least] = [index, distance];
  });
  if (best !== null) pointAt(best);
}

function markWindow() {
  const { row, windows, current } = panel;
  if (current === null) return;
  toggleMark(row.pair, windows.x[current], windows.y[current]);
  pointAt(current);
}

// The edge between the two photos can be dragged in the picture, too.
function dragSlider(event) {
  if (event.buttons !== 1) return;
  const { left, width } = by("stage").getBoundingClientRect();
  by("slider").value = 100 * (event.clientX - left) / width;
  moveSlider();
}

function moveSlider() {
  by("stage").style.setProperty("--cut", `${by("slider").value}%`);
}

function blink(on) {
  clearInterval(panel.timer);
  panel.timer = on ? setInterval(() => by("stage").classList.toggle("phone-only"), BLINK_MS) : null;
  by("blink").setAttribute("aria-pressed", on);
  by("stage").classList.toggle("blinking", on);
  by("stage").classList.remove("phone-only");
}

function turnTo(step) {
  const row = view.rows[view.rows.indexOf(panel.row) + step];
  if (row !== undefined && view.rows.includes(panel.row)) openPanel(row);
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function onPanelKey(event) {
  if (typing(event) && event.target.type !== "checkbox") return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const onSlider = event.target === by("slider");
  if (key in ARROWS && event.target === by("windows")) stepWindow(...ARROWS[key]);
  else if ((key === "ArrowRight" && !onSlider) || key === "j") turnTo(1);
  else if ((key === "ArrowLeft" && !onSlider) || key === "k") turnTo(-1);
  else if (key === "b") blink(panel.timer === null);
  else if (key === "w") by("show-windows").click();
  else if (key === "p") by("show-parallax").click();
  else if (key === "x" && panel.current !== null) markWindow();
  else if (key === "x") toggleMark(panel.row.pair);
  else return;
  event.preventDefault();
}

function openFromAddress() {
  const number = /^#pair-(\d+)$/.exec(location.hash)?.[1];
  const row = rows[Number(number) - 1];
  if (row !== undefined) openPanel(row);
  else if (by("panel").open) by("panel").close();
}

function startPanel() {
  by("slider").addEventListener("input", moveSlider);
  by("blink").addEventListener("click", () => blink(panel.timer === null));
  by("show-windows").addEventListener("input", () => {
    const off = !by("show-windows").checked;
    if (off && document.activeElement === by("windows")) by("panel").focus();
    if (off) pointAt(null);
    by("windows").classList.toggle("off", off);
  });
  by("show-parallax").addEventListener("input", () => {
    if (by("show-parallax").checked && !by("show-windows").checked) by("show-windows").click();
    showParallax();
  });
  by("previous").addEventListener("click", () => turnTo(-1));
  by("next").addEventListener("click", () => turnTo(1));
  by("close").addEventListener("click", () => by("panel").close());
  by("mark").addEventListener("click", () => toggleMark(panel.row.pair));
  by("panel").addEventListener("keydown", onPanelKey);
  by("mark-window").addEventListener("click", markWindow);
  by("stage").addEventListener("pointermove", dragSlider);
  by("panel").addEventListener("close", () => {
    blink(false);
    if (location.hash.startsWith("#pair-")) history.replaceState(null, "", "#pairs");
    document.querySelector(`#rows tr[data-number="${panel.row.number}"] .open`)?.focus();
  });
  by("panel").addEventListener("click", (event) => {
    if (event.target === by("panel")) by("panel").close(); // beside the panel
  });
  const pointed = (event) => event.target.closest("rect")?.dataset.index;
  by("windows").addEventListener("pointerover", (event) => {
    const index = pointed(event);
    if (index !== undefined) pointAt(Number(index));
  });
  by("windows").addEventListener("pointerleave", (event) => {
    const toMark = event.relatedTarget === by("mark-window");
    if (event.pointerType === "mouse" && !toMark) pointAt(null);
  });
  by("windows").addEventListener("blur", (event) => {
    if (event.relatedTarget !== by("mark-window")) pointAt(null);
  });
  onMark.push(showMarkOfPhoto, () => {
    if (panel.row === null || !by("panel").open) return;
    const { current } = panel;
    showWindows();
    if (current !== null) pointAt(current);
  });
  window.addEventListener("hashchange", openFromAddress);
}

// A patch of the contact sheets, as large as the screen allows.
for (const opener of document.querySelectorAll("a.enlarge")) {
  opener.addEventListener("click", (event) => {
    event.preventDefault();
    by("large").src = opener.getAttribute("href");
    by("large").alt = opener.querySelector("img").alt;
    by("large-text").textContent = opener.querySelector("img").alt;
    by("lightbox").showModal();
  });
}
by("large-close").addEventListener("click", () => by("lightbox").close());
by("lightbox").addEventListener("click", (event) => {
  if (event.target === by("lightbox")) by("lightbox").close(); // beside the picture
});

startTable();
startPanel();
showMarks();
openFromAddress();
document.documentElement.dataset.ready = "true";
