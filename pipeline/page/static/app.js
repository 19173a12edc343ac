// The page: uploads recordings, and shows the table of their scores and the chosen one.
import { Feedback } from "/feedback.js";
import { Plots, SCORE_RANGE, clock } from "/plots.js";
import { analysed } from "/jobs.js";
import { Live } from "/live.js";
import { Player } from "/player.js";
import { Recorder } from "/recorder.js";
import { refused, score } from "/short.js";
import { csv, heads, sorted } from "/table.js";

const AT_ONCE = 2;
const $ = (id) => document.getElementById(id);

const items = []; // {file, number, state: waiting | working | done, answer}
let chosen = null;
let sorting = { key: "number", down: false };
let limits = { max_mb: Infinity, max_job_mb: 0, columns: [] };

const plots = new Plots($("stack"), (seconds, reading) => {
  $("readout").textContent = reading;
});
const player = new Player({ audio: $("audio"), button: $("play"), stack: $("stack"), onTime: showTime });
const feedback = new Feedback({ group: $("answers"), note: $("truth-note"), download: $("answers-csv"), stores: $("stores"), items });
plots.onSeek = (seconds) => player.playFrom(seconds);

function showTime(seconds, duration) {
  $("clock").textContent = `${clock(seconds)} / ${clock(duration)}`;
  plots.moveCursor(seconds);
}

// Adding recordings

function add(files) {
  notify("");
  for (const file of files) {
    const item = { file, number: items.length, state: "waiting", answer: null };
    const most = Math.max(limits.max_mb, limits.max_job_mb);
    if (file.size > most * 1e6) {
      finish(item, refused(`The file is too large: ${(file.size / 1e6).toFixed(1)} MB, at most ${most} MB are taken.`));
    }
    items.push(item);
  }
  if (files.length) choose(items[items.length - files.length]);
  work();
}

async function work() {
  if (work.running >= AT_ONCE) return;
  const item = items.find((one) => one.state === "waiting");
  if (!item) return;
  work.running += 1;
  item.state = "working";
  setTimeout(work); // the next one, if there is room
  const answer = item.file.size > limits.max_mb * 1e6 ? null : await score(item.file);
  const isLong = !answer || answer.row.error?.startsWith("too long");
  if (isLong && limits.max_job_mb) await scoreByJob(item);
  else finish(item, answer);
  work.running -= 1;
  work();
}
work.running = 0;

// A long recording: each channel becomes a separate recording.
async function scoreByJob(item) {
  let found;
  try {
    found = await analysed(item.file, (share) => {
      item.share = share;
      if (item === chosen) show(item);
    });
  } catch (error) {
    finish(item, refused(error.message));
    return;
  }
  const [first, ...others] = found;
  if (items.includes(item)) for (const one of others) items.push({ ...one, number: items.length, state: "done" });
  item.file = first.file;
  finish(item, first.answer);
}

function finish(item, answer) {
  item.state = "done";
  item.answer = answer;
  if (item === chosen) show(item);
  showTable();
}

// Showing them

const BRIEF = { bonafide: "live", spoof: "fake", partly_spoof: "partly fake", unsure: "unclear", no_speech: "no speech", unfamiliar: "unfamiliar", error: "not judged", waiting: "…" };
const WAITING = { row: {}, verdict: { tone: "waiting", headline: "Scoring", sentence: "" } };

function progress(share) {
  const sentence = share === undefined ? "" : `${Math.round(100 * share)} % of a long recording`;
  return { ...WAITING, verdict: { ...WAITING.verdict, sentence } };
}

function choose(item) {
  chosen = item;
  document.documentElement.classList.add("filled");
  show(item);
  showTable();
}

function show(item) {
  const { row, verdict, ...rest } = item.answer || progress(item.share);
  $("detail").hidden = false;
  $("detail").className = `detail ${verdict.tone}`;
  $("file").textContent = item.file.name;
  $("headline").textContent = verdict.headline;
  $("sentence").textContent = verdict.sentence;
  const cause = row.error === verdict.sentence ? "" : row.error || row.note || "";
  $("cause").textContent = cause;
  $("cause").hidden = !cause;
  const scored = typeof row.score === "number";
  $("meter").hidden = $("plots").hidden = $("truth").hidden = !scored;
  if (!scored) {
    $("parts").hidden = true;
    player.unload();
    return;
  }
  showMeter(row.score, rest.threshold);
  feedback.show(item);
  player.load(item.file, row.duration_s);
  plots.show(rest, row.duration_s);
  showTime(0, row.duration_s);
  const { kind, seen_by_model: seen } = rest.spectrogram;
  $("seen").textContent = `level, soft to loud (${kind === "logmel" ? "log-mel" : "linear bands"}${seen ? ", as the model sees it" : ""})`;
  showParts(verdict.tone === "unfamiliar" ? [] : rest.spoofed_segments);
  showFacts(row, rest.threshold);
}

function showMeter(score, threshold) {
  const place = (value) => `${(50 + 50 * Math.max(-1, Math.min(1, value / SCORE_RANGE))).toFixed(1)}%`;
  $("pointer").style.left = place(score);
  $("limit").style.left = place(threshold);
  $("meter").setAttribute("aria-label", `Score ${signed(score)} on a scale from fake to live; the threshold is ${signed(threshold)}`);
}

function showParts(segments) {
  const list = segments.map((one) => `${clock(one.start_s)} to ${clock(one.end_s)} (confidence ${one.confidence.toFixed(2)})`);
  $("parts").textContent = `Sounds fake: ${list.join(", ")}`;
  $("parts").hidden = !list.length;
}

function showFacts(row, threshold) {
  const facts = [
    ["Score", `${signed(row.score)} (threshold ${signed(threshold)})`],
    ["Probability of fake", `${(100 * row.spoof_probability).toFixed(1)} %`],
    ...(typeof row.familiarity === "number" ? [["Familiarity", `${(100 * row.familiarity).toFixed(1)} % (100 % is ordinary)`]] : []),
    ...(row.attack ? [["Made by", row.attack + (row.attack_probability === null ? "" : ` (${(100 * row.attack_probability).toFixed(0)} %)`)]] : []),
    ["Speech", `${row.speech_s.toFixed(1)} s of ${row.duration_s.toFixed(1)} s`],
    ["Scored in", `${row.latency_ms.toFixed(0)} ms`],
    ["Model", row.model_version],
    ...(row.note ? [["Note", row.note]] : []),
  ];
  $("facts").replaceChildren(...facts.map(([name, value]) => {
    const group = document.createElement("div");
    group.append(element("dt", name), element("dd", value));
    return group;
  }));
}

function showTable() {
  $("batch").hidden = items.length < 2;
  const counts = { bonafide: 0, spoof: 0, partly_spoof: 0, unsure: 0, unfamiliar: 0, error: 0 };
  for (const { answer } of items) {
    if (answer) counts[answer.verdict.tone === "no_speech" ? "unsure" : answer.verdict.tone] += 1;
  }
  const waiting = items.filter((item) => item.state !== "done").length;
  const parts = [[counts.bonafide, "live"], [counts.spoof, "fake"], [counts.partly_spoof, "partly fake"], [counts.unsure, "unclear"], [counts.unfamiliar, "unfamiliar"], [counts.error, "not judged"], [waiting, "to come"]];
  $("batch-title").textContent = `${items.length} recordings: ` + parts.filter(([n]) => n).map(([n, word]) => `${n} ${word}`).join(", ");
  heads($("heads"), sorting, (next) => {
    sorting = next;
    showTable();
  });
  const held = $("rows").contains(document.activeElement) ? document.activeElement.dataset.number : null;
  $("rows").replaceChildren(...sorted(items, sorting).map(tableRow));
  if (held !== null) $("rows").querySelector(`[data-number="${held}"]`)?.focus({ preventScroll: true });
}

function tableRow(item) {
  const { row, verdict } = item.answer || WAITING;
  const line = document.createElement("tr");
  line.className = verdict.tone + (item === chosen ? " chosen" : "");
  line.addEventListener("click", () => {
    if (item !== chosen) choose(item);
    if (matchMedia("(max-width: 46rem)").matches) $("detail").scrollIntoView({ block: "start" });
  });
  const name = element("button", item.file.name);
  name.type = "button";
  name.title = item.file.name;
  name.dataset.number = item.number;
  if (item === chosen) name.setAttribute("aria-current", "true");
  const cells = [
    cell(name, "name"), cell(chip(verdict)),
    cell(typeof row.score === "number" ? signed(row.score) : "–", "number"),
    cell(row.speech_s === undefined || row.speech_s === null ? "–" : `${row.speech_s.toFixed(1)} s`, "number wide"),
    cell(row.duration_s ? `${row.duration_s.toFixed(1)} s` : "–", "number wide"),
  ];
  line.append(...cells);
  return line;
}

function chip(verdict) {
  const made = element("span", "", "chip");
  made.append(element("span", verdict.headline, "long"), element("span", BRIEF[verdict.tone], "brief"));
  return made;
}

function cell(content, kind = "") {
  const made = document.createElement("td");
  made.className = kind;
  made.append(content);
  return made;
}

function element(tag, text, kind = "") {
  const made = document.createElement(tag);
  made.textContent = text; // as text only: a file may have any name
  made.className = kind;
  return made;
}

function signed(value) {
  return (value < 0 ? "−" : "+") + Math.abs(value).toFixed(2);
}

function notify(text) {
  $("notice").textContent = text;
  $("notice").hidden = !text;
}

// Actions of visitors

$("choose").addEventListener("click", () => $("files").click());
$("files").addEventListener("change", () => {
  add([...$("files").files]);
  $("files").value = "";
});
$("clear").addEventListener("click", () => {
  items.length = 0;
  chosen = null;
  player.unload();
  $("detail").hidden = $("batch").hidden = true;
  document.documentElement.classList.remove("filled");
});
$("csv").addEventListener("click", () => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([csv(sorted(items, sorting), limits.columns)], { type: "text/csv" }));
  link.download = "scores.csv";
  link.click();
  URL.revokeObjectURL(link.href);
});

$("logout").addEventListener("click", async () => {
  await fetch("/api/logout", { method: "POST" });
  location.replace("/login");
});

let depth = 0; // number of elements that a dragged file has entered and not left
addEventListener("dragenter", (event) => {
  event.preventDefault();
  depth += 1;
  $("drop").classList.add("over");
});
addEventListener("dragleave", () => {
  depth -= 1;
  if (depth <= 0) $("drop").classList.remove("over");
});
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  depth = 0;
  $("drop").classList.remove("over");
  add([...event.dataTransfer.files]);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  plots.draw();
  live.draw();
});
const live = new Live({ section: $("live"), headline: $("live-says"), numbers: $("live-numbers"), canvas: $("live-score") });
new Recorder({
  button: $("record"),
  text: $("record-text"),
  onStart: (stream) => live.start(stream, limits.threshold),
  onStop: () => live.stop(),
  onFile: (file) => add([file]),
  onError: notify,
});

fetch("/api/model").then((answer) => answer.json()).then((model) => {
  limits = model;
  feedback.serverStores(model.stores);
  $("logout").hidden = !model.logs_out;
  $("logout").textContent = `Log out ${model.user}`;
  $("model").textContent = `Model ${model.model_version}`;
  const most = model.max_job_mb ? `${model.max_job_mb} MB` : `${model.max_mb} MB and ${Math.floor(model.max_s / 60)} min`;
  $("limits").textContent = `, up to ${most} each`;
});
