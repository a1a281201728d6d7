// The keyboard: one letter a command, listed by `?`. Elements declare theirs with data-key="r"; lists mark their rows with
// data-row, through which j and k move.
import { element, isTyping, link } from "./dom.js";
import { focusFirst } from "./menus.js";
import { openPalette } from "./palette.js";

const PAGE_KEY_TIMEOUT_MS = 1500;

let pending = 0;

export function startKeys() {
  document.addEventListener("keydown", onKey);
  document.getElementById("help-button")?.addEventListener("click", openHelp);
  document.getElementById("palette-button")?.addEventListener("click", openPalette);
}

function onKey(event) {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
    event.preventDefault();
    openPalette();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target) || document.querySelector("dialog[open]")) return;
  if (press(event.key)) event.preventDefault();
}

function press(key) {
  if (chooseInMenu(key)) return true;
  if (Date.now() < pending) {
    pending = 0;
    const page = document.querySelector(`[data-page-key="${CSS.escape(key)}"]`);
    if (page) page.click();
    return Boolean(page);
  }
  if (key === "?") return openHelp();
  if (key === "g") return Boolean((pending = Date.now() + PAGE_KEY_TIMEOUT_MS));
  if (key === "/") return focusSearch();
  if (key === "j") return moveRow(1);
  if (key === "k") return moveRow(-1);
  return clickShortcut(key);
}

/** In an open menu with choices, check the one that begins with the key: `2` for 2 h. */
function chooseInMenu(key) {
  const choices = document.activeElement?.closest("details[open] > .choices-menu")?.querySelectorAll("label:has([type=radio])") ?? [];
  const found = [...choices].find(({ textContent }) => textContent.trim().startsWith(key));
  if (found) found.control.checked = true;
  return Boolean(found);
}

/** The element within the current row has priority over those of the page. */
function clickShortcut(key) {
  const selector = `[data-key="${CSS.escape(key)}"]`;
  const found = document.activeElement?.closest("[data-row]")?.querySelector(selector) ?? document.querySelector(`main ${selector}`);
  if (!found) return false;
  if (/^(INPUT|SELECT|TEXTAREA)$/.test(found.nodeName)) found.focus();
  else found.click();
  if (found.control?.type === "radio") found.control.focus();
  if (found.nodeName === "SUMMARY") focusFirst(found.parentElement); // before the next key is typed; its event comes later
  return true;
}

function focusSearch() {
  const search = document.querySelector("main input[type=search]");
  if (!search) openPalette();
  else search.focus();
  return true;
}

function moveRow(step) {
  const rows = [...document.querySelectorAll("[data-row]")];
  if (!rows.length) return false;
  const at = rows.indexOf(document.activeElement?.closest("[data-row]"));
  const row = rows[Math.min(rows.length - 1, Math.max(0, at < 0 ? 0 : at + step))];
  const target = row.querySelector("a") ?? row;
  target.focus();
  row.scrollIntoView({ block: "nearest" });
  return true;
}

function openHelp() {
  document.getElementById("help")?.remove();
  const rows = [
    ["?", "This list"],
    ["Ctrl K", "Go to a page or a job"],
    ["/", "Search"],
    ["j k", "Next and previous row"],
    ["Enter", "Open the row"],
    ...[...document.querySelectorAll("[data-page-key]")].map((each) => [`g ${each.dataset.pageKey}`, each.textContent.trim()]),
    ...listShortcuts(),
  ];
  const list = element("dl", { class: "facts" });
  for (const [keys, text] of rows) list.append(element("dt", {}, ...keys.split(" ").flatMap((key) => [element("kbd", {}, key), " "])), element("dd", {}, text));
  const close = element("button", { type: "button" }, "Close");
  const dialog = element("dialog", { id: "help", "aria-labelledby": "help-title" }, element("div", { class: "title" }, element("h2", { id: "help-title" }, "Keyboard"), close), list);
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return true;
}

function listShortcuts() {
  const found = new Map();
  for (const each of document.querySelectorAll("main [data-key]")) {
    if (!found.has(each.dataset.key)) found.set(each.dataset.key, each.dataset.keyText ?? each.getAttribute("aria-label") ?? each.textContent.trim());
  }
  return [...found];
}

export function go(path) {
  location.assign(link(path));
}
