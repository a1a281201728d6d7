// What the editor shows about a draft: findings next to their fields, the schedule, changes, a test run, a conflict.
import { element } from "./dom.js";
import { listChanges } from "./editor_document.js";
import { findField } from "./editor_fields.js";
import { updateTimes } from "./times.js";

const PHASES = [["dns_ms", "DNS"], ["connect_ms", "connect"], ["tls_ms", "TLS"], ["first_byte_ms", "first byte"], ["total_ms", "total"]];

export function showState(message, isFailure = false) {
  const state = document.getElementById("editor-state");
  if (state.textContent !== message) state.textContent = message;
  state.classList.toggle("failure", isFailure);
}

/** A text that cannot be read, or that the form cannot show: the form waits. */
export function showUnreadable(form, text, { problem, is_flat: isFlat }) {
  const notice = document.getElementById("editor-unreadable");
  const reason = problem ? "The form waits until the text of the definition can be read." : isFlat ? "The form shows definitions in the full form only: edit the text." : "";
  notice.hidden = !reason;
  notice.textContent = reason;
  for (const fieldset of form.querySelectorAll("fieldset")) fieldset.disabled = Boolean(reason);
  if (!problem) return;
  listFindings(text, [{ path: "", message: problem.message, line: problem.line }]);
  showState("The text cannot be read.", true);
}

/** Put each finding next to its field, and list all of them with their lines. Returns whether the draft is valid. */
export function showFindings(form, text, review, definition) {
  clearErrors(form);
  const errors = [
    ...review.problems,
    ...review.denied_targets.map((denied) => ({ path: "check", message: `target not allowed: ${denied.reason}`, line: null })),
  ];
  const notes = [...review.unavailable_secrets, ...review.warnings];
  for (const each of errors) {
    const field = findField(form, each.path === "check" ? "check.url" : each.path, definition) ?? (each.path === "check" ? findField(form, "check.host", definition) : null);
    if (field) showError(field, sentence(each));
  }
  listFindings(text, [...errors, ...notes.map((note) => ({ ...note, isNote: true }))]);
  const count = errors.length;
  showState(count ? `${count} ${count === 1 ? "problem" : "problems"}` : notes.length ? `Valid, with ${notes.length} ${notes.length === 1 ? "warning" : "warnings"}` : "Valid", count > 0);
  return !count;
}

function clearErrors(form) {
  for (const field of form.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
  for (const error of form.querySelectorAll(".field .error")) {
    error.hidden = true;
    error.textContent = "";
  }
}

function showError(field, message) {
  const error = document.getElementById(`${field.id}-error`);
  field.setAttribute("aria-invalid", "true");
  error.textContent = error.textContent ? `${error.textContent} ${message}` : message;
  error.hidden = false;
}

function sentence({ message, hint }) {
  return hint ? `${message}; ${hint}` : message;
}

function listFindings(text, findings) {
  const list = document.getElementById("editor-findings");
  list.hidden = !findings.length;
  list.replaceChildren(
    ...findings.map((each) => {
      const item = element("li", { class: each.isNote ? "note" : "problem" });
      if (each.line) {
        const button = element("button", { type: "button" }, `Line ${each.line}`);
        button.addEventListener("click", () => selectLine(text, each.line));
        item.append(button, " ");
      }
      if (each.path) item.append(element("code", {}, each.path), " ");
      item.append(element("bdi", {}, sentence(each)));
      return item;
    }),
  );
}

function selectLine(text, line) {
  const lines = text.value.split("\n");
  const start = lines.slice(0, line - 1).reduce((sum, each) => sum + each.length + 1, 0);
  text.focus();
  text.setSelectionRange(start, start + (lines[line - 1]?.length ?? 0));
}

export function showSchedule(schedule) {
  const english = document.getElementById("schedule-english");
  const text = schedule.problem ? "" : schedule.english || "No schedule: the job runs on demand, or after the jobs that it depends on.";
  if (english.textContent !== text) english.textContent = text;
  const rows = schedule.instants.map(({ utc, local }) =>
    element("li", {}, element("time", { datetime: utc }, local), " ", element("time", { class: "quiet", datetime: utc, "data-relative": true })),
  );
  const title = !schedule.enabled ? "Disabled: it would run at" : rows.length ? `Next runs${schedule.zone === "UTC" ? "" : `, ${schedule.zone}`}` : "It is never due again.";
  const parts = schedule.english && !schedule.problem ? [element("p", { class: "quiet" }, title), element("ol", { class: "plain next-runs" }, ...rows)] : [];
  document.getElementById("schedule-next").replaceChildren(...parts);
  updateTimes();
}

export function showChanges(draft) {
  const section = document.getElementById("editor-changes");
  section.hidden = !draft.diff;
  const lines = draft.diff.split("\n").map((line) => element("span", { class: /^(\+\+\+|---|@@)/.test(line) ? "where" : line.startsWith("+") ? "added" : line.startsWith("-") ? "removed" : "" }, `${line}\n`));
  document.getElementById("editor-diff").replaceChildren(...lines);
  const file = document.getElementById("editor-file-text");
  if (file) file.textContent = draft.file_text;
}

/** `run` and `failure` null: the run is under way. */
export function showRun(run, failure = null) {
  const section = document.getElementById("editor-result");
  const target = section.querySelector("div");
  section.hidden = false;
  if (failure) target.replaceChildren(element("p", { class: "error", role: "alert" }, failure));
  else if (!run) target.replaceChildren(element("p", { class: "quiet", role: "status" }, "The check runs. It takes at most a minute."));
  else target.replaceChildren(...describeRun(run));
  if (run || failure) document.getElementById("result-title").focus();
}

function describeRun(run) {
  const outcome = run.reason === "unknown" ? run.reason : run.outcome;
  const mark = `mark ${outcome}${run.retried ? " retried" : ""}${run.degraded ? " degraded" : ""}`;
  const word = element("span", { class: `word ${outcome}${run.degraded ? " degraded" : ""}` }, element("i", { class: mark, "aria-hidden": "true" }), `${outcome.replaceAll("_", " ")}${run.degraded ? ", degraded" : ""}`);
  const parts = [element("p", {}, word, ` in ${milliseconds(run.duration_ms)}. `, element("bdi", {}, run.message))];
  for (const attempt of run.attempts) parts.push(element("h3", {}, `Attempt ${attempt.number}`), describeAttempt(attempt));
  parts.push(element("p", { class: "quiet" }, "Nothing was stored or notified."));
  return parts;
}

function describeAttempt(attempt) {
  const facts = element("dl", { class: "facts" });
  const add = (name, value) => value && facts.append(element("dt", {}, name), element("dd", {}, element("bdi", {}, String(value))));
  add("Result", attempt.message);
  add("Status", attempt.status_code);
  add("Error", attempt.error?.replaceAll("_", " "));
  add("Times", PHASES.filter(([key]) => attempt.phases[key] !== null).map(([key, name]) => `${name} ${milliseconds(attempt.phases[key])}`).join(", "));
  for (const failure of attempt.failures) add(failure.severity === "degraded" ? "Degraded" : "Not met", `${failure.expectation}: expected ${failure.expected}, got ${failure.observed}`);
  for (const step of attempt.steps ?? []) add(`Step ${step.name ?? ""}`, step.message ?? step.status_code);
  if (attempt.tls) add("TLS", [attempt.tls.version, attempt.tls.certificate?.subject, attempt.tls.certificate?.days_left !== undefined ? `${attempt.tls.certificate.days_left} days left` : ""].filter(Boolean).join(", "));
  add("Body", attempt.body);
  return facts;
}

function milliseconds(value) {
  if (value === null || value === undefined) return "–";
  return value >= 10000 ? `${(value / 1000).toFixed(1)} s` : `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
}

/** What another person has saved since the page was opened. */
export function showConflict(base, current) {
  const section = document.getElementById("editor-conflict");
  document.getElementById("conflict-text").textContent = `Version ${current.version} was saved after you opened the job. Nothing of yours is saved yet.`;
  const rows = listChanges(base, current.document).map(({ path, before, after }) =>
    element("tr", {}, element("th", { scope: "row" }, path || "definition"), cell(before), cell(after)),
  );
  const table = document.getElementById("conflict-changes");
  table.hidden = !rows.length;
  table.tBodies[0].replaceChildren(...rows);
  section.hidden = false;
  section.scrollIntoView({ block: "nearest" });
  document.getElementById("conflict-take").focus();
}

function cell(value) {
  return element("td", {}, element("bdi", {}, value === undefined ? "–" : typeof value === "string" ? value : JSON.stringify(value)));
}
