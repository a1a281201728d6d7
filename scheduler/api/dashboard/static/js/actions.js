// Buttons that change something, declared in the HTML by the macro `action` of actions.html:
//   data-action="POST /api/jobs/x/pause"  data-body='{"reason": "..."}'  data-done="Paused x"
//   data-undo="POST /api/jobs/x/resume"   data-confirm="Pause x?"        data-go="/api/dashboard/..."
// A form with data-action sends its fields as the JSON body: `data-type` of a field is text, number, list, tags, json,
// boolean, none, item: one of a list, if it is checked, or ahead: so many seconds from now, which is sent as an instant.
// A checked radio button with data-action replaces what its form declares; fields within data-for="x y" are sent if it has
// one of these values.
// A choice of a menu with data-member sets that member of the body of its buttons, a text before a radio button; its
// data-text is {when} in their texts.
// A field with data-unless is skipped if the field of that name has a value.
// data-if-match: the ETag of what is changed; its undo changes any version.
// Texts can contain members of the body, and texts and paths fields of the response, such as {id}. data-failure="error": the field that contains why a
// response with status 200 is a failure. data-follow: the response is a run, whose result the message shows.
import { callApi } from "./api.js";
import { link } from "./dom.js";
import { refreshNow, showSamePage } from "./refresh.js";
import { serverNow } from "./times.js";
import { showFailure, showToast, takeMessage } from "./toasts.js";

const FOLLOW_MS = 1000;
const FOLLOWED_TIMES = 120;

export function startActions() {
  const left = takeMessage();
  if (left) showToast(left.text, { undo: left.undo ? () => revert(...left.undo) : null, open: left.open });
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("button[data-action]");
    if (!button || button.getAttribute("aria-disabled") === "true") return;
    event.preventDefault();
    const choices = [...(button.closest(".menu-content")?.querySelectorAll("input[data-member]") ?? [])];
    const chosen = choices.find(({ type, value }) => type === "text" && value.trim()) ?? choices.find(({ checked }) => checked);
    const body = JSON.parse(button.dataset.body ?? "null") ?? undefined;
    if (!chosen) return perform(button, body);
    const value = chosen.value.trim();
    perform(button, { ...body, [chosen.dataset.member]: value }, { when: chosen.dataset.text ?? `for ${value}` });
  });
  document.addEventListener("submit", (event) => {
    const form = event.target.closest?.("form[data-action]");
    // A button with its own address, such as that of a preview, only navigates.
    if (!form || event.submitter?.hasAttribute("formaction")) return;
    event.preventDefault();
    Object.assign(form.dataset, form.querySelector("input[data-action]:checked")?.dataset, { type: "" });
    try {
      perform(form, readForm(form));
    } catch (error) {
      showToast(error.message, { failed: true });
    }
  });
}

/** Call the API as the element declares, tell the result, and refresh the page. `words`: for its texts. Returns whether it
    succeeded. */
export async function perform(source, body, words = {}) {
  const { action, done, undo, undoBody, go, failure, follow, ifMatch, confirm: question } = source.dataset;
  if (question && !window.confirm(question)) return false;
  const [method, path] = action.split(" ");
  setBusy(source, true);
  try {
    const { body: result } = await callApi(method, path, body, ifMatch ? { "if-match": ifMatch } : {});
    source.closest("dialog")?.close();
    closeMenu(source.closest("details.menu, details[data-focus]"));
    if (source instanceof HTMLFormElement) source.reset();
    if (failure && result?.[failure]) throw new Error(result[failure]);
    showToast(fill(done ?? "Done.", { ...body, ...result, ...words }, String), { undo: undo ? () => revert(fill(undo, result), undoBody, ifMatch ? { "if-match": "*" } : {}) : null, follow: follow === undefined ? null : followRun(result) });
    if (go) await openPage(link(fill(go, result)));
    else await refreshNow();
    return true;
  } catch (error) {
    showFailure(error, () => perform(source, body, words));
    return false;
  } finally {
    setBusy(source, false);
  }
}

/** Yield the states of a run until it is finished, for two minutes at most. */
async function* followRun(run) {
  const path = `/api/dashboard/runs/${encodeURIComponent(run.id)}`;
  for (let waits = 0; waits < FOLLOWED_TIMES; waits++) {
    if (run.state === "finished") {
      await refreshNow();
      const time = run.response_time_ms === null ? "" : ` after ${Math.round(run.response_time_ms)} ms`;
      const status = run.status_code === null ? "" : `, status ${run.status_code}`;
      const message = run.outcome === "succeeded" ? "" : `: ${run.message}`;
      yield { text: `${run.job} ${run.outcome.replace("_", " ")}${time}${status}${message}`, failed: run.outcome !== "succeeded", path };
      return;
    }
    yield { text: `The run of ${run.job} is ${run.state}.`, path };
    await new Promise((resolve) => setTimeout(resolve, FOLLOW_MS));
    ({ body: run } = await callApi("GET", `/api/runs/${encodeURIComponent(run.id)}`));
  }
}

/** Another page is loaded. This one, without the values of a form in its address, is only refreshed: a page that loads
    loses the keys that are pressed before its scripts run. */
async function openPage(path) {
  if (new URL(path, location.href).pathname === location.pathname) await showSamePage(path);
  else location.assign(path);
}

/** The focus returns to what has opened the menu. */
function closeMenu(menu) {
  menu?.removeAttribute("open");
  menu?.querySelector("summary").focus();
}

/** Put fields of the response into a text or a path: `/api/silences/{id}/end`. A list counts its entries. */
function fill(text, result, format = encodeURIComponent) {
  return text.replace(/\{(\w+)\}/g, (_, name) => {
    const value = result?.[name] ?? "";
    return format(Array.isArray(value) ? value.length : value);
  });
}

/** `go`: the page to which it leads, if this one has lost its subject. */
async function revert(action, body, headers, go) {
  const [method, path] = action.split(" ");
  try {
    await callApi(method, path, body ? JSON.parse(body) : undefined, headers);
    showToast("Undone.");
    if (go) location.assign(link(go));
    else await refreshNow();
  } catch (error) {
    showFailure(error, () => revert(action, body, headers, go));
  }
}

/** The fields of a form as an object. An empty field is skipped; `a.b` is the field b of the object a. */
export function readForm(form) {
  const body = {};
  const kind = form.querySelector("input[data-action]:checked")?.value;
  for (const field of form.elements) {
    if (!field.name || field.disabled || field.dataset.type === "none" || field instanceof HTMLButtonElement || (field.type === "radio" && !field.checked)) continue;
    const kinds = field.closest("[data-for]")?.dataset.for;
    if (kinds && !kinds.split(" ").includes(kind)) continue;
    if (field.dataset.unless && form.elements.namedItem(field.dataset.unless)?.value) continue;
    const value = readField(field);
    if (value === undefined) continue;
    const names = field.name.split(".");
    const last = names.pop();
    let target = body;
    for (const name of names) target = target[name] ??= {};
    if (field.dataset.type === "item") (target[last] ??= []).push(value);
    else target[last] = value;
  }
  return body;
}

function readField(field) {
  const type = field.dataset.type ?? (field.type === "checkbox" ? "boolean" : "text");
  if (type === "boolean") return field.checked;
  if (type === "item" && !field.checked) return undefined;
  const text = field.value.trim();
  if (!text) return undefined;
  if (type === "number") return Number(text);
  if (type === "list") return text.split(/[\s,]+/).filter(Boolean);
  if (type === "ahead") return new Date(serverNow() + Number(text) * 1000).toISOString();
  if (type === "tags") return readTags(text);
  if (type === "json") return JSON.parse(text);
  return text;
}

/** `team=payments stage=prod` as { team: ["payments"], stage: ["prod"] }; a tag without a value may have any. */
function readTags(text) {
  const tags = {};
  for (const each of text.split(/[\s,]+/).filter(Boolean)) {
    const [key, ...value] = each.split("=");
    (tags[key] ??= []).push(value.join("=") || "*");
  }
  return tags;
}

function setBusy(source, isBusy) {
  const button = source instanceof HTMLFormElement ? source.querySelector("button:not([type=button])") : source;
  button?.toggleAttribute("aria-busy", isBusy);
  if (button) button.disabled = isBusy;
}
