// The editor of a job. The form and the text show the same definition: a change of one is shown in the other, and the
// server reports what it means: the schedule in words, what changes, and what is wrong. Loaded by editing/edit.html.
import { callApi } from "./api.js";
import { element, link } from "./dom.js";
import { showBacktest } from "./editor_backtest.js";
import { mergeChanges } from "./editor_document.js";
import { applyField, fillFields } from "./editor_fields.js";
import { showChanges, showConflict, showFindings, showRun, showSchedule, showState, showUnreadable } from "./editor_views.js";
import { leaveMessage, showFailure, showToast } from "./toasts.js";

const DELAY_MS = 350;
const TEST_TIMEOUT_MS = 70000;
const YAML = { "content-type": "application/yaml" };

const form = document.getElementById("editor");
const text = document.getElementById("editor-document");
const mayValidate = form.dataset.mayValidate === "yes";
const state = {
  definition: JSON.parse(form.dataset.definition),
  base: JSON.parse(form.dataset.definition),
  etag: form.dataset.etag,
  version: Number(form.dataset.version) || null,
  isText: false,
  isReadable: true,
  isValid: false,
  isDirty: false,
  number: 0,
  timer: 0,
  pending: Promise.resolve(),
};

start();

function start() {
  fillFields(form, state.definition);
  for (const field of form.querySelectorAll("[data-path]")) field.addEventListener("input", () => changeField(field));
  text.addEventListener("input", () => schedule(true));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (document.getElementById("editor-save")) save();
  });
  document.getElementById("editor-test")?.addEventListener("click", testRun);
  document.getElementById("conflict-take").addEventListener("click", () => resolveConflict((theirs) => theirs));
  document.getElementById("conflict-merge").addEventListener("click", () => resolveConflict((theirs) => mergeChanges(state.base, state.definition, theirs)));
  for (const button of form.querySelectorAll("[data-backtest]")) button.addEventListener("click", () => backtest(button));
  document.addEventListener("click", copy);
  window.addEventListener("beforeunload", (event) => state.isDirty && event.preventDefault());
  if (mayValidate) state.pending = look();
  else form.querySelectorAll("[data-path]").forEach((field) => (field.disabled = true));
}

function changeField(field) {
  applyField(field, state.definition);
  fillFields(form, state.definition);
  schedule(false);
}

function schedule(isText) {
  state.isText = isText;
  state.isDirty = true;
  clearTimeout(state.timer);
  state.timer = setTimeout(() => (state.pending = look()), DELAY_MS);
}

/** Let the server read what was typed. An answer about an earlier state is ignored. */
async function look() {
  clearTimeout(state.timer);
  state.timer = 0;
  const mine = ++state.number;
  const job = form.dataset.name ? `?job=${encodeURIComponent(form.dataset.name)}` : "";
  try {
    const { body } = await (state.isText
      ? callApi("POST", `/api/dashboard/drafts${job}`, text.value, text.value.trimStart().startsWith("{") ? {} : YAML)
      : callApi("POST", `/api/dashboard/drafts${job}`, state.definition));
    if (mine !== state.number) return;
    if (!takeDraft(body)) return;
    // Nothing is wrong with a new job before anything is typed.
    if (!form.dataset.name && !state.isDirty) return showState(`Give the job a name${describeMissing(state.definition)}.`);
    const { body: review } = await callApi("POST", "/api/definitions/validate", text.value, text.value.trimStart().startsWith("{") ? {} : YAML);
    if (mine === state.number) state.isValid = showFindings(form, text, review, state.definition);
  } catch (error) {
    if (mine === state.number) showState(error.message, true);
  }
}

function describeMissing({ preset, with: values }) {
  if (preset === undefined) return " and a target";
  return values === undefined ? "" : ", and your values under with";
}

/** Show a draft in the other view. Returns whether it could be read. */
function takeDraft(draft) {
  state.isReadable = !draft.problem;
  state.isValid = false;
  showUnreadable(form, text, draft);
  if (draft.problem) return false;
  if (state.isText) state.definition = draft.document;
  else text.value = draft.text;
  fillFields(form, state.definition);
  showSchedule(draft.schedule);
  showChanges(draft);
  if (state.etag && draft.current && draft.current.etag !== state.etag) showState(`A newer version (${draft.current.version}) has been saved meanwhile.`, true);
  return true;
}

/** Wait until the server has read the latest change. */
async function settle() {
  if (state.timer) state.pending = look();
  await state.pending;
}

async function save() {
  await settle();
  if (!state.isReadable) return text.focus();
  const name = form.dataset.name || state.definition.name || state.definition.JobName || "";
  if (!name) return showToast("Give the job a name.", { failed: true });
  const button = document.getElementById("editor-save");
  button.disabled = true;
  try {
    const path = `/api/jobs/${encodeURIComponent(name)}`;
    const { body, headers } = await callApi("PUT", path, state.definition, state.etag ? { "if-match": state.etag } : { "if-none-match": "*" });
    state.isDirty = false;
    leaveMessage(describeSaved(name, path, body.version, headers.get("etag")));
    location.assign(link(`/api/dashboard/jobs/${encodeURIComponent(name)}`));
  } catch (error) {
    if (error.status === 412 && form.dataset.name) await explainConflict();
    else if (error.status === 412) showToast(`There is already a job named ${name}.`, { failed: true });
    else showFailure(error, save);
  } finally {
    button.disabled = false;
  }
}

/** What the page of the job shows of a saved version, which its undo replaces by the one before; a new job is deleted. */
function describeSaved(name, path, version, etag) {
  const open = { path: `/api/dashboard/jobs/${encodeURIComponent(name)}/definition`, text: "Versions" };
  if (!form.dataset.name) return { text: `Created ${name}.`, undo: [`DELETE ${path}`, null, { "if-match": etag }, "/api/dashboard"], open };
  if (version === state.version) return { text: `Nothing has changed: version ${version} is in force.`, open };
  return { text: `Saved as version ${version}.`, undo: [`POST ${path}/versions/${state.version}/restore`, null, { "if-match": etag }], open };
}

async function explainConflict() {
  const current = await readCurrent();
  if (!current) return showToast("The job has been deleted meanwhile. Copy your text to create it again.", { failed: true });
  showConflict(state.base, current);
  state.pending = look();
}

/** The version that is stored now; null without one. */
async function readCurrent() {
  const { body } = await callApi("POST", `/api/dashboard/drafts?job=${encodeURIComponent(form.dataset.name)}`, state.definition);
  return body.current;
}

async function resolveConflict(choose) {
  try {
    const current = await readCurrent();
    if (!current) return;
    state.definition = structuredClone(choose(current.document));
    Object.assign(state, { base: structuredClone(current.document), etag: current.etag, version: current.version, isText: false });
    document.getElementById("editor-conflict").hidden = true;
    fillFields(form, state.definition);
    state.pending = look();
    text.focus();
  } catch (error) {
    showFailure(error);
  }
}

async function testRun() {
  await settle();
  if (!state.isReadable) return text.focus();
  const button = document.getElementById("editor-test");
  button.disabled = true;
  showRun(null);
  try {
    const { body } = await callApi("POST", "/api/definitions/test-run", state.definition, {}, TEST_TIMEOUT_MS);
    showRun(body);
  } catch (error) {
    showRun(null, error.message);
  } finally {
    button.disabled = false;
  }
}

async function backtest(button) {
  await settle();
  if (!state.isReadable) return text.focus();
  button.disabled = true;
  await showBacktest(document.getElementById("backtest-result"), state.definition, button.dataset.backtest);
  button.disabled = false;
}

async function copy(event) {
  const button = event.target.closest?.("[data-copy]");
  if (!button) return;
  const source = document.getElementById(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(source.textContent);
    showToast("Copied.");
  } catch {
    // Only pages of HTTPS and loopback have a clipboard: select the text, so that the keyboard copies it.
    const range = document.createRange();
    range.selectNodeContents(source);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    document.getElementById("toasts")?.append(element("span", { class: "visually-hidden" }, "Selected: press Control C."));
  }
}
