// The screens: start, question after question, pause, end.
const SCREENS = ["start", "ask", "rest", "end"];
const NUDGE = 60; // px that an arrow key moves an enlarged picture
let state = remembered() ?? newcomer();
let questions = questionsFrom(state.seed);
let screen = null;
let shownAt = null; // when the pictures of the question appeared; null: they have not
let spent = 0; // ms on this question before a pause

const counted = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;
const addressOf = (picture) => `pictures/${picture}${study.suffix}`;
const given = () => state.answers.length;
const placeText = () => `${given()} of ${questions.length} answered`;

function show(name) {
  screen = name;
  for (const id of SCREENS) byId(id).hidden = id !== name;
  for (const part of document.querySelectorAll(".kept")) part.hidden = !kept;
  for (const part of document.querySelectorAll(".unkept")) part.hidden = kept;
  if (name === "start") showStart();
  if (name === "ask") ask();
  if (name === "rest") byId("rest-place").textContent = `${placeText()}.`;
  if (name === "end") byId("participant").value = state.participant;
  byId("next").hidden = !state.saved;
  const main = byId(name).querySelector(".main");
  if (main) main.focus();
}

function showStart() {
  const [begun, noun] = [given() > 0, study.mode === "rating" ? "picture" : "question"];
  byId("count").textContent = counted(questions.length, noun);
  byId("begin").textContent = begun ? `Continue (${placeText()})` : "Start";
  byId("anew").hidden = !begun;
}

async function ask() {
  const number = given();
  if (number >= questions.length) return show("end");
  byId("place").textContent = `${number + 1} / ${questions.length}`;
  byId("bar").style.transform = `scaleX(${number / questions.length})`;
  byId("undo").disabled = number === 0;
  byId("trouble").hidden = true;
  document.body.classList.remove("ready");
  shownAt = null;
  const { shown } = questions[number];
  try {
    await Promise.all(images.map((image, at) => {
      image.src = addressOf(shown[at]);
      return image.decode();
    }));
  } catch {
    if (number === given() && screen === "ask") byId("trouble").hidden = false;
    return;
  }
  if (number !== given() || screen !== "ask") return;
  Viewer.reset();
  document.body.classList.add("ready");
  shownAt = performance.now();
  for (const next of questions[number + 1]?.shown ?? []) new Image().src = addressOf(next);
}

function answer(value) {
  if (screen !== "ask" || shownAt === null || !CHOICES.includes(value)) return;
  const seconds = Math.round(spent + performance.now() - shownAt) / 1000;
  state.answers.push({ answer: value, seconds });
  state.saved = false;
  spent = 0;
  remember(state);
  ask();
}

function undo() {
  if (!given()) return;
  state.answers.pop();
  state.saved = false;
  spent = 0;
  remember(state);
  show("ask");
}

function pause() {
  if (screen !== "ask") return;
  if (shownAt !== null) spent += performance.now() - shownAt;
  shownAt = null;
  show("rest");
}

function startOver() {
  state = newcomer();
  questions = questionsFrom(state.seed);
  spent = 0;
  remember(state);
  byId("saved").textContent = "";
  show("start");
}

function save() {
  state.participant = plainName(byId("participant").value);
  byId("participant").value = state.participant;
  const name = saveFile(state, questions);
  state.saved = given() === questions.length;
  remember(state);
  byId("saved").textContent = `Saved as ${name}.`;
  byId("next").hidden = !state.saved;
}

function setShade(shade) {
  document.documentElement.dataset.shade = shade;
}

const KEYS = {
  ArrowLeft: () => answer("left"),
  ArrowRight: () => answer("right"),
  ArrowUp: () => answer("left"),
  ArrowDown: () => answer("right"),
  " ": () => answer("none"),
  Backspace: undo,
  z: () => Viewer.toggle(),
  "+": () => Viewer.step(1.25),
  "-": () => Viewer.step(0.8),
  b: () => byId("shade").click(),
  p: pause,
  Escape: pause,
};
const PANS = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

function digit(number) {
  if (study.mode === "rating") answer(number);
  else answer(["left", "right"][number - 1]);
}

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || screen !== "ask") return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const onButton = event.target.closest?.("button") && [" ", "Enter"].includes(key);
  const moving = event.shiftKey && PANS[key];
  if (onButton || !(moving || /^[1-5]$/.test(key) || Object.hasOwn(KEYS, key))) return;
  event.preventDefault();
  if (moving) return Viewer.pan(...moving.map((part) => part * NUDGE));
  if (event.repeat) return; // a key held down is one answer
  if (/^[1-5]$/.test(key)) digit(Number(key));
  else KEYS[key]();
});

for (const button of document.querySelectorAll(".choice")) {
  const value = button.dataset.answer;
  button.addEventListener("click", () => {
    button.blur(); // so that the space bar answers the next question, not this button
    answer(study.mode === "rating" ? Number(value) : value);
  });
}
const CLICKS = {
  begin: () => show("ask"),
  anew: startOver,
  undo,
  zoom: () => Viewer.toggle(),
  shade: () =>
    setShade(document.documentElement.dataset.shade === "light" ? "dark" : "light"),
  pause,
  resume: () => show("ask"),
  "save-part": () => saveFile(state, questions),
  save,
  back: undo,
  next: startOver,
};
for (const [id, act] of Object.entries(CLICKS)) {
  byId(id).addEventListener("click", () => {
    if (byId(id).closest(".tools")) byId(id).blur();
    act();
  });
}
document.addEventListener("visibilitychange", () => { if (document.hidden) pause(); });
addEventListener("beforeunload", (event) => {
  if (!kept && given() && !state.saved) event.preventDefault();
});

setShade(matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark");
if (given()) remember(state); // tells whether it is kept
show(state.saved || given() === questions.length ? "end" : "start");
document.documentElement.dataset.ready = "";
