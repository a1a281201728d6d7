// Fetches the page again and puts the new content in place, so that scroll position and focus stay.
const EVERY = 5000;

async function refresh() {
  if (document.hidden) return;
  const stamp = document.getElementById("refreshed");
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (!document.activeElement || !document.querySelector("main").contains(document.activeElement)) {
      document.querySelector("main").replaceWith(page.querySelector("main"));
    }
    stamp.replaceWith(page.getElementById("refreshed"));
    document.title = page.title;
  } catch (error) {
    stamp.textContent = `not refreshed: ${error.message}`;
  }
}

setInterval(refresh, EVERY);
document.addEventListener("visibilitychange", refresh);
