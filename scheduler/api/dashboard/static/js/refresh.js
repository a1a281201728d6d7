// Fetches the page every few seconds and applies only the changes, so that scroll position, focus and selection stay and
// a screen reader announces only a changed headline. An unchanged page costs a 304. A page that tabs share costs the server
// so little that it is fetched more often, as long as half of the caller's limit of requests remains for other things.
import { showServerTime, synchronize, updateTimes } from "./times.js";

const REFRESH_INTERVAL_MS = 5000;
const SHARED_INTERVAL_MS = 1500;
const TIMEOUT_MS = 10000;
// The only HTML that is parsed is that of this site's own pages.
const policy = globalThis.trustedTypes?.createPolicy("dashboard", { createHTML: (html) => html }) ?? { createHTML: (html) => html };

let timer = 0;
let isScarce = false;
let etag = "";
let fetched = null;
let isStarted = false;

export function startRefresh() {
  isStarted = true;
  schedule();
  document.addEventListener("visibilitychange", refresh);
}

/** Fetch the page now, also while another fetch is under way: it is older than what the user has just changed. */
export async function refreshNow() {
  fetched?.abort();
  fetched = null;
  await refresh(true);
}

/** Show another address of this page, and from now on its changes. */
export async function showSamePage(path) {
  history.replaceState(null, "", path);
  await refreshNow();
  if (!isStarted) startRefresh();
}

/** `isForced`: do not accept a page that was made for another tab shortly before. */
async function refresh(isForced = false) {
  clearTimeout(timer);
  if (document.hidden || fetched) return;
  const mine = (fetched = new AbortController());
  try {
    const headers = { accept: "text/html", ...(isForced === true && { "cache-control": "no-cache" }), ...(etag && { "if-none-match": etag }) };
    const response = await fetch(location.href, { headers, signal: AbortSignal.any([mine.signal, AbortSignal.timeout(TIMEOUT_MS)]) });
    isScarce = isHalfUsed(response.headers);
    if (response.status === 304) {
      markFresh();
    } else {
      if (!(response.headers.get("content-type") ?? "").startsWith("text/html")) throw new Error(`HTTP ${response.status}`);
      // The page of an outage has no scripts of the page that follows it.
      if (response.ok && document.documentElement.dataset.refresh === "reload") return location.reload();
      const html = await response.text();
      if (fetched !== mine) return;
      etag = response.ok ? (response.headers.get("etag") ?? "") : "";
      apply(new DOMParser().parseFromString(policy.createHTML(html), "text/html"));
    }
  } catch (error) {
    if (fetched === mine) markStale(error);
  } finally {
    if (fetched === mine) {
      fetched = null;
      schedule();
    }
  }
}

function schedule() {
  clearTimeout(timer);
  const isShared = document.documentElement.dataset.refresh === "shared" && !isScarce;
  timer = setTimeout(refresh, isShared ? SHARED_INTERVAL_MS : REFRESH_INTERVAL_MS);
}

/** Whether half of the limit is used up: `RateLimit-Policy: "read";q=600;w=60` and `RateLimit: "read";r=598;t=41`. */
function isHalfUsed(headers) {
  const read = (name, key) => Number(headers.get(name)?.match(`;${key}=(\\d+)`)?.[1] ?? Infinity);
  return 2 * read("ratelimit", "r") < read("ratelimit-policy", "q");
}

function apply(page) {
  for (const selector of ["main", "#refreshed", "#site-footer", "link[rel=icon]"]) {
    const [old, fresh] = [document.querySelector(selector), page.querySelector(selector)];
    if (old && fresh) update(old, fresh);
  }
  document.title = page.title;
  synchronize();
  updateTimes();
  document.dispatchEvent(new CustomEvent("dashboard:refreshed"));
}

/** Nothing has changed: the page is as of now. */
function markFresh() {
  const stamp = document.getElementById("refreshed");
  stamp.classList.remove("stale");
  stamp.removeAttribute("role");
  stamp.querySelector(".failure")?.remove();
  showServerTime();
}

function markStale(error) {
  const stamp = document.getElementById("refreshed");
  if (stamp.classList.contains("stale")) return;
  stamp.classList.add("stale");
  stamp.setAttribute("role", "status");
  const failure = document.createElement("span");
  failure.className = "failure";
  failure.textContent = `: refresh failed (${error.name === "TimeoutError" ? "timeout" : error instanceof TypeError ? "the scheduler cannot be reached" : error.message})`;
  stamp.append(failure);
}

// Makes `old` equal to `fresh` and leaves equal nodes untouched.
// What a person has opened or typed into (`data-keep`) is the browser's.
function update(old, fresh) {
  if (old.isEqualNode(fresh) || (old.nodeType === Node.ELEMENT_NODE && old.hasAttribute("data-keep"))) return;
  if (old.nodeName !== fresh.nodeName || keyOf(old) !== keyOf(fresh)) {
    old.replaceWith(fresh);
  } else if (old.nodeType === Node.TEXT_NODE) {
    old.data = fresh.data;
  } else {
    updateAttributes(old, fresh);
    updateChildren(old, [...fresh.childNodes]);
  }
}

function updateAttributes(old, fresh) {
  // The user opens and closes details; the server does not know.
  const isOwn = (name) => name === "open" && old.nodeName === "DETAILS";
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name) && !isOwn(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value && !isOwn(name)) old.setAttribute(name, value);
}

// An element with an id is preserved when others are inserted or removed before it; one without, if its name and its class
// tell which one it is.
function updateChildren(old, fresh) {
  const byKey = new Map([...old.children].filter(keyOf).map((child) => [keyOf(child), child]));
  const freshKeys = new Set(fresh.map(keyOf).filter(Boolean));
  let at = old.firstChild;
  for (const child of fresh) {
    const key = keyOf(child);
    const same = key ? byKey.get(key) : findUnnamed(at, child, freshKeys);
    if (!same) {
      old.insertBefore(child, at);
      continue;
    }
    while (at && at !== same && !(keyOf(at) && freshKeys.has(keyOf(at)))) at = remove(at);
    if (same === at) at = at.nextSibling;
    else old.insertBefore(same, at);
    update(same, child);
  }
  while (at) at = remove(at);
}

/** By what an element is recognized among its siblings: its id, that of its heading, which may be a sibling, or an empty text. */
function keyOf(node) {
  if (node.id) return `#${node.id}`;
  const heading = node.getAttribute?.("aria-labelledby");
  return heading ? `by #${heading}` : "";
}

/** The node without a key that becomes `fresh`: the next element if it has the same name, or a later one that has the same
    class too, before the next one that stays. A text becomes the text at this place alone. */
function findUnnamed(at, fresh, freshKeys) {
  if (fresh.nodeType !== Node.ELEMENT_NODE) return at?.nodeName === fresh.nodeName ? at : null;
  let isNext = true;
  for (let node = at; node && !(keyOf(node) && freshKeys.has(keyOf(node))); node = node.nextSibling) {
    if (node.nodeType !== Node.ELEMENT_NODE) continue;
    if (!keyOf(node) && node.nodeName === fresh.nodeName && (isNext || node.getAttribute("class") === fresh.getAttribute("class"))) return node;
    isNext = false;
  }
  return null;
}

function remove(node) {
  const next = node.nextSibling;
  node.remove();
  return next;
}
