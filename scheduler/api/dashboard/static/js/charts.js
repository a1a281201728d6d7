// Charts of the server: the numbers of the span under the pointer, also by touch; and a mouse selects a period in charts
// that have data-since and data-until. Without it, the titles of the spans and the table below have the same numbers.
import { element, link } from "./dom.js";

const SHORTEST_DRAG_PX = 12;
const EDGE_PX = 8;

let drag = null;

export function startCharts() {
  document.addEventListener("pointermove", (event) => (drag ? stretch(event) : showNumbers(event)));
  document.addEventListener("pointerdown", begin);
  document.addEventListener("pointerup", end);
  document.addEventListener("pointercancel", hide);
  document.addEventListener("scroll", hide, { passive: true });
  document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
}

function showNumbers(event) {
  const span = event.target.closest?.(".chart-span, .state-part");
  const text = span && readText(span);
  if (!text) return remove("chart-numbers");
  const box = document.getElementById("chart-numbers") ?? document.body.appendChild(element("div", { id: "chart-numbers", class: "chart-numbers", "aria-hidden": "true" }));
  box.textContent = text;
  const { width, height } = box.getBoundingClientRect();
  const top = event.clientY - height - 2 * EDGE_PX;
  box.style.left = `${Math.min(Math.max(event.clientX - width / 2, EDGE_PX), innerWidth - width - EDGE_PX)}px`;
  box.style.top = `${top < EDGE_PX ? event.clientY + 3 * EDGE_PX : top}px`;
}

/** The browser's own tooltip would show the same: its text moves to an attribute until the next refresh. */
function readText(span) {
  const title = span.querySelector("title");
  if (title) {
    span.dataset.text = title.textContent;
    title.remove();
  }
  return span.dataset.text;
}

function begin(event) {
  const plot = event.target.closest?.("[data-since] .chart-plot");
  if (!plot) return hide();
  showNumbers(event);
  if (event.pointerType === "touch" || event.button !== 0) return;
  event.preventDefault();
  drag = { from: event.clientX, area: plot.getBoundingClientRect(), period: plot.closest("[data-since]").dataset };
}

function stretch(event) {
  if (Math.abs(event.clientX - drag.from) < SHORTEST_DRAG_PX) return;
  const { area } = drag;
  const mark = document.getElementById("chart-selection") ?? document.body.appendChild(element("div", { id: "chart-selection", class: "chart-selection" }));
  const [left, right] = ends(event);
  Object.assign(mark.style, { left: `${left}px`, width: `${right - left}px`, top: `${area.top}px`, height: `${area.height}px` });
  remove("chart-numbers");
}

function end(event) {
  if (!drag) return;
  const { from, area, period } = drag;
  const [left, right] = ends(event);
  const isSelection = Math.abs(event.clientX - from) >= SHORTEST_DRAG_PX;
  hide();
  if (!isSelection) return;
  const [since, until] = [Date.parse(period.since), Date.parse(period.until)];
  const at = (place) => `${new Date(since + ((until - since) * (place - area.left)) / area.width).toISOString().slice(0, 16)}Z`;
  const query = new URLSearchParams({ from: at(left), to: at(right) });
  location.assign(link(`${location.pathname}?${query}`));
}

function ends(event) {
  const { from, area } = drag;
  const to = Math.min(Math.max(event.clientX, area.left), area.right);
  return [Math.min(from, to), Math.max(from, to)];
}

function hide() {
  drag = null;
  remove("chart-numbers");
  remove("chart-selection");
}

function remove(id) {
  document.getElementById(id)?.remove();
}
