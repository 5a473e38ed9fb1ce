// Who is answering and what was answered, kept by the browser where it lets us.
const STORE = `dped-build-study-${study.study}${
  /^#seed=\d{1,10}$/.exec(location.hash) ?? ""
}`;
const CHOICES = study.mode === "rating" ? [1, 2, 3, 4, 5]
  : study.ties ? ["left", "right", "none"] : ["left", "right"];
let kept = true;

// The seed that a link asks for: index.html#seed=17.
function seedOfLink() {
  const found = /^#seed=(\d{1,10})$/.exec(location.hash);
  return found && Number(found[1]) < 2 ** 32 ? Number(found[1]) : null;
}

function newcomer() {
  const [seed, ...session] = crypto.getRandomValues(new Uint32Array(5));
  return {
    session: session.map((part) => part.toString(16).padStart(8, "0")).join(""),
    seed: seedOfLink() ?? seed,
    participant: "",
    answers: [],
    saved: false,
  };
}

function isSound(state) {
  const link = seedOfLink();
  return Number.isInteger(state?.seed) && /^[0-9a-f]{32}$/.test(state.session) &&
    typeof state.participant === "string" && Array.isArray(state.answers) &&
    state.answers.length <= study.questions + study.repeats &&
    state.answers.every((one) => CHOICES.includes(one?.answer)) &&
    (link === null || link === state.seed);
}

function remembered() {
  try {
    const state = JSON.parse(localStorage.getItem(STORE));
    return isSound(state) ? state : null;
  } catch {
    return null;
  }
}

function remember(state) {
  try {
    localStorage.setItem(STORE, JSON.stringify(state));
    kept = true;
  } catch {
    kept = false;
  }
}

// What may stand in a table and be read back: letters, digits, space . _ -
const plainName = (text) => text.normalize().replace(/[^\p{L}\p{N} ._-]/gu, "")
  .replace(/^[ ._-]+/, "").slice(0, 40).trim();

function answersFile(state, questions) {
  const answers = state.answers.map((given, number) => ({
    shown: questions[number].shown,
    repeat: questions[number].repeat,
    ...given,
  }));
  return JSON.stringify({
    format: "dped-build/study-answers",
    version: 1,
    created_with: study.created_with,
    study: study.study,
    mode: study.mode,
    session: state.session,
    seed: state.seed,
    participant: state.participant,
    complete: answers.length === questions.length,
    window: [innerWidth, innerHeight, devicePixelRatio],
    answers,
  }, null, 1);
}

function saveFile(state, questions) {
  const link = document.createElement("a");
  const data = new Blob([answersFile(state, questions)], { type: "application/json" });
  link.href = URL.createObjectURL(data);
  link.download = `answers-${study.study.slice(0, 8)}-${state.session.slice(0, 8)}.json`;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  return link.download;
}
