// Table of several recordings: its headings, order and CSV.

const HEADS = [
  { key: "name", text: "Recording", kind: "", value: (item) => item.file.name.toLowerCase() },
  { key: "verdict", text: "Verdict", kind: "", value: (item) => item.answer?.verdict.headline ?? "" },
  { key: "score", text: "Score", kind: "number", value: (item) => item.answer?.row.score },
  { key: "speech", text: "Speech", kind: "number wide", value: (item) => item.answer?.row.speech_s },
  { key: "length", text: "Length", kind: "number wide", value: (item) => item.answer?.row.duration_s },
];

export function heads(line, sorting, onSort) {
  if (!line.children.length) {
    for (const head of HEADS) {
      const cell = document.createElement("th");
      cell.scope = "col";
      cell.className = head.kind;
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.text;
      cell.append(button);
      line.append(cell);
    }
  }
  HEADS.forEach((head, index) => {
    const cell = line.children[index];
    const now = sorting.key === head.key;
    cell.setAttribute("aria-sort", now ? (sorting.down ? "descending" : "ascending") : "none");
    cell.firstChild.onclick = () => onSort({ key: head.key, down: now && !sorting.down });
  });
}

export function sorted(items, { key, down }) {
  const head = HEADS.find((one) => one.key === key);
  const value = head ? head.value : (item) => item.number;
  const missing = (v) => v === undefined || v === null;
  return [...items].sort((one, other) => {
    const [a, b] = [value(one), value(other)];
    if (missing(a) || missing(b)) return missing(a) - missing(b); // recordings without a value come last in both directions
    const order = typeof a === "string" ? a.localeCompare(b) : a - b;
    return (down ? -order : order) || one.number - other.number;
  });
}

export function csv(items, columns) {
  return lines(items.filter((item) => item.answer).map((item) => ({ ...item.answer.row, source: item.file.name })), columns);
}

export function lines(rows, columns) {
  const texts = rows.map((row) => columns.map((column) => quoted(row[column])).join(","));
  return [columns.join(","), ...texts].join("\r\n") + "\r\n";
}

function quoted(value) {
  if (value === undefined || value === null) return "";
  if (typeof value === "number") return String(value);
  // A spreadsheet would run such text as a formula, and a file may have any name.
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
