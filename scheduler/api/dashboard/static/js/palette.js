// The command palette: type a part of a page's or job's name, or an action of this page.
import { callApi } from "./api.js";
import { element, link } from "./dom.js";

const MAX_JOBS = 12;
const MAX_FOUND = 60;
const DELAY_MS = 120;

export function openPalette() {
  if (document.getElementById("palette")) return;
  const list = element("ul", { role: "listbox", id: "palette-list", "aria-label": "Results" });
  const input = element("input", { type: "text", role: "combobox", "aria-expanded": "true", "aria-controls": "palette-list", "aria-label": "Go to a page or a job, or do something", placeholder: "Page, job or action", autocomplete: "off", spellcheck: "false" });
  const dialog = element("dialog", { id: "palette", class: "palette", "aria-label": "Command palette" }, input, list);
  const state = { entries: [], at: 0, timer: 0, query: "", isPending: false, isChosen: false };
  input.addEventListener("input", () => search(input.value, state, input, list, dialog));
  input.addEventListener("keydown", (event) => onKey(event, state, input, list, dialog));
  list.addEventListener("click", (event) => {
    const index = [...list.children].indexOf(event.target.closest("[role=option]"));
    if (index >= 0) choose(state.entries[index], dialog);
  });
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  search("", state, input, list, dialog);
}

function onKey(event, state, input, list, dialog) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step) {
    event.preventDefault();
    state.at = (state.at + step + state.entries.length) % Math.max(1, state.entries.length);
    show(state, input, list);
  } else if (event.key === "Enter") {
    event.preventDefault();
    // A name and Enter in quick succession choose what is found first, jobs included.
    if (state.isPending && !state.at) state.isChosen = true;
    else if (state.entries[state.at]) choose(state.entries[state.at], dialog);
  }
}

function search(text, state, input, list, dialog) {
  state.query = text.trim().toLowerCase();
  state.at = 0;
  state.entries = rank([...listPages(), ...listActions()].filter((entry) => entry.text.toLowerCase().includes(state.query)), state.query);
  state.isChosen = false;
  state.isPending = state.query !== "";
  clearTimeout(state.timer);
  if (state.isPending) state.timer = setTimeout(() => addJobs(state.query, state, input, list, dialog), DELAY_MS);
  show(state, input, list);
}

async function addJobs(query, state, input, list, dialog) {
  const jobs = rank(await findJobs(query), query).slice(0, MAX_JOBS);
  if (state.query !== query || !dialog.open) return;
  const selected = state.at ? state.entries[state.at] : null;
  state.entries = rank([...state.entries, ...jobs], query);
  state.at = selected ? state.entries.indexOf(selected) : 0;
  state.isPending = false;
  show(state, input, list);
  if (state.isChosen && state.entries.length) choose(state.entries[0], dialog);
}

async function findJobs(query) {
  const pattern = query.replace(/[^a-z0-9._*?-]/gi, "*");
  try {
    const { body } = await callApi("GET", `/api/jobs?name=${encodeURIComponent(`*${pattern}*`)}&limit=${MAX_FOUND}`);
    return body.jobs.map((job) => ({ text: job.name, hint: "job", path: `/api/dashboard/jobs/${encodeURIComponent(job.name)}` }));
  } catch {
    return []; // Pages and actions are still offered.
  }
}

/** Entries that begin with the query precede those in which a word begins with it, and those precede all others. */
function rank(entries, query) {
  const rankOf = ({ text }) => {
    const at = text.toLowerCase().indexOf(query);
    if (at === 0) return 0;
    return at > 0 && /[\s._-]/.test(text[at - 1]) ? 1 : 2;
  };
  return [...entries].sort((one, other) => rankOf(one) - rankOf(other));
}

function listPages() {
  return [...document.querySelectorAll("[data-page-key]")].map((each) => ({ text: each.textContent.trim(), hint: `g ${each.dataset.pageKey}`, element: each }));
}

function listActions() {
  return [...document.querySelectorAll("main [data-key]")].filter((each) => each.nodeName === "BUTTON").map((each) => ({ text: each.dataset.keyText ?? each.textContent.trim(), hint: each.dataset.key, element: each }));
}

function show(state, input, list) {
  list.replaceChildren(
    ...state.entries.map((entry, index) =>
      element("li", { role: "option", id: `palette-${index}`, "aria-selected": String(index === state.at) }, entry.text, " ", element("span", { class: "quiet" }, entry.hint ?? "")),
    ),
  );
  if (state.entries.length) input.setAttribute("aria-activedescendant", `palette-${state.at}`);
  else input.removeAttribute("aria-activedescendant");
  list.children[state.at]?.scrollIntoView({ block: "nearest" });
}

function choose(entry, dialog) {
  dialog.close();
  if (entry.path) location.assign(link(entry.path));
  else entry.element.click();
}
