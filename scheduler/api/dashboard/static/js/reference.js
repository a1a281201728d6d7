// The API reference: the URL of this scheduler in each command, a button that copies it, a filter, the operation of a link.
import { element } from "./dom.js";

const operations = [...document.querySelectorAll(".operation")];

for (const command of document.querySelectorAll(".reference .curl")) {
  command.textContent = command.textContent.replace("$SCHEDULER", location.origin);
  command.after(element("button", { type: "button", class: "copy", "data-copy-text": command.textContent, "aria-label": "Copy the command" }, "Copy"));
}

const filter = document.getElementById("reference-filter");
filter.addEventListener("input", () => {
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const each of operations) {
    const text = each.querySelector("summary").textContent + each.querySelector(".quiet").textContent;
    each.hidden = !words.every((word) => text.toLowerCase().includes(word));
  }
  for (const section of document.querySelectorAll(".operations")) section.hidden = !section.querySelector(".operation:not([hidden])");
  document.getElementById("no-operation").hidden = operations.some((each) => !each.hidden);
});

function openLinked() {
  const linked = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (linked?.matches(".operation")) linked.open = true;
}

addEventListener("hashchange", openLinked);
openLinked();
