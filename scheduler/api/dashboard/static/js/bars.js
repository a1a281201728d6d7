// Strips of bars: the histogram of runs, whose bars are links, and the bars of a job on the overview, which have data-bars.
// The value of a bar is shown under the mouse, under a finger, and while the arrow keys move through the strip. A click,
// the second touch and Enter open what the bar has. A drag, or Shift with the arrow keys, selects several bars; a finger
// selects only in a strip with data-brush, and reads the values of any other.
import { element } from "./dom.js";

const EDGE_PX = 8;
const SHORTEST_DRAG_PX = 6;

/** `strip`: the element; `anchor` and `at`: the numbers of the selected bars; `isDown`: the pointer is pressed. */
let current = null;
let ignoresClick = false;

export function startBars() {
  document.addEventListener("pointermove", move);
  document.addEventListener("pointerdown", press);
  document.addEventListener("pointerup", release);
  document.addEventListener("pointercancel", hide);
  document.addEventListener("click", click, true);
  document.addEventListener("keydown", key);
  document.addEventListener("focusin", (event) => focus(event.target));
  document.addEventListener("focusout", () => !current?.isDown && !current?.isTouch && hide());
  document.addEventListener("dragstart", (event) => stripOf(event.target) && event.preventDefault());
  document.addEventListener("scroll", () => current && !current.isDown && hide(), { passive: true });
  document.addEventListener("dashboard:refreshed", renew);
  limitStops();
}

function renew() {
  limitStops();
  if (current?.strip.isConnected) current.bars = read(current.strip);
  else hide();
}

/** Of the bars that are links, Tab reaches one; the arrow keys reach the others. */
function limitStops() {
  for (const strip of document.querySelectorAll(".bar-strip")) {
    const links = [...strip.querySelectorAll("a.bar")];
    const stop = links.find((each) => each === document.activeElement) ?? links.at(-1);
    for (const each of links) each.setAttribute("tabindex", each === stop ? "0" : "-1");
  }
  for (const title of document.querySelectorAll(".bars-link title")) title.remove(); // the browser's own tooltip would cover ours
}

function stripOf(node) {
  return node?.closest?.(".bar-strip, .bars-link") ?? null;
}

/** What a strip is made of: its bars' number, texts and addresses. */
function read(strip) {
  const links = [...strip.querySelectorAll("a.bar")];
  return links.length ? readLinks(links) : readData(strip);
}

function readLinks(links) {
  const end = (at, name) => new URL(links[at].href.baseVal, location).searchParams.get(name);
  return {
    count: links.length,
    text: (at) => links[at].getAttribute("aria-label"),
    href: (first, last) => withEnds(links[first].href.baseVal, end(first, "from"), end(last, "to")),
    focus: (at) => links[at].focus(),
  };
}

/** data-bars: parts of equal bars as [number, succeeded, degraded, down, other, unknown, number of the reason from 1 on]. */
function readData(strip) {
  const { bars, reasons, since, span } = strip.dataset;
  const values = JSON.parse(bars).flatMap(([number, ...counts]) => Array(number).fill(counts));
  const texts = reasons ? JSON.parse(reasons) : [];
  const instant = (at) => new Date(Number(since) * 1000 + at * Number(span) * 1000);
  return {
    count: values.length,
    text: (at) => `${describeTime(instant(at), instant(at + 1))}: ${describeCounts(values[at], texts)}`,
    href: (first, last) => withEnds(strip.getAttribute("href"), instant(first).toISOString(), new Date(instant(last + 1) - 1).toISOString()),
    focus: () => {},
  };
}

function withEnds(href, from, to) {
  const url = new URL(href, location);
  url.searchParams.set("from", from);
  url.searchParams.set("to", to);
  return url.href;
}

function describeTime(begin, end) {
  const timeZone = document.getElementById("page-time")?.textContent.split(" ")[1] ?? "UTC";
  const isDay = end - begin >= 86400000;
  const format = (instant, options) => instant.toLocaleString("en-GB", { timeZone, ...options });
  const day = { day: "numeric", month: "short" };
  const clock = { hour: "2-digit", minute: "2-digit", ...(end - begin < 120000 && { second: "2-digit" }) };
  return isDay ? format(begin, day) : `${format(begin, { ...day, ...clock })} to ${format(end, clock)}`;
}

function describeCounts([succeeded = 0, degraded = 0, down = 0, other = 0, unknown = 0, reason = 0], texts) {
  const runs = succeeded + degraded + down + other + unknown;
  if (!runs) return "no run";
  const parts = [[down, "failed"], [degraded, "degraded"], [unknown, "unknown"], [other, "skipped or cancelled"]].filter(([count]) => count).map(([count, word]) => `${count} ${word}`);
  return [`${runs} ${runs === 1 ? "run" : "runs"}`, ...parts].join(", ") + (reason ? `. ${texts[reason - 1]}` : "");
}

function numberAt(strip, count, x) {
  const area = areaOf(strip);
  return Math.min(Math.max(Math.floor(((x - area.left) * count) / area.width), 0), count - 1);
}

function areaOf(strip) {
  return (strip.querySelector("svg") ?? strip).getBoundingClientRect();
}

function move(event) {
  if (current?.isDown) {
    current.at = numberAt(current.strip, current.bars.count, event.clientX);
    if (!current.isBrush) current.anchor = current.at;
    return show(event.clientY);
  }
  const strip = stripOf(event.target);
  if (!strip) return stripOf(document.activeElement) ? undefined : hide();
  if (event.pointerType === "touch") return;
  select(strip, event.clientX);
  show(event.clientY);
}

function press(event) {
  const strip = stripOf(event.target);
  ignoresClick = false;
  if (!strip) return hide();
  if (event.button !== 0) return;
  const before = current?.strip === strip && current.isTouch ? current.at : -1;
  select(strip, event.clientX);
  Object.assign(current, { isDown: true, x: event.clientX, isTouch: event.pointerType === "touch", before });
  current.isBrush = !current.isTouch || strip.hasAttribute("data-brush");
  if (!current.isTouch) event.preventDefault(); // no drag of the link
  show(event.clientY);
}

function release(event) {
  if (!current?.isDown) return;
  const { strip, isTouch, isBrush, before, at, x } = current;
  current.isDown = false;
  const isDragged = Math.abs(event.clientX - x) >= SHORTEST_DRAG_PX;
  ignoresClick = true; // the click that follows, if any
  if (isDragged && !isBrush) return;
  if (isTouch && !isDragged && before !== at) return; // the first touch shows the value
  if (isDragged || stripOf(event.target) === strip) open(event);
}

function click(event) {
  const strip = stripOf(event.target);
  if (!strip || !ignoresClick) return; // by the keyboard: the link itself
  ignoresClick = false;
  event.preventDefault();
  event.stopPropagation();
}

function key(event) {
  const strip = stripOf(event.target);
  if (!strip || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape") return hide();
  if (current?.strip !== strip) focus(event.target);
  const last = current.bars.count - 1;
  const at = { ArrowLeft: current.at - 1, ArrowRight: current.at + 1, Home: 0, End: last }[event.key];
  if (event.key === "Enter") open(event);
  else if (at === undefined) return;
  else step(strip, Math.min(Math.max(at, 0), last), event.shiftKey);
  event.preventDefault();
}

function step(strip, at, isExtended) {
  const { anchor } = current;
  current.bars.focus(at);
  current.at = at;
  current.anchor = isExtended ? anchor : at;
  limitStops();
  show();
}

function focus(target) {
  const strip = stripOf(target);
  if (!strip || current?.isDown || (current?.strip === strip && current.isTouch)) return;
  const bars = read(strip);
  const links = [...strip.querySelectorAll("a.bar")];
  const at = links.length ? links.indexOf(target) : bars.count - 1;
  if (at < 0) return;
  current = { strip, bars, anchor: at, at };
  if (target.matches(":focus-visible")) show();
}

function select(strip, x) {
  const bars = current?.strip === strip ? current.bars : read(strip);
  const at = numberAt(strip, bars.count, x);
  current = { strip, bars, anchor: at, at };
}

function open(event) {
  const [first, last] = [Math.min(current.anchor, current.at), Math.max(current.anchor, current.at)];
  const href = current.bars.href(first, last);
  hide();
  if (event.ctrlKey || event.metaKey) window.open(href, "_blank", "noopener");
  else location.assign(href);
}

/** Show the text of the bar, or of the first and the last one that are selected, and mark them. */
function show(y) {
  const { strip, bars, anchor, at } = current;
  const [first, last] = [Math.min(anchor, at), Math.max(anchor, at)];
  const area = areaOf(strip);
  const [left, width] = [area.left + (first * area.width) / bars.count, ((last - first + 1) * area.width) / bars.count];
  const mark = document.getElementById("bar-mark") ?? document.body.appendChild(element("div", { id: "bar-mark", class: "bar-mark", "aria-hidden": "true" }));
  Object.assign(mark.style, { left: `${left}px`, width: `${width}px`, top: `${area.top}px`, height: `${area.height}px` });
  const box = document.getElementById("bar-value") ?? document.body.appendChild(element("div", { id: "bar-value", class: "bar-value", role: "status" }));
  const text = first === last ? bars.text(at) : `${last - first + 1} bars, from ${bars.text(first)}, to ${bars.text(last)}`;
  if (box.textContent !== text) box.textContent = text;
  box.style.left = "0"; // its width would otherwise depend on where it was
  const size = box.getBoundingClientRect();
  const top = Math.min(area.top, y ?? area.top) - size.height - EDGE_PX;
  box.style.left = `${Math.min(Math.max(left + width / 2 - size.width / 2, EDGE_PX), innerWidth - size.width - EDGE_PX)}px`;
  box.style.top = `${top < EDGE_PX ? area.bottom + EDGE_PX : top}px`;
}

function hide() {
  current = null;
  document.getElementById("bar-value")?.remove();
  document.getElementById("bar-mark")?.remove();
}
