// What can be done to several jobs: each action prepares a plan, applies it, and knows how to undo exactly what it did.
import { callApi } from "./api.js";

export const MAX_JOBS = 500;
const TIMEOUT_MS = 120000;
/** Values of a filter of GET /api/jobs. */
const MAX_NAMES = 20;
/** Jobs that a silence can name. */
const MAX_SILENCED = 100;
const LENGTHS = [["30m", "30 minutes", 30], ["1h", "1 hour", 60], ["2h", "2 hours", 120], ["4h", "4 hours", 240], ["8h", "8 hours", 480], ["24h", "24 hours", 1440]];
const REASON = { name: "reason", label: "Reason" };

export const ACTIONS = {
  pause: {
    title: "Pause",
    done: "Paused",
    othersText: "Not changed:",
    fields: () => [REASON, { name: "length", label: "Until", options: [["", "they are resumed"], ...LENGTHS.map(([value, text]) => [value, `in ${text}`])] }],
    prepare: async (names) => {
      const { selected, others } = await preview("pause", names);
      const pauses = await readPauses(selected);
      const free = selected.filter((name) => !pauses.has(name));
      return { names: free, others: [...others, ...selected.filter((name) => pauses.has(name)).map((name) => [name, `is already ${pauses.get(name).summary}`])] };
    },
    apply: async (plan, { reason, length }) => {
      const jobs = await act("pause", plan.names, { reason: reason.trim(), until: endOf(length) });
      const mine = await readPauses(namesDone(jobs));
      return { jobs, undo: () => undoPause(mine) };
    },
  },
  resume: {
    title: "Resume",
    done: "Resumed",
    othersText: "Not changed:",
    fields: () => [],
    prepare: async (names) => {
      const { selected, others } = await preview("resume", names);
      const pauses = await readPauses(selected);
      const paused = selected.filter((name) => pauses.has(name));
      const notes = Object.fromEntries(paused.map((name) => [name, pauses.get(name).summary]));
      return { names: paused, notes, pauses, others: [...others, ...selected.filter((name) => !pauses.has(name)).map((name) => [name, "is not paused"])] };
    },
    apply: async (plan) => {
      const jobs = await act("resume", plan.names, {});
      return { jobs, undo: () => undoResume(namesDone(jobs), plan.pauses), undoText: "Undo: pause them as before" };
    },
  },
  run: {
    title: "Run",
    done: "Started a run of",
    othersText: "Not started:",
    fields: () => [],
    prepare: async (names) => {
      const { selected, others } = await preview("run", names);
      return { names: selected, others };
    },
    apply: async (plan) => {
      const { jobs, runs } = await actAll("run", plan.names, {});
      return { jobs, undo: () => cancelRuns(runs), undoText: "Undo: cancel these runs" };
    },
  },
  silence: {
    title: "Silence",
    done: "Silenced",
    othersText: "Not silenced:",
    fields: () => [REASON, { name: "length", label: "For", options: LENGTHS.map(([value, text]) => [value, text]) }],
    prepare: async (names) => {
      const { selected, others } = await preview("run", names);
      return { names: selected, others };
    },
    apply: async (plan, { reason, length }) => {
      const silences = [];
      for (const names of chunks(plan.names, MAX_SILENCED)) {
        const { body } = await callApi("POST", "/api/silences", { select: { jobs: names }, for: length, reason: reason.trim() });
        silences.push(body);
      }
      const silenced = new Set(silences.flatMap((silence) => silence.jobs));
      const undo = async () => {
        for (const { id } of silences) await callApi("POST", `/api/silences/${encodeURIComponent(id)}/end`);
        return "The silence has ended.";
      };
      return { jobs: plan.names.map((name) => [name, silenced.has(name) ? "done" : "unchanged", ""]), undo };
    },
  },
};

/** What an action would concern, without doing it. */
async function preview(action, names) {
  const { body } = await callApi("POST", `/api/jobs/${action}`, { names, dry_run: true, limit: MAX_JOBS }, {}, TIMEOUT_MS);
  return {
    selected: body.jobs.filter((job) => job.result === "selected").map((job) => job.job),
    others: body.jobs.filter((job) => job.result !== "selected").map((job) => [job.job, job.message ?? job.result]),
  };
}

async function act(action, names, values) {
  return (await actAll(action, names, values)).jobs;
}

/** Continue until each job has a result: a response can contain fewer jobs. */
async function actAll(action, names, values) {
  const jobs = [];
  const runs = [];
  let continuation = null;
  do {
    const { body } = await callApi("POST", `/api/jobs/${action}`, { ...values, names, limit: MAX_JOBS, continuation }, {}, TIMEOUT_MS);
    jobs.push(...body.jobs.map((job) => [job.job, job.result, job.message ?? ""]));
    runs.push(...body.jobs.map((job) => job.run_id).filter(Boolean));
    // A failure of the store: the continuation would repeat it at once.
    continuation = body.jobs.some((job) => job.result === "failed") ? null : body.continuation;
  } while (continuation);
  return { jobs, runs };
}

function namesDone(jobs) {
  return jobs.filter(([, result]) => result === "done").map(([name]) => name);
}

/** The pauses of those jobs that are paused, by name. */
async function readPauses(names) {
  const found = new Map();
  for (const some of chunks(names, MAX_NAMES)) {
    const query = some.map((name) => `name=${encodeURIComponent(name)}`).join("&");
    const { body } = await callApi("GET", `/api/jobs?${query}&limit=${MAX_NAMES}`);
    for (const job of body.jobs) if (job.pause) found.set(job.name, job.pause);
  }
  return found;
}

/** Resume what was paused here; a pause that another user has made meanwhile stays. */
async function undoPause(mine) {
  const now = await readPauses([...mine.keys()]);
  const names = [...mine].filter(([name, pause]) => isSamePause(pause, now.get(name))).map(([name]) => name);
  const resumed = names.length ? namesDone(await act("resume", names, {})).length : 0;
  const rest = mine.size - resumed;
  return `Resumed ${resumed} ${resumed === 1 ? "job" : "jobs"}.${rest ? ` ${rest} had changed meanwhile and stay unchanged.` : ""}`;
}

function isSamePause(one, other) {
  return Boolean(other) && ["since", "until", "reason"].every((key) => one[key] === other[key]);
}

/** Pause again with the ends and reasons from before. */
async function undoResume(names, pauses) {
  const groups = new Map();
  for (const name of names) {
    const { until, reason } = pauses.get(name);
    if (until && Date.parse(until) <= Date.now()) continue;
    const key = JSON.stringify([until, reason]);
    groups.set(key, [...(groups.get(key) ?? []), name]);
  }
  let count = 0;
  for (const [key, members] of groups) {
    const [until, reason] = JSON.parse(key);
    count += namesDone(await act("pause", members, { until, reason })).length;
  }
  return `Paused ${count} ${count === 1 ? "job" : "jobs"} as before.`;
}

async function cancelRuns(runs) {
  let count = 0;
  for (const run of runs) {
    try {
      await callApi("POST", `/api/runs/${encodeURIComponent(run)}/cancel`);
      count += 1;
    } catch (error) {
      if (error.status !== 409) throw error; // it has finished
    }
  }
  return `Cancelled ${count} of ${runs.length} ${runs.length === 1 ? "run" : "runs"}; the others have finished.`;
}

function chunks(items, size) {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) => items.slice(index * size, (index + 1) * size));
}

function endOf(length) {
  const [, , minutes] = LENGTHS.find(([value]) => value === length) ?? [];
  return minutes ? new Date(Date.now() + minutes * 60000).toISOString() : null;
}
