// The command palette: type a part of a page's or job's name, or an action of this page.
import { callApi } from "./api.js";
import { element, link } from "./dom.js";

const MAX_JOBS = 12;
const DELAY_MS = 120;

export function openPalette() {
  if (document.getElementById("palette")) return;
  const list = element("ul", { role: "listbox", id: "palette-list", "aria-label": "Results" });
  const input = element("input", { type: "text", role: "combobox", "aria-expanded": "true", "aria-controls": "palette-list", "aria-label": "Go to a page or a job, or do something", placeholder: "Page, job or action", autocomplete: "off", spellcheck: "false" });
  const dialog = element("dialog", { id: "palette", class: "palette", "aria-label": "Command palette" }, input, list);
  const state = { entries: [], at: 0, timer: 0, query: "" };
  input.addEventListener("input", () => search(input.value, state, input, list));
  input.addEventListener("keydown", (event) => onKey(event, state, input, list, dialog));
  list.addEventListener("click", (event) => {
    const index = [...list.children].indexOf(event.target.closest("[role=option]"));
    if (index >= 0) choose(state.entries[index], dialog);
  });
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  search("", state, input, list);
}

function onKey(event, state, input, list, dialog) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step) {
    event.preventDefault();
    state.at = (state.at + step + state.entries.length) % Math.max(1, state.entries.length);
    show(state, input, list);
  } else if (event.key === "Enter" && state.entries[state.at]) {
    event.preventDefault();
    choose(state.entries[state.at], dialog);
  }
}

function search(text, state, input, list) {
  const query = text.trim().toLowerCase();
  const matches = (entry) => entry.text.toLowerCase().includes(query);
  state.query = query;
  state.at = 0;
  state.entries = [...listPages(), ...listActions()].filter(matches);
  show(state, input, list);
  clearTimeout(state.timer);
  const pattern = query.replace(/[^a-z0-9._*?-]/gi, "*");
  if (!query) return;
  state.timer = setTimeout(async () => {
    try {
      const { body } = await callApi("GET", `/api/jobs?name=${encodeURIComponent(`*${pattern}*`)}&limit=${MAX_JOBS}`);
      if (state.query !== query) return;
      state.entries.push(...body.jobs.map((job) => ({ text: job.name, hint: "job", path: `/api/dashboard/jobs/${encodeURIComponent(job.name)}` })));
      show(state, input, list);
    } catch {
      // Pages and actions are still offered.
    }
  }, DELAY_MS);
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
