// Small helpers. Texts are set as text, never as HTML.

/** Create an element: element("button", { class: "primary", type: "button" }, "Run now"). */
export function element(name, attributes = {}, ...children) {
  const created = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    created.setAttribute(key, value === true ? "" : value);
  }
  created.append(...children.filter((child) => child !== null && child !== undefined));
  return created;
}

/** The function key of the page, which each request to the API repeats; a session needs none. */
export function functionKey() {
  return new URLSearchParams(location.search).get("code");
}

/** A path of this site with the function key, if the page has one. */
export function link(path) {
  const key = functionKey();
  return key ? `${path}${path.includes("?") ? "&" : "?"}code=${encodeURIComponent(key)}` : path;
}

/** Whether the user is typing. */
export function isTyping(target) {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|SELECT|TEXTAREA)$/.test(target.nodeName));
}
