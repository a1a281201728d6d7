// Fetches the page again every few seconds and puts in only what has changed: scroll position, focus and a selection
// stay, and a screen reader hears of the headline alone, when it changes.
const EVERY_MS = 5000;
const PATIENCE_MS = 10000;

let timer = 0;
let asking = false;

async function refresh() {
  clearTimeout(timer);
  if (document.hidden || asking) return;
  asking = true;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" }, signal: AbortSignal.timeout(PATIENCE_MS) });
    if (!(answer.headers.get("content-type") ?? "").startsWith("text/html")) throw new Error(`HTTP ${answer.status}`);
    show(new DOMParser().parseFromString(await answer.text(), "text/html"));
  } catch (error) {
    sayStale(error);
  } finally {
    asking = false;
    timer = setTimeout(refresh, EVERY_MS);
  }
}

function show(page) {
  for (const selector of ["main", "#refreshed", "link[rel=icon]"]) {
    update(document.querySelector(selector), page.querySelector(selector));
  }
  document.title = page.title;
}

function sayStale(error) {
  const stamp = document.getElementById("refreshed");
  if (stamp.classList.contains("stale")) return;
  stamp.classList.add("stale");
  stamp.setAttribute("role", "status");
  stamp.append(`: not refreshed since (${error.name === "TimeoutError" ? "no answer in time" : error.message})`);
}

// Makes `old` like `fresh`, touching nothing that is equal.
function update(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  if (old.nodeName !== fresh.nodeName || (old.id ?? "") !== (fresh.id ?? "")) {
    old.replaceWith(fresh);
  } else if (old.nodeType === Node.TEXT_NODE) {
    old.data = fresh.data;
  } else {
    updateAttributes(old, fresh);
    updateChildren(old, [...fresh.childNodes]);
  }
}

function updateAttributes(old, fresh) {
  // Whoever looks at the page opens and closes details; the server does not know.
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name) && !(name === "open" && old.nodeName === "DETAILS")) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
}

// What has an id stays the same element, and where it is, when others come before it or go.
function updateChildren(old, fresh) {
  const byId = new Map([...old.children].filter((child) => child.id).map((child) => [child.id, child]));
  const wanted = new Set(fresh.map((child) => child.id).filter(Boolean));
  let at = old.firstChild;
  for (const child of fresh) {
    const same = child.id ? byId.get(child.id) : undefined;
    while (at && at !== same && (at.id ? !wanted.has(at.id) : same)) at = remove(at);
    if (same) {
      if (same === at) at = at.nextSibling;
      else old.insertBefore(same, at);
      update(same, child);
    } else if (at && !at.id && !child.id) {
      const paired = at;
      at = at.nextSibling;
      update(paired, child);
    } else {
      old.insertBefore(child, at);
    }
  }
  while (at) at = remove(at);
}

function remove(node) {
  const next = node.nextSibling;
  node.remove();
  return next;
}

timer = setTimeout(refresh, EVERY_MS);
document.addEventListener("visibilitychange", refresh);
