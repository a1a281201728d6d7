// Calls the API of this site, and turns its problems (RFC 9457) into one sentence.
import { functionKey } from "./dom.js";

const TIMEOUT_MS = 30000;
// Of problems whose details are for programs: as scheduler.api.dashboard.rendering.formatting.for_people.
const SENTENCES = {
  401: "You are not signed in, or your session has ended. What you have typed stays here.",
  404: "This does not exist any more, or your access does not include it.",
  500: "The scheduler could not do this: its log has the reason.",
};
const FOR_PROGRAMS = /\b(GET|POST|PUT|PATCH|DELETE) \/|Authorization|bearer|If-(None-)?Match|http\.entra/i;

/** `status` and `problem` (RFC 9457) are those of the response; 0 and null without one. */
export class ApiFailure extends Error {
  constructor(message, status = 0, problem = null) {
    super(message);
    this.status = status;
    this.problem = problem;
  }
}

/** Returns { status, body, headers }. `body` is parsed JSON, or null. A text is sent unchanged, with its content-type in `headers`.
    Throws ApiFailure with a sentence for people. */
export async function callApi(method, path, body = undefined, headers = {}, timeoutMs = TIMEOUT_MS) {
  const key = functionKey();
  let response;
  try {
    response = await fetch(path, {
      method,
      headers: { accept: "application/json", ...(body === undefined ? {} : { "content-type": "application/json" }), ...(key ? { "x-functions-key": key } : {}), ...headers },
      body: body === undefined || typeof body === "string" ? body : JSON.stringify(body),
      signal: AbortSignal.timeout(timeoutMs),
    });
  } catch (error) {
    throw new ApiFailure(error.name === "TimeoutError" ? "The scheduler did not answer in time." : "The scheduler cannot be reached.");
  }
  const isJson = /json/.test(response.headers.get("content-type") ?? "");
  const content = isJson ? await response.json().catch(() => null) : null;
  if (!response.ok) throw new ApiFailure(describeProblem(content, response), response.status, content);
  return { status: response.status, body: content, headers: response.headers };
}

function describeProblem(problem, response) {
  // The Functions platform has no text for a key that does not open the function.
  if (!problem && response.status === 401) return "The function key of this page does not allow this: open it with a host key.";
  if (response.status === 401) return SENTENCES[401];
  const given = problem?.detail ?? problem?.title ?? "";
  const detail = given.split(/(?<=[.?!]) (?=[A-Z])/).filter((sentence) => !FOR_PROGRAMS.test(sentence)).join(" ") || SENTENCES[response.status] || `The scheduler refused this (status ${response.status}).`;
  const errors = (problem?.errors ?? []).map((each) => [each.location, each.message, each.hint].filter(Boolean).join(": "));
  return [detail, ...errors].join(" ");
}
