// Fetches the page every few seconds and applies only the changes, so that scroll position, focus and selection stay and
// a screen reader announces only a changed headline.
const REFRESH_INTERVAL_MS = 5000;
const TIMEOUT_MS = 10000;

let timer = 0;
let isFetching = false;

async function refresh() {
  clearTimeout(timer);
  if (document.hidden || isFetching) return;
  isFetching = true;
  try {
    const response = await fetch(location.href, { headers: { accept: "text/html" }, signal: AbortSignal.timeout(TIMEOUT_MS) });
    if (!(response.headers.get("content-type") ?? "").startsWith("text/html")) throw new Error(`HTTP ${response.status}`);
    apply(new DOMParser().parseFromString(await response.text(), "text/html"));
  } catch (error) {
    markStale(error);
  } finally {
    isFetching = false;
    timer = setTimeout(refresh, REFRESH_INTERVAL_MS);
  }
}

function apply(page) {
  for (const selector of ["main", "#refreshed", "link[rel=icon]"]) {
    update(document.querySelector(selector), page.querySelector(selector));
  }
  document.title = page.title;
}

function markStale(error) {
  const stamp = document.getElementById("refreshed");
  if (stamp.classList.contains("stale")) return;
  stamp.classList.add("stale");
  stamp.setAttribute("role", "status");
  stamp.append(`: refresh failed (${error.name === "TimeoutError" ? "timeout" : error.message})`);
}

// Makes `old` equal to `fresh` and leaves equal nodes untouched.
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
  // The user opens and closes details; the server does not know.
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name) && !(name === "open" && old.nodeName === "DETAILS")) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
}

// An element with an id is preserved when others are inserted or removed before it.
function updateChildren(old, fresh) {
  const byId = new Map([...old.children].filter((child) => child.id).map((child) => [child.id, child]));
  const freshIds = new Set(fresh.map((child) => child.id).filter(Boolean));
  let at = old.firstChild;
  for (const child of fresh) {
    const same = child.id ? byId.get(child.id) : undefined;
    while (at && at !== same && (at.id ? !freshIds.has(at.id) : same)) at = remove(at);
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

timer = setTimeout(refresh, REFRESH_INTERVAL_MS);
document.addEventListener("visibilitychange", refresh);
