// Reads and changes parts of a definition. Pure; keys that it does not know stay as they are.

/** `alerts[0].notify` as ["alerts", 0, "notify"]. */
export function splitPath(path) {
  return path.split(/[.[]/).map((step) => (step.endsWith("]") ? Number(step.slice(0, -1)) : step));
}

export function readPath(definition, path) {
  let value = definition;
  for (const step of splitPath(path)) value = value?.[step];
  return value;
}

/** Set a value, or remove it and the objects that become empty. */
export function writePath(definition, path, value) {
  const steps = splitPath(path);
  const last = steps.pop();
  const around = [definition];
  for (const [index, step] of steps.entries()) {
    const parent = around.at(-1);
    if (!isContainer(parent[step])) {
      if (value === undefined) return;
      parent[step] = typeof (steps[index + 1] ?? last) === "number" ? [] : {};
    }
    around.push(parent[step]);
  }
  const target = around.at(-1);
  if (value !== undefined) {
    target[last] = value;
    return;
  }
  delete target[last];
  // `check` and rules of `alerts` mean something without any key.
  for (let index = steps.length - 1; index >= 0; index--) {
    if (typeof steps[index] === "number" || steps[index] === "check" || Object.keys(around[index + 1]).length) return;
    delete around[index][steps[index]];
  }
}

/** The changes from `base` to `mine`, made to `theirs`. A list is one value. */
export function mergeChanges(base, mine, theirs) {
  if (equal(base, mine)) return theirs;
  if (![base, mine, theirs].every(isMapping)) return mine;
  const merged = {};
  for (const key of new Set([...Object.keys(theirs), ...Object.keys(mine)])) {
    const value = mergeChanges(base[key], mine[key], theirs[key]);
    if (value !== undefined) merged[key] = value;
  }
  return merged;
}

/** Each value that differs, as { path, before, after }. */
export function listChanges(before, after, path = "") {
  if (equal(before, after)) return [];
  if (!isMapping(before) || !isMapping(after)) return [{ path, before, after }];
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return keys.flatMap((key) => listChanges(before[key], after[key], path ? `${path}.${key}` : key));
}

export function equal(one, other) {
  if (Object.is(one, other)) return true;
  if (!isContainer(one) || !isContainer(other) || Array.isArray(one) !== Array.isArray(other)) return false;
  const keys = Object.keys(one);
  return keys.length === Object.keys(other).length && keys.every((key) => key in other && equal(one[key], other[key]));
}

function isContainer(value) {
  return typeof value === "object" && value !== null;
}

export function isMapping(value) {
  return isContainer(value) && !Array.isArray(value);
}
