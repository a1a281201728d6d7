// Closes the menus of the header and of pages, which open and close by a summary, also by Escape and by a click elsewhere.
// A menu with data-focus gives the focus to its first control when it opens.
export function startMenus() {
  document.addEventListener("click", (event) => closeMenus(event.target));
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    const open = document.activeElement?.closest("details.menu[open]");
    closeMenus(null);
    open?.querySelector("summary").focus();
  });
  document.addEventListener("toggle", (event) => focusFirst(event.target), true);
}

/** Close the open menus, except the one that contains this node. */
function closeMenus(except) {
  for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(except)) menu.removeAttribute("open");
}

/** Give the focus to the first control of an open menu that wants it. */
export function focusFirst(menu) {
  if (!menu.matches?.("details[data-focus][open]")) return;
  const content = menu.querySelector(".menu-content");
  if (content.contains(document.activeElement)) return; // the event of opening is late: the user has continued
  const first = content.querySelector("[data-first] button") ?? content.querySelector("button, input, select, textarea");
  first?.focus({ preventScroll: true });
  content.scrollIntoView({ block: "nearest" });
}
