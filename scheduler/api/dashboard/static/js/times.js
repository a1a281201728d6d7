// Updates the texts of times that are relative to now: <time datetime="..." data-relative>in 12 s</time>.
// <time datetime="..." data-elapsed>3 min 20 s</time> is the time since. The clock of the server counts: that of the page.
const UNITS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
const INTERVAL_MS = 1000;

let offset = 0;

export function startTimes() {
  synchronize();
  setInterval(updateTimes, INTERVAL_MS);
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
