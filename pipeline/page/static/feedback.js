// Answers of the visitor: what a recording really is. Downloaded as a table that `--corpus table` reads, and sent to the
// server if it stores them.
import { lines } from "/table.js";

const ANSWERS = { live: ["Live", "bonafide"], fake: ["Fake", "spoof"], partly: ["Partly fake", ""], unknown: ["Don’t know", ""] };
const COLUMNS = ["path", "label", "answer", "score", "model_version"];
const BEFORE = {
  "": "",
  answers: "Answering stores your answer and the file’s name on the server.",
  recordings: "Answering stores the recording on the server.",
};
const STORED = {
  "": "Nothing is kept.",
  answers: "Answers that you give are stored on the server with the file’s name; recordings are not.",
  recordings: "Recordings that you give an answer about are stored on the server; others are not.",
};

export class Feedback {
  constructor({ group, note, download, stores, items }) {
    Object.assign(this, { group, note, download, stores, items });
    this.stored = "";
    this.item = null;
    group.append(...Object.entries(ANSWERS).map(([answer, [text]]) => {
      const button = document.createElement("button");
      button.type = "button";
      button.dataset.answer = answer;
      button.textContent = text;
      button.addEventListener("click", () => this.give(this.item, answer));
      return button;
    }));
    download.addEventListener("click", () => this.save());
  }

  // What the server stores: nothing, answers, or recordings too.
  serverStores(stored) {
    this.stored = stored.at(-1) ?? "";
    this.stores.textContent = STORED[this.stored];
  }

  // What the server stores of a recording; of long ones, nothing.
  kept(item) {
    return item.answer?.recording ? this.stored : "";
  }

  show(item) {
    this.item = item;
    for (const button of this.group.children) button.setAttribute("aria-pressed", String(button.dataset.answer === item.truth));
    const given = this.items.filter((one) => one.truth).length;
    this.download.hidden = !given;
    this.download.textContent = `Download ${given} answer${given === 1 ? "" : "s"}`;
    this.note.textContent = item.truthNote ?? BEFORE[this.kept(item)];
  }

  async give(item, answer) {
    item.truth = answer;
    const kept = this.kept(item);
    item.truthNote = kept ? "Sending" : "";
    this.show(item);
    if (!kept) return;
    const query = new URLSearchParams({ recording: item.answer.recording, answer, name: item.file.name });
    try {
      const body = kept === "recordings" ? item.file : "";
      const reply = await fetch(`/api/feedback?${query}`, { method: "POST", body });
      const { detail } = reply.ok ? {} : await reply.json().catch(() => ({}));
      item.truthNote = reply.ok ? "Stored. Thank you." : `Not stored: ${detail || reply.status}`;
    } catch {
      item.truthNote = "Not stored: the server does not answer.";
    }
    if (item === this.item) this.show(item);
  }

  save() {
    const rows = this.items.filter((one) => one.truth).map(({ file, truth, answer: { row } }) => {
      const path = /^[=+\-@ ]/.test(file.name) ? `./${file.name}` : file.name;
      return { ...row, path, label: ANSWERS[truth][1], answer: truth };
    });
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([lines(rows, COLUMNS)], { type: "text/csv" }));
    link.download = "answers.csv";
    link.click();
    URL.revokeObjectURL(link.href);
  }
}
