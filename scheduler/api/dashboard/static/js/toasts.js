// Short messages at the edge of the page. A failure stays until it is closed.
import { element, link } from "./dom.js";

const SHOWN_MS = 8000;

const MESSAGE_KEY = "scheduler-message";
const SIGN_IN_PATH = "/api/dashboard/sign-in";

/** Show why a request failed. After the end of a session it leads to the sign-in page in another tab, so that what was
    typed here stays; `retry`: of what no answer was received. */
export function showFailure(error, retry = null) {
  const isSignedOut = error.status === 401;
  const path = isSignedOut ? `${SIGN_IN_PATH}?next=${encodeURIComponent(location.pathname)}` : "";
  showToast(error.message, { failed: true, retry: retry && (isSignedOut || error.status === 0) ? retry : null, open: path ? { path, text: "Sign in", target: "_blank" } : null });
}

/** Let the page that is loaded next show a message: `{ text, undo: [action, body, headers, path], open }`. */
export function leaveMessage(message) {
  try {
    sessionStorage.setItem(MESSAGE_KEY, JSON.stringify(message));
  } catch {
    // The browser allows no storage: the page is shown without the message.
  }
}

/** The message that the page before has left; null without one. */
export function takeMessage() {
  try {
    const left = JSON.parse(sessionStorage.getItem(MESSAGE_KEY) ?? "null");
    sessionStorage.removeItem(MESSAGE_KEY);
    return left;
  } catch {
    return null;
  }
}

/** `undo`, `retry`: called by a button of the message. `open`: its link, `{ path, text, target }`. `follow`: yields further states of what it is about, each `{ text, failed,
    path }`; the message shows them, with a link to `path`, and stays until the last one. */
export function showToast(text, { failed = false, undo = null, retry = null, open = null, follow = null, stays = failed } = {}) {
  const content = element("span", {}, text);
  const toast = element("div", { class: failed ? "toast failed" : "toast" }, content);
  const controls = element("span", { class: "controls" });
  if (open) content.append(" ", element("a", { href: link(open.path), target: open.target }, open.text));
  for (const [name, call] of [["Undo", undo], ["Try again", retry]]) {
    if (!call) continue;
    const button = element("button", { type: "button" }, name);
    button.addEventListener("click", () => {
      toast.remove();
      call();
    });
    controls.append(button);
  }
  const close = element("button", { type: "button", "aria-label": "Close this message" }, "×");
  close.addEventListener("click", () => toast.remove());
  controls.append(close);
  toast.append(controls);
  findRegion().append(toast);
  if (follow) showStates(follow, toast, content);
  else if (!stays) setTimeout(() => toast.remove(), SHOWN_MS);
}

async function showStates(follow, toast, content) {
  try {
    for await (const { text, failed, path } of follow) {
      if (!toast.isConnected) return;
      content.replaceChildren(text, " ", element("a", { href: link(path) }, "Open"));
      toast.classList.toggle("failed", Boolean(failed));
    }
  } catch (error) {
    content.replaceChildren(error.message);
    toast.classList.add("failed");
  }
  if (!toast.classList.contains("failed")) setTimeout(() => toast.remove(), SHOWN_MS);
}

function findRegion() {
  return document.getElementById("toasts");
}
