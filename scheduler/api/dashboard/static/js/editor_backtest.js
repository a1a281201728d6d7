// The backtest of a draft: what its alert rules would have notified, against what was notified.
import { callApi } from "./api.js";
import { element } from "./dom.js";
import { describeSpan } from "./times.js";

const TIMEOUT_MS = 120000;
const SIGNS = { same: "=", new: "+", gone: "−", later: "→", earlier: "←" };

/** Replay the draft, and show the result in `target`. */
export async function showBacktest(target, definition, days) {
  target.replaceChildren(element("p", { class: "quiet", role: "status" }, "Replaying the runs…"));
  try {
    const { body } = await callApi("POST", `/api/dashboard/drafts/backtest?days=${days}`, definition, {}, TIMEOUT_MS);
    target.replaceChildren(...describeReport(body, days));
  } catch (error) {
    target.replaceChildren(element("p", { class: "error", role: "alert" }, error.message));
  }
}

function describeReport(report, days) {
  const differences = Object.entries(report.differences).filter(([name]) => name !== "same").map(([name, count]) => `${count} ${name}`).join(", ");
  const parts = [
    element("p", { role: "status" }, element("strong", {}, `${count(report.sent)} sent in ${days} days; with this definition ${count(report.would_be_sent)}.`), ` ${differences || "No difference."}`),
    ...Object.entries(report.by_channel).map(([channel, [was, wouldBe]]) => element("p", { class: "quiet" }, element("bdi", {}, channel), `: ${was}, with this definition ${wouldBe}`)),
  ];
  if (report.messages.length) parts.push(describeMessages(report.messages));
  parts.push(...report.notes.map((note) => element("p", { class: "quiet" }, "Note: ", element("bdi", {}, note))));
  if (!report.runs) parts.push(element("p", { class: "quiet" }, "There are no runs in this time that matter for its rules."));
  return parts;
}

function describeMessages(messages) {
  const head = ["Time (UTC)", "Difference", "Channel", "Message"].map((text) => element("th", { scope: "col" }, text));
  const rows = messages.map((each) =>
    element("tr", { class: each.difference },
      element("td", {}, element("time", { datetime: each.at }, each.at.slice(0, 19).replace("T", " "))),
      element("td", {}, `${SIGNS[each.difference]} ${each.difference}${each.shift_seconds ? ` by ${describeSpan(Math.abs(each.shift_seconds))}` : ""}`),
      element("td", {}, element("bdi", {}, each.channel)),
      element("td", {}, `${each.kind}: `, element("bdi", {}, each.text)),
    ),
  );
  return element("div", { class: "scrolled" }, element("table", { class: "small backtest" }, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows)));
}

function count(messages) {
  return `${messages} ${messages === 1 ? "message" : "messages"}`;
}
