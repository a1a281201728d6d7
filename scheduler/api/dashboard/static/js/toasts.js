// Short messages at the edge of the page. A failure stays until it is closed.
import { element, link } from "./dom.js";

const SHOWN_MS = 8000;

/** `undo`: called by a button of the message. `follow`: yields further states of what it is about, each `{ text, failed,
    path }`; the message shows them, with a link to `path`, and stays until the last one. */
export function showToast(text, { failed = false, undo = null, follow = null } = {}) {
  const content = element("span", {}, text);
  const toast = element("div", { class: failed ? "toast failed" : "toast" }, content);
  const controls = element("span", { class: "controls" });
  if (undo) {
    const button = element("button", { type: "button" }, "Undo");
    button.addEventListener("click", () => {
      toast.remove();
      undo();
    });
    controls.append(button);
  }
  const close = element("button", { type: "button", "aria-label": "Close this message" }, "×");
  close.addEventListener("click", () => toast.remove());
  controls.append(close);
  toast.append(controls);
  findRegion().append(toast);
  if (follow) showStates(follow, toast, content);
  else if (!failed) setTimeout(() => toast.remove(), SHOWN_MS);
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
