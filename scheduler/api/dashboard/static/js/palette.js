// The command palette: type a part of a page's or job's name, an action of this page, or the id of a run or an incident.
// What no entry has is searched on the overview, which also knows targets, tags and states.
import { callApi } from "./api.js";
import { element, link } from "./dom.js";

const MAX_JOBS = 12;
const MAX_FOUND = 60;
const DELAY_MS = 120;
const MAX_RECENT = 6;
const RECENT = "recent-pages";

export function openPalette() {
  if (document.getElementById("palette")) return;
  const list = element("ul", { role: "listbox", id: "palette-list", "aria-label": "Results" });
  const input = element("input", { type: "text", role: "combobox", "aria-expanded": "true", "aria-controls": "palette-list", "aria-label": "Go to a page or a job, or do something", placeholder: "Page, job, action, tag or id", autocomplete: "off", spellcheck: "false" });
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
  state.text = text.trim();
  state.query = state.text.toLowerCase();
  state.at = 0;
  state.entries = isId(state.text) ? [searchEntry(state.text)] : state.query ? rank(listFound(state.query), state.query) : [...listRecent(), ...listPages(), ...listActions()];
  state.isChosen = false;
  state.isPending = state.query !== "" && !isId(state.text);
  clearTimeout(state.timer);
  if (state.isPending) state.timer = setTimeout(() => addJobs(state.query, state, input, list, dialog), DELAY_MS);
  show(state, input, list);
}

async function addJobs(query, state, input, list, dialog) {
  const jobs = rank(await findJobs(query), query).slice(0, MAX_JOBS);
  if (state.query !== query || !dialog.open) return;
  const selected = state.at ? state.entries[state.at] : null;
  state.entries = [...rank([...listFound(query), ...jobs], query), searchEntry(state.text)];
  state.at = selected ? state.entries.indexOf(selected) : 0;
  state.isPending = false;
  show(state, input, list);
  if (state.isChosen && state.entries.length) choose(state.entries[0], dialog);
}

function listFound(query) {
  return [...listPages(), ...listActions()].filter((entry) => entry.text.toLowerCase().includes(query));
}

/** Whether a text is the whole id of a run or an incident. */
export function isId(text) {
  return /^\S+@\S+$|^\d{13}-[0-9a-f]{8}$/.test(text);
}

/** The overview with this search; it opens a run or an incident by its id. */
function searchEntry(text) {
  const path = `/api/dashboard?${new URLSearchParams({ q: text })}`;
  return isId(text) ? { text: `Open ${text}`, hint: "id", path } : { text: `Search all jobs for “${text}”`, hint: "name, target, tag, state", path };
}

/** The pages of jobs, runs and incidents that this browser opened last, the newest first. */
function listRecent() {
  return readRecent().filter(({ path }) => path !== location.pathname).map((entry) => ({ ...entry, hint: "recent" }));
}

function readRecent() {
  try {
    const found = JSON.parse(localStorage.getItem(RECENT));
    return Array.isArray(found) ? found.filter((each) => typeof each?.text === "string" && String(each.path).startsWith("/api/dashboard/")).slice(0, MAX_RECENT) : [];
  } catch {
    return []; // No storage, or not what this script wrote.
  }
}

export function rememberPage() {
  const [, kind, name] = location.pathname.match(/^\/api\/dashboard\/(jobs|runs|incidents)\/([^/]+)$/) ?? [];
  if (!kind) return;
  const entry = { text: kind === "incidents" ? `incident ${decodeURIComponent(name)}` : decodeURIComponent(name), path: location.pathname };
  try {
    localStorage.setItem(RECENT, JSON.stringify([entry, ...readRecent().filter(({ path }) => path !== entry.path)].slice(0, MAX_RECENT)));
  } catch {
    // The browser stores nothing: there are no recent pages.
  }
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
