// Everything that the page shows beside its static parts comes from this table.
const data = JSON.parse(document.getElementById("data").textContent);
const rows = data.rows.map((values, number) => {
  const row = { number };
  data.columns.forEach((name, at) => { row[name] = values[at]; });
  row.share = row.judged ? row.accepted / row.judged : null;
  return row;
});

const NONE = "\u2013";
const by = (id) => document.getElementById(id);

// An element with attributes and children; text is never read as HTML.
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("aria-")) element.setAttribute(name, String(value));
    else if (value !== null) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

// A relative address: every part of the path percent-encoded.
const link = (path) => path.split("/").map(encodeURIComponent).join("/");

const decimal = (value, digits = 2) =>
  value === null ? NONE : value.toFixed(digits).replace("-", "\u2212");
const whole = (value) => value === null ? NONE : value.toLocaleString("en");
const percent = (value) => value === null ? NONE : `${(100 * value).toFixed(0)} %`;
const signed = (value, digits = 2) =>
  value === null ? NONE : `${value > 0 ? "+" : ""}${decimal(value, digits)}`;
const counted = (number, noun) =>
  `${whole(number)} ${noun}${number === 1 ? "" : "s"}`;
const reasonText = (reason) =>
  Object.hasOwn(data.reasons, reason) ? data.reasons[reason].text : reason;
const reasonColor = (reason) =>
  Object.hasOwn(data.reasons, reason) ? data.reasons[reason].color : "#e13c50";

// Whether a key press is meant for a field or a button, not for the page.
const typing = (event) =>
  event.ctrlKey || event.metaKey || event.altKey ||
  event.target.closest("input:not([type=range]), select, textarea") !== null;
