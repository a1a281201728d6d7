// Buttons that change something, declared in the HTML by the macro `action` of actions.html:
//   data-action="POST /api/jobs/x/pause"  data-body='{"reason": "..."}'  data-done="Paused x"
//   data-undo="POST /api/jobs/x/resume"   data-confirm="Pause x?"        data-go="/api/dashboard/..."
// A form with data-action sends its fields as the JSON body: `data-type` of a field is text, number, list, json,
// boolean, or ahead: so many seconds from now, which is sent as an instant.
import { callApi } from "./api.js";
import { link } from "./dom.js";
import { refreshNow } from "./refresh.js";
import { showToast } from "./toasts.js";

export function startActions() {
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("button[data-action]");
    if (!button || button.getAttribute("aria-disabled") === "true") return;
    event.preventDefault();
    perform(button, JSON.parse(button.dataset.body ?? "null") ?? undefined);
  });
  document.addEventListener("submit", (event) => {
    const form = event.target.closest?.("form[data-action]");
    if (!form) return;
    event.preventDefault();
    try {
      perform(form, readForm(form));
    } catch (error) {
      showToast(error.message, { failed: true });
    }
  });
}

/** Call the API as the element declares, tell the result, and refresh the page. Returns whether it succeeded. */
export async function perform(source, body) {
  const { action, done, undo, undoBody, go, confirm: question } = source.dataset;
  if (question && !window.confirm(question)) return false;
  const [method, path] = action.split(" ");
  setBusy(source, true);
  try {
    const { body: result } = await callApi(method, path, body);
    source.closest("dialog")?.close();
    closeMenu(source.closest("details.menu"));
    if (source instanceof HTMLFormElement) source.reset();
    showToast(done ?? "Done.", { undo: undo ? () => revert(fill(undo, result), undoBody) : null });
    if (go) location.assign(link(fill(go, result)));
    else await refreshNow();
    return true;
  } catch (error) {
    showToast(error.message, { failed: true });
    return false;
  } finally {
    setBusy(source, false);
  }
}

/** The focus returns to what has opened the menu. */
function closeMenu(menu) {
  menu?.removeAttribute("open");
  menu?.querySelector("summary").focus();
}

/** Put fields of the response into a path: `/api/silences/{id}/end`. */
function fill(path, result) {
  return path.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(result?.[name] ?? ""));
}

async function revert(action, body) {
  const [method, path] = action.split(" ");
  try {
    await callApi(method, path, body ? JSON.parse(body) : undefined);
    showToast("Undone.");
    await refreshNow();
  } catch (error) {
    showToast(error.message, { failed: true });
  }
}

/** The fields of a form as an object. An empty field is skipped; `a.b` is the field b of the object a. */
export function readForm(form) {
  const body = {};
  for (const field of form.elements) {
    if (!field.name || field.disabled || (field.type === "radio" && !field.checked)) continue;
    const value = readField(field);
    if (value === undefined) continue;
    const names = field.name.split(".");
    const last = names.pop();
    let target = body;
    for (const name of names) target = target[name] ??= {};
    target[last] = value;
  }
  return body;
}

function readField(field) {
  const type = field.dataset.type ?? (field.type === "checkbox" ? "boolean" : "text");
  if (type === "boolean") return field.checked;
  const text = field.value.trim();
  if (!text) return undefined;
  if (type === "number") return Number(text);
  if (type === "list") return text.split(/[\s,]+/).filter(Boolean);
  if (type === "ahead") return new Date(Date.now() + Number(text) * 1000).toISOString();
  if (type === "json") return JSON.parse(text);
  return text;
}

function setBusy(source, isBusy) {
  const button = source instanceof HTMLFormElement ? source.querySelector("button:not([type=button])") : source;
  button?.toggleAttribute("aria-busy", isBusy);
  if (button) button.disabled = isBusy;
}
