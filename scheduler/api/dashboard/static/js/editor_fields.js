// The fields of the editor: what each shows of a definition, and how it changes it. A value that a field cannot show
// disables the field: it is edited in the text.
import { isMapping, readPath, writePath } from "./editor_document.js";

const EVERY = /^\s*@?every\s+(.+)$/i;
/** Keys of a check that another kind has, too. */
const checksByKind = new Map();

/** `read`: the text of the field, or null if it cannot show the value. `write`: changes the definition. */
const TYPES = {
  text: {
    read: (definition, path) => scalarText(readPath(definition, path)),
    write: (definition, path, text) => writePath(definition, path, text.trim() || undefined),
  },
  number: {
    read: (definition, path) => scalarText(readPath(definition, path)),
    write: (definition, path, text) => writePath(definition, path, numberOrText(text)),
  },
  threshold: {
    read: (definition, path) => scalarText(readPath(definition, path)),
    write: (definition, path, text) => writePath(definition, path, numberOrText(text)),
  },
  switch: {
    read: (definition, path) => readPath(definition, path) !== false,
    write: (definition, path, on) => writePath(definition, path, on ? (readPath(definition, path) === undefined ? undefined : true) : false),
  },
  list: {
    read: (definition, path) => {
      const value = readPath(definition, path);
      return Array.isArray(value) ? (value.every(isScalar) ? value.join(", ") : null) : scalarText(value);
    },
    write: (definition, path, text) => {
      const found = text.split(/[\s,]+/).filter(Boolean);
      writePath(definition, path, found.length ? found : undefined);
    },
  },
  tags: {
    read: (definition, path) => {
      const tags = readPath(definition, path) ?? {};
      if (!isMapping(tags) || !Object.values(tags).every(isScalar)) return null;
      return Object.entries(tags).map(([key, value]) => `${key}: ${value}`).join("\n");
    },
    write: (definition, path, text) => {
      const pairs = text.split("\n").filter((line) => line.trim()).map((line) => {
        const [, key, value] = /^([^:=]*)[:=]?(.*)$/.exec(line);
        return [key.trim(), value.trim()];
      });
      writePath(definition, path, pairs.length ? Object.fromEntries(pairs) : undefined);
    },
  },
  kind: {
    // A preset knows its kind; the form does not.
    read: (definition) => readPath(definition, "check.kind") ?? (definition.preset === undefined ? "http" : null),
    write: (definition, _, kind) => {
      const check = isMapping(definition.check) ? definition.check : {};
      checksByKind.set(check.kind ?? "http", check);
      definition.check = checksByKind.get(kind) ?? { kind };
    },
  },
  schedule: {
    read: (definition) => readSchedule(definition.schedule)?.when ?? null,
    write: (definition, _, text) => writeSchedule(definition, text.trim(), readSchedule(definition.schedule)?.zone ?? ""),
  },
  zone: {
    read: (definition) => readSchedule(definition.schedule)?.zone ?? null,
    write: (definition, _, text) => writeSchedule(definition, readSchedule(definition.schedule)?.when ?? "", text.trim()),
  },
  expectation: {
    read: (definition, path) => {
      const found = findExpectation(definition, path);
      return found === null ? null : Array.isArray(found) ? (found.every(isScalar) ? found.join(",") : null) : scalarText(found);
    },
    write: (definition, path, text) => writeExpectation(definition, path.split(":")[1], numberOrText(text)),
  },
  alerts: {
    read: (definition) => (definition.alerts === undefined || definition.alerts === null ? "inherit" : definition.alerts.length === 0 ? "none" : Array.isArray(definition.alerts) && isMapping(definition.alerts[0]) ? "own" : null),
    write: (definition, _, mode) => {
      if (mode === "inherit") delete definition.alerts;
      else definition.alerts = mode === "none" ? [] : [{}];
    },
  },
};

/** Show a definition. The field in which a person types is not touched. */
export function fillFields(form, definition) {
  const kind = TYPES.kind.read(definition);
  for (const part of form.querySelectorAll("[data-kinds]")) part.hidden = !part.dataset.kinds.split(" ").includes(kind);
  for (const part of form.querySelectorAll(".of-rule")) part.hidden = TYPES.alerts.read(definition) !== "own";
  for (const field of form.querySelectorAll("[data-path]")) fillField(field, definition);
}

function fillField(field, definition) {
  const value = TYPES[field.dataset.type].read(definition, field.dataset.path);
  const isShown = value !== null && (field.nodeName !== "SELECT" || [...field.options].some((option) => option.value === value));
  field.disabled = !isShown;
  field.title = isShown ? "" : "The form cannot show this value: edit it in the text.";
  if (!isShown && field.nodeName === "SELECT") field.selectedIndex = -1;
  if (!isShown || field === document.activeElement) return;
  if (field.type === "checkbox") field.checked = value;
  else if (field.value !== value) field.value = value;
}

/** Change the definition to what the field contains. */
export function applyField(field, definition) {
  const value = field.type === "checkbox" ? field.checked : field.value;
  TYPES[field.dataset.type].write(definition, field.dataset.path, value);
}

/** The field that shows the path of a finding, or null. */
export function findField(form, path, definition) {
  let found = null;
  for (const field of form.querySelectorAll("[data-path]")) {
    if (field.disabled || field.closest("[hidden]")) continue;
    const own = locationOf(field, definition);
    const isWithin = path === own || path.startsWith(`${own}.`) || path.startsWith(`${own}[`);
    if (isWithin && (!found || own.length > locationOf(found, definition).length)) found = field;
  }
  return found;
}

function locationOf(field, definition) {
  const path = field.dataset.path;
  if (field.dataset.type !== "expectation") return path;
  const index = Array.isArray(definition.expect) ? definition.expect.findIndex((entry) => isMapping(entry) && path.split(":")[1] in entry) : -1;
  return `expect[${index}]`;
}

function readSchedule(schedule) {
  if (schedule === undefined || schedule === null) return { when: "", zone: "" };
  if (typeof schedule === "string") return { when: schedule, zone: "" };
  if (!isMapping(schedule) || !(typeof schedule.cron === "string" || typeof schedule.every === "string")) return null;
  return { when: schedule.cron ?? `every ${schedule.every}`, zone: schedule.timezone ?? "" };
}

/** Other keys, such as `jitter`, stay. A schedule that is one text stays one, unless it gets a time zone. */
function writeSchedule(definition, when, zone) {
  const { cron, every, timezone, ...rest } = isMapping(definition.schedule) ? definition.schedule : {};
  if (!when && !zone) return void delete definition.schedule;
  if (!zone && !isMapping(definition.schedule)) return void (definition.schedule = when);
  const [, interval] = EVERY.exec(when) ?? [];
  definition.schedule = { ...(interval ? { every: interval } : { cron: when }), ...(zone ? { timezone: zone } : {}), ...rest };
}

function findExpectation(definition, path) {
  const entries = definition.expect ?? [];
  if (!Array.isArray(entries)) return null;
  return entries.find((entry) => isMapping(entry) && path.split(":")[1] in entry)?.[path.split(":")[1]];
}

function writeExpectation(definition, key, value) {
  const entries = Array.isArray(definition.expect) ? definition.expect : [];
  const found = entries.find((entry) => isMapping(entry) && key in entry);
  if (value === undefined) definition.expect = entries.filter((entry) => entry !== found);
  else if (found) found[key] = value;
  else definition.expect = [...entries, { [key]: value }];
  if (!definition.expect.length) delete definition.expect;
}

function numberOrText(text) {
  const trimmed = text.trim();
  if (!trimmed) return undefined;
  return /^-?\d+(\.\d+)?$/.test(trimmed) ? Number(trimmed) : trimmed;
}

function isScalar(value) {
  return ["string", "number", "boolean"].includes(typeof value);
}

function scalarText(value) {
  if (value === undefined || value === null) return "";
  return isScalar(value) ? String(value) : null;
}
