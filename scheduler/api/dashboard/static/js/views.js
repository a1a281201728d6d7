// The search of the overview while a person types, and the views saved in this browser, by name: the query of the page.
import { element, link } from "./dom.js";
import { isId } from "./palette.js";
import { showSamePage } from "./refresh.js";
import { showToast } from "./toasts.js";

const KEY = "scheduler-views";
const MAX_VIEWS = 50;
const SEARCH_DELAY_MS = 250;
let searching = 0;

document.addEventListener("input", (event) => {
  const form = event.target.name === "q" && event.target.closest(".overview-filters");
  if (!form) return;
  clearTimeout(searching);
  // An id is opened by Enter.
  if (!isId(event.target.value.trim())) searching = setTimeout(() => showSamePage(pathOf(form)), SEARCH_DELAY_MS);
});

/** The address to which the form leads, without the fields that are not filled in. */
function pathOf(form) {
  const filled = [...new FormData(form)].filter(([, value]) => value);
  return filled.length ? `${location.pathname}?${new URLSearchParams(filled)}` : location.pathname;
}

// The menu can appear with a refresh: a page without the store has none.
document.addEventListener("submit", (event) => event.target.id === "save-view" && save(event));
document.addEventListener("dashboard:refreshed", () => findList()?.childElementCount || show());
show();

function findList() {
  return document.getElementById("saved-views");
}

function save(event) {
  event.preventDefault();
  const input = event.target.querySelector("input");
  const name = input.value.trim();
  if (!name) return;
  const views = read().filter((view) => view.name !== name);
  if (views.length >= MAX_VIEWS) return showToast(`There are ${MAX_VIEWS} views already: delete one first.`, { failed: true });
  if (!write([...views, { name, query: currentQuery() }])) return;
  input.value = "";
  showToast(`Saved the view ${name} in this browser.`);
  show();
}

function remove(name) {
  const before = read();
  if (!write(before.filter((view) => view.name !== name))) return;
  show();
  showToast(`Deleted the view ${name}.`, { undo: () => write(before) && show() });
}

/** The filters of the page, without the key and the page number. */
function currentQuery() {
  const query = new URLSearchParams(location.search);
  query.delete("code");
  query.delete("page");
  for (const [name, value] of [...query]) if (!value) query.delete(name, value);
  return query.toString();
}

function show() {
  const base = document.getElementById("save-view")?.dataset.base;
  findList()?.replaceChildren(
    ...read().map(({ name, query }) => {
      const button = element("button", { type: "button", "aria-label": `Delete the view ${name}` }, "×");
      button.addEventListener("click", () => remove(name));
      return element("li", { class: "saved" }, element("a", { href: link(`${base}${query ? `?${query}` : ""}`) }, name), button);
    }),
  );
}

function read() {
  try {
    const found = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(found) ? found.filter((view) => typeof view?.name === "string" && typeof view?.query === "string") : [];
  } catch {
    return []; // the browser allows no storage, or it holds something else
  }
}

function write(views) {
  try {
    localStorage.setItem(KEY, JSON.stringify(views));
    return true;
  } catch {
    showToast("This browser does not store views.", { failed: true });
    return false;
  }
}
