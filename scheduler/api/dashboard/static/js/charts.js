// Charts of the server: the values of all charts of a page under one cross-hair, by mouse, touch and keys; and a part of the
// period that the mouse, two fingers or Shift with the arrows select is shown alone, without leaving the place on the page.
// A chart has its values in data-points; the charts of one time axis are in an element with data-since and data-until.
import { element, link } from "./dom.js";
import { refreshNow } from "./refresh.js";

const SHORTEST_DRAG_PX = 12;
const SHORTEST_PERIOD_MS = 60000;
const EDGE_PX = 8;
const SVG = "http://www.w3.org/2000/svg";

// The places are shares of the time axis, 0 to 1. `group`: the charts; `plot`: the one under the pointer.
let shown = null;
let selection = null;
let fingers = new Map();
let search = location.search;

export function startCharts() {
  document.addEventListener("pointermove", onMove);
  document.addEventListener("pointerdown", onDown);
  document.addEventListener("pointerup", onUp);
  document.addEventListener("pointercancel", (event) => (fingers.delete(event.pointerId), clear()));
  document.addEventListener("input", (event) => isCursor(event.target) && showAtCursor(event.target));
  document.addEventListener("focusin", (event) => isCursor(event.target) && showAtCursor(event.target));
  document.addEventListener("focusout", (event) => isCursor(event.target) && clear());
  document.addEventListener("keydown", onKey);
  document.addEventListener("click", onClick);
  document.addEventListener("dashboard:refreshed", draw);
  if (isCursor(document.activeElement)) showAtCursor(document.activeElement);
  addEventListener("popstate", () => location.search !== search && open(location.href, false));
}

function plotsOf(group) {
  return [...group.querySelectorAll(".chart-plot[data-title]")];
}

function onMove(event) {
  if (fingers.has(event.pointerId)) fingers.set(event.pointerId, event.clientX);
  if (selection) return select(event);
  const plot = event.target.closest?.(".charts .chart-plot[data-title]");
  if (plot) show(plot, event);
  else if (shown && !shown.byKeys && event.pointerType === "mouse") clear();
}

function onDown(event) {
  const plot = event.target.closest?.(".charts .chart-plot[data-title]");
  if (!plot) return shown?.byKeys || clear();
  show(plot, event);
  if (event.pointerType === "touch") fingers.set(event.pointerId, event.clientX);
  const isDrag = event.pointerType === "touch" ? fingers.size === 2 : event.button === 0;
  if (!isDrag || !plot.closest(".charts").dataset.since) return;
  event.preventDefault();
  selection = { plot, from: [...fingers.values()].find((x) => x !== event.clientX) ?? event.clientX, to: event.clientX, byKeys: false };
}

function select(event) {
  const [one, other] = fingers.size === 2 ? fingers.values() : [selection.from, event.clientX];
  Object.assign(selection, { from: one, to: other });
  draw();
}

function onUp(event) {
  fingers.delete(event.pointerId);
  if (!selection || selection.byKeys) return;
  const { plot, from, to } = selection;
  const [left, right] = [from, to].map((x) => shareOf(plot, x)).sort((a, b) => a - b);
  const group = plot.closest(".charts");
  selection = null;
  if (Math.abs(to - from) >= SHORTEST_DRAG_PX) zoom(group, left, right);
  else draw();
}

function shareOf(plot, x) {
  const { left, width } = plot.getBoundingClientRect();
  return Math.min(Math.max((x - left) / width, 0), 1);
}

function show(plot, event) {
  const place = shareOf(plot, event.clientX);
  shown = { group: plot.closest(".charts"), plot, place, x: event.clientX, y: event.clientY, isDocked: event.pointerType !== "mouse", byKeys: false };
  draw();
}

// --- Keys: a slider is the cross-hair, which a screen reader reads ----------------------------------------------------

function isCursor(target) {
  return target instanceof HTMLInputElement && Boolean(target.closest(".chart-cursor"));
}

function placesOf(group) {
  const plot = plotsOf(group).find((each) => each.dataset.points);
  return plot ? pointsOf(plot).map((point) => point[0] / 100) : [];
}

function showAtCursor(cursor) {
  const group = cursor.closest(".charts");
  const places = placesOf(group);
  if (!places.length) return;
  const isNew = Number(cursor.max) !== places.length - 1;
  cursor.max = places.length - 1;
  if (isNew) cursor.value = cursor.max;
  const place = places[Number(cursor.value)];
  shown = { group, plot: plotsOf(group)[0], place, isDocked: true, byKeys: true };
  draw();
  cursor.setAttribute("aria-valuetext", readAll(group, place).map((each) => each.join(" ")).join("; "));
}

function onKey(event) {
  if (event.key === "Escape" && (shown || selection)) return clear();
  if (!isCursor(event.target)) return;
  const cursor = event.target;
  const group = cursor.closest(".charts");
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (step) {
    event.preventDefault();
    const before = shown?.place ?? 1;
    cursor.value = Number(cursor.value) + step;
    if (event.shiftKey) selection ??= { group, start: before, byKeys: true };
    else selection = null;
    showAtCursor(cursor);
    if (selection) Object.assign(selection, { from: selection.start, to: shown.place });
    draw();
  } else if (event.key === "Enter" && selection?.byKeys && selection.to !== undefined) {
    event.preventDefault();
    const [left, right] = [selection.from, selection.to].sort((a, b) => a - b);
    selection = null;
    zoom(group, left, right);
  } else if (["+", "-", "0"].includes(event.key)) {
    document.querySelector(`main .period [data-key="${event.key}"]`)?.click(); // keys.js excludes fields
  }
}

// --- What is drawn ----------------------------------------------------------------------------------------------------

const known = new WeakMap();

function pointsOf(plot) {
  const found = known.get(plot);
  if (found && found.text === plot.dataset.points) return found.points;
  const points = plot.dataset.points ? JSON.parse(plot.dataset.points) : [];
  known.set(plot, { text: plot.dataset.points, points });
  return points;
}

function pointAt(plot, place) {
  const points = pointsOf(plot);
  const distance = (point) => Math.abs(point[0] / 100 - place);
  return points.length ? points.reduce((best, point) => (distance(point) < distance(best) ? point : best)) : null;
}

/** What a plot shows at a place; of the strip, the state there. */
function read(plot, place) {
  const point = pointAt(plot, place);
  if (point) return point[2];
  const parts = [...plot.querySelectorAll(".state-part")];
  const part = parts.find((each) => parseFloat(each.getAttribute("x")) + parseFloat(each.getAttribute("width")) >= 100 * place);
  return part?.querySelector("title")?.textContent ?? "";
}

function readAll(group, place) {
  const plots = plotsOf(group);
  const at = plots.map((plot) => pointAt(plot, place)).find(Boolean)?.[1];
  const rows = plots.map((plot) => [plot.dataset.title, read(plot, place)]).filter(([, text]) => text);
  const bands = [...(plots[0]?.querySelectorAll(".chart-band") ?? [])].filter((band) => covers(band.querySelector("rect"), place));
  return [...(at ? [["At", at]] : []), ...rows, ...bands.map((band) => ["During", band.querySelector("title").textContent])];
}

function covers(rect, place) {
  const [left, width] = ["x", "width"].map((name) => parseFloat(rect.getAttribute(name)));
  return left <= 100 * place && 100 * place <= left + width;
}

function draw() {
  for (const old of document.querySelectorAll(".cross-hair, .cross-hair-dot, .chart-selection")) old.remove();
  const group = selection?.group ?? selection?.plot?.closest(".charts") ?? shown?.group;
  if (!group?.isConnected) return remove("chart-numbers");
  const snapped = shown && plotsOf(group).map((plot) => pointAt(plot, shown.place)).find(Boolean)?.[0];
  for (const plot of plotsOf(group)) {
    const area = plot.querySelector("svg");
    if (selection?.to !== undefined) {
      const [left, right] = ends().map((share) => 100 * share);
      area.append(shape("rect", { class: "chart-selection", x: `${left}%`, width: `${right - left}%`, height: "100%" }));
    }
    if (!shown) continue;
    const x = `${pointAt(plot, shown.place)?.[0] ?? snapped ?? 100 * shown.place}%`;
    area.append(shape("line", { class: "cross-hair", x1: x, x2: x, y1: 0, y2: "100%" }));
    for (const y of pointAt(plot, shown.place)?.[3] ?? []) if (y !== null) area.append(shape("circle", { class: "cross-hair-dot", cx: x, cy: `${y}%`, r: 3 }));
  }
  if (shown) showNumbers();
}

function ends() {
  const { plot, from, to, byKeys } = selection;
  return (byKeys ? [from, to] : [from, to].map((x) => shareOf(plot, x))).sort((a, b) => a - b);
}

function shape(name, attributes) {
  const created = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) created.setAttribute(key, value);
  return created;
}

function showNumbers() {
  const box = document.getElementById("chart-numbers") ?? document.body.appendChild(element("div", { id: "chart-numbers", "aria-hidden": "true" }));
  const [[, at], ...rows] = readAll(shown.group, shown.place);
  const list = rows.flatMap(([title, text]) => [element("dt", {}, title), element("dd", {}, text)]);
  box.className = `chart-numbers${shown.isDocked ? " docked" : ""}`;
  box.replaceChildren(element("strong", {}, at), element("dl", {}, ...list));
  const { width, height } = box.getBoundingClientRect();
  const area = shown.plot.getBoundingClientRect();
  const x = shown.isDocked ? area.left + area.width * shown.place : shown.x;
  // Next to the cross-hair, so that it does not cover what it is about; with a finger there, at the lower edge.
  const left = x + 2 * EDGE_PX + width < innerWidth ? x + 2 * EDGE_PX : x - width - 2 * EDGE_PX;
  const top = shown.isDocked ? innerHeight - height - EDGE_PX : shown.y - height / 2;
  box.style.left = `${Math.min(Math.max(left, EDGE_PX), Math.max(innerWidth - width - EDGE_PX, EDGE_PX))}px`;
  box.style.top = `${Math.min(Math.max(top, EDGE_PX), innerHeight - height - EDGE_PX)}px`;
}

function clear() {
  shown = selection = null;
  draw();
}

function remove(id) {
  document.getElementById(id)?.remove();
}

// --- The period -------------------------------------------------------------------------------------------------------

function zoom(group, left, right) {
  const [since, until] = [Date.parse(group.dataset.since), Date.parse(group.dataset.until)];
  const at = (share) => since + (until - since) * share;
  const begin = Math.min(at(left), until - SHORTEST_PERIOD_MS);
  const format = (instant) => `${new Date(instant).toISOString().slice(0, 16)}Z`;
  const query = new URLSearchParams({ from: format(begin), to: format(Math.max(at(right), begin + SHORTEST_PERIOD_MS)) });
  open(link(`${location.pathname}?${query}`), true);
}

/** Show another period at the same place of the page; the browser's Back shows the one before. */
async function open(path, isNew) {
  if (isNew) history.pushState(null, "", path);
  search = location.search;
  clear();
  await refreshNow();
}

/** Links to other periods leave the page where it is; `+` keeps what is under the cross-hair. */
function onClick(event) {
  const target = event.target.closest?.("main .period a");
  if (!target || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey || !document.querySelector(".charts[data-since]")) return;
  event.preventDefault();
  if (target.dataset.key === "+" && shown) return zoom(shown.group, ...around(shown.place));
  open(target.getAttribute("href"), true);
}

function around(place) {
  const left = Math.min(Math.max(place - 0.25, 0), 0.5);
  return [left, left + 0.5];
}
