// Buttons that copy a text: <button data-copy-text="...">; an empty one is the address of the page without its function key. <button data-copy-from="path"> copies what the
// API answers. Only pages of HTTPS and loopback have a clipboard.
import { element } from "./dom.js";
import { showToast } from "./toasts.js";

export function startCopying() {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest?.("button[data-copy-text], button[data-copy-from]");
    if (!button) return;
    if (button.dataset.copyFrom) return copyAnswer(button.dataset.copyFrom);
    try {
      await navigator.clipboard.writeText(button.dataset.copyText || pageAddress());
      showToast("Copied.");
    } catch {
      // Select the text before the button, so that the keyboard copies it.
      if (button.previousElementSibling) getSelection().selectAllChildren(button.previousElementSibling);
      showToast("The browser does not allow a copy: the text is selected.");
    }
  });
}

async function copyAnswer(path) {
  try {
    const answer = await fetch(path);
    if (!answer.ok) throw new Error(answer.status);
    await navigator.clipboard.writeText(await answer.text());
    showToast("Copied.");
  } catch {
    // The browser shows why the server refuses it, if that is the reason.
    element("a", { href: path, download: "" }).click();
    showToast("The browser does not allow a copy: the text is downloaded.");
  }
}

function pageAddress() {
  const address = new URL(location.href);
  address.searchParams.delete("code");
  return address.href;
}
