// Short messages at the edge of the page. A failure stays until it is closed.
import { element } from "./dom.js";

const SHOWN_MS = 8000;

/** `undo`: called by a button of the message. */
export function showToast(text, { failed = false, undo = null } = {}) {
  const toast = element("div", { class: failed ? "toast failed" : "toast" }, element("span", {}, text));
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
  if (!failed) setTimeout(() => toast.remove(), SHOWN_MS);
}

function findRegion() {
  return document.getElementById("toasts");
}
