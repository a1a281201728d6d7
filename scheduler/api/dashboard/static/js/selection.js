// Selects jobs in the tables of a page, and does something to all of them: the bar of editing/selection_bar.html.
// Every action shows first how many and which jobs it concerns, then the result for each, and can be undone.
import { ACTIONS, MAX_JOBS } from "./bulk_actions.js";
import { element } from "./dom.js";
import { refreshNow } from "./refresh.js";
import { showToast } from "./toasts.js";

const root = document.documentElement;

start();

/** The bar can appear with a refresh: a page without the store has none. */
function findBar() {
  return document.getElementById("selection-bar");
}

function start() {
  document.addEventListener("change", (event) => event.target.matches?.("[data-select]") && begin());
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("button");
    if (!button || button.getAttribute("aria-disabled") === "true") return;
    if (button.hasAttribute("data-select-start")) begin();
    else if (button.hasAttribute("data-select-end")) end();
    else if (button.hasAttribute("data-select-all")) selectAll();
    else if (button.dataset.bulk) openAction(ACTIONS[button.dataset.bulk], selectedNames());
  });
  document.addEventListener("dashboard:refreshed", () => root.classList.contains("is-selecting") && begin());
  if (!document.querySelector("[data-selecting]")) return;
  begin();
  if (location.hash === "#all") selectAll();
}

function begin() {
  const bar = findBar();
  if (!bar) return;
  root.classList.add("is-selecting");
  bar.hidden = false;
  showCount();
}

function end() {
  for (const box of boxes()) box.checked = false;
  if (document.querySelector("[data-selecting]")) return showCount();
  root.classList.remove("is-selecting");
  findBar().hidden = true;
}

function selectAll() {
  const all = boxes();
  const isOn = all.some((box) => !box.checked);
  for (const box of all) box.checked = isOn;
  showCount();
}

function boxes() {
  return [...document.querySelectorAll("main [data-select]")];
}

function selectedNames() {
  return [...new Set(boxes().filter((box) => box.checked).map((box) => box.dataset.select))];
}

function showCount() {
  const count = selectedNames().length;
  const text = count ? `${count} ${count === 1 ? "job" : "jobs"} selected` : "No job selected";
  const target = document.getElementById("selection-count");
  if (target.textContent !== text) target.textContent = text;
}

async function openAction(action, names) {
  if (!names.length) return showToast("Select jobs first.", { failed: true });
  if (names.length > MAX_JOBS) return showToast(`Select ${MAX_JOBS} jobs or fewer.`, { failed: true });
  const dialog = createDialog(action.title);
  dialog.content.append(element("p", { class: "quiet", role: "status" }, "Reading the jobs…"));
  dialog.showModal();
  try {
    showPreview(dialog, action, await action.prepare(names));
  } catch (error) {
    dialog.content.replaceChildren(element("p", { class: "error", role: "alert" }, error.message), closeButton(dialog));
  }
}

function createDialog(title) {
  const heading = element("h2", { id: "bulk-title", tabindex: "-1" }, title);
  const content = element("div", { class: "bulk-content" });
  const dialog = element("dialog", { id: "bulk", class: "bulk", "aria-labelledby": "bulk-title" }, heading, content);
  Object.assign(dialog, { heading, content });
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  return dialog;
}

/** `plan`: { names, others }: the jobs that the action concerns, and the others as [name, reason]. */
function showPreview(dialog, action, plan) {
  const count = plan.names.length;
  dialog.heading.textContent = count ? `${action.title} ${count} ${count === 1 ? "job" : "jobs"}?` : `${action.title}: no job`;
  const form = element("form", { method: "dialog" });
  form.append(...(count ? action.fields().map(createField) : []));
  form.append(listJobs(plan.names.map((name) => [name, plan.notes?.[name] ?? ""]), "Jobs"));
  if (plan.others.length) form.append(element("p", { class: "quiet" }, action.othersText), listJobs(plan.others, action.othersText));
  const apply = element("button", { class: "primary" }, `${action.title} ${count} ${count === 1 ? "job" : "jobs"}`);
  const failure = element("p", { class: "error", role: "alert" });
  form.append(failure, element("div", { class: "controls" }, count ? apply : null, closeButton(dialog, "Cancel")));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    apply.disabled = true;
    const values = Object.fromEntries(new FormData(form));
    try {
      showResult(dialog, action, await action.apply(plan, values));
      refreshNow();
    } catch (error) {
      apply.disabled = false;
      failure.textContent = error.message;
    }
  });
  dialog.content.replaceChildren(form);
  (form.querySelector("input, select") ?? apply).focus();
}

/** `result`: { jobs: [[name, result, message]], undo, undoText }. */
function showResult(dialog, action, result) {
  const done = result.jobs.filter(([, word]) => word === "done").length;
  dialog.heading.textContent = `${action.done} ${done} of ${result.jobs.length} ${result.jobs.length === 1 ? "job" : "jobs"}`;
  const failure = element("p", { class: "error", role: "alert" });
  const controls = element("div", { class: "controls" }, closeButton(dialog));
  if (done && result.undo) {
    const undo = element("button", { type: "button" }, result.undoText ?? "Undo");
    undo.addEventListener("click", async () => {
      undo.disabled = true;
      try {
        const text = await result.undo();
        dialog.close();
        showToast(text);
        refreshNow();
      } catch (error) {
        undo.disabled = false;
        failure.textContent = error.message;
      }
    });
    controls.prepend(undo, " ");
  }
  dialog.content.replaceChildren(listJobs(result.jobs.map(([name, word, message]) => [name, [word, message].filter(Boolean).join(": "), word]), "Results"), failure, controls);
  dialog.heading.focus();
}

function createField({ name, label, options }) {
  const id = `bulk-${name}`;
  const control = options ? element("select", { id, name }, ...options.map(([value, text]) => element("option", { value }, text))) : element("input", { id, name, maxlength: "200", autocomplete: "off" });
  return element("div", { class: "field" }, element("label", { for: id }, label), control);
}

function listJobs(rows, label) {
  return element("ul", { class: "bulk-jobs plain", "aria-label": label, tabindex: "0" }, ...rows.map(([name, note, word]) => element("li", { class: word ?? "" }, element("bdi", {}, name), note ? " " : null, note ? element("span", { class: "quiet" }, note) : null)));
}

function closeButton(dialog, text = "Close") {
  const button = element("button", { type: "button" }, text);
  button.addEventListener("click", () => dialog.close());
  return button;
}
