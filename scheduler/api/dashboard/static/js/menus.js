// Closes the menus of the header, which open and close by a summary, also by Escape and by a click elsewhere.
export function startMenus() {
  document.addEventListener("click", (event) => closeMenus(event.target));
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    const open = document.activeElement?.closest("details.menu[open]");
    closeMenus(null);
    open?.querySelector("summary").focus();
  });
}

/** Close the open menus, except the one that contains this node. */
function closeMenus(except) {
  for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(except)) menu.removeAttribute("open");
}
