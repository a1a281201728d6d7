// Buttons that copy a text: <button data-copy-text="...">; an empty one is the address of the page without its function key. Only pages of HTTPS and loopback have a clipboard.
import { showToast } from "./toasts.js";

export function startCopying() {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest?.("button[data-copy-text]");
    if (!button) return;
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

function pageAddress() {
  const address = new URL(location.href);
  address.searchParams.delete("code");
  return address.href;
}
