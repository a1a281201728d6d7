// Updates the texts of times that are relative to now: <time datetime="..." data-relative>in 12 s</time>.
// <time datetime="..." data-elapsed>3 min 20 s</time> is the time since. The clock of the server counts: that of the page.
import { link } from "./dom.js";
import { showToast } from "./toasts.js";

const UNITS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
const INTERVAL_MS = 1000;

const ZONE_KEY = "scheduler-zone-offered";
// Names that browsers still use, by those of today.
const RENAMED_ZONES = { "Asia/Calcutta": "Asia/Kolkata", "Asia/Katmandu": "Asia/Kathmandu", "Asia/Rangoon": "Asia/Yangon", "Asia/Saigon": "Asia/Ho_Chi_Minh", "Europe/Kiev": "Europe/Kyiv", "Etc/UTC": "UTC" };

let offset = 0;

export function startTimes() {
  synchronize();
  setInterval(updateTimes, INTERVAL_MS);
  offerZone();
  const stamp = document.getElementById("refreshed");
  const icon = document.querySelector("link[rel=icon]");
  if (icon) new Image().src = icon.dataset.stale; // for the time without a network
  if (stamp) new MutationObserver(() => markTab(stamp.classList.contains("stale"))).observe(stamp, { attributeFilter: ["class"] });
}

/** The browser's time zone is the first of the list; once, the page offers to use it. */
function offerZone() {
  const named = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const zone = RENAMED_ZONES[named] ?? named;
  const field = document.getElementById("zone");
  if (!zone || !field || field.value === zone) return;
  const zones = document.getElementById("zones");
  [...zones.options].find((option) => option.value === zone)?.remove();
  zones.prepend(new Option("", zone));
  try {
    if (localStorage.getItem(ZONE_KEY)) return;
    localStorage.setItem(ZONE_KEY, zone);
  } catch {
    return; // the browser allows no storage: it would be offered on each page
  }
  const path = `${field.form.getAttribute("action")}?${new URLSearchParams({ zone, next: location.pathname + location.search })}`;
  showToast(`Times are in ${field.value}.`, { open: { path, text: `Use ${zone}` }, stays: true });
}

/** A tab whose page is not refreshed is marked in its title and by its icon, until it is. */
function markTab(isStale) {
  const title = document.title.replace(/^stale · /, "");
  document.title = isStale ? `stale · ${title}` : title;
  const icon = document.querySelector("link[rel=icon]");
  icon.dataset.href ??= icon.getAttribute("href");
  icon.href = isStale ? icon.dataset.stale : icon.dataset.href;
  if (!isStale) delete icon.dataset.href;
}

/** Take the time of the server from the page, after each refresh. */
export function synchronize() {
  const now = Date.parse(document.getElementById("page-time")?.dateTime ?? "");
  if (!Number.isNaN(now)) offset = now - Date.now();
}

/** Milliseconds since 1970 by the clock of the server. */
export function serverNow() {
  return Date.now() + offset;
}

/** The page was found unchanged: it is as of now. */
export function showServerTime() {
  const time = document.getElementById("page-time");
  const [, clock, zone] = /^(\S+) (.*)$/.exec(time.textContent) ?? [];
  if (!clock) return;
  const now = new Date(Date.now() + offset);
  time.dateTime = now.toISOString();
  time.textContent = `${now.toLocaleTimeString("en-GB", { timeZone: zone })} ${zone}`;
}

export function updateTimes() {
  if (document.hidden) return;
  const now = Date.now() + offset;
  for (const time of document.querySelectorAll("time[data-relative], time[data-elapsed]")) {
    const seconds = (Date.parse(time.dateTime) - now) / 1000;
    if (time.dataset.relative === "due" && seconds < 0) {
      time.textContent = "now"; // it starts: the next refresh shows the run after it
      continue;
    }
    const text = "relative" in time.dataset ? describeDistance(seconds) : describeSpan(Math.max(0, Math.round(-seconds)));
    if (time.textContent !== text) time.textContent = text;
  }
}

/** `in 12 s`, `now`, `3 min 20 s ago`: as jobs.formats.describe_distance. */
export function describeDistance(seconds) {
  if (Math.abs(seconds) < 0.5) return "now";
  const span = describeSpan(Math.round(Math.abs(seconds)));
  return seconds > 0 ? `in ${span}` : `${span} ago`;
}

export function describeSpan(seconds) {
  if (seconds < 1) return "0 s";
  const parts = [];
  let rest = seconds;
  for (const [unit, size] of UNITS) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count) parts.push(`${count} ${unit}`);
    else if (parts.length) break;
  }
  return parts.slice(0, 2).join(" ");
}
