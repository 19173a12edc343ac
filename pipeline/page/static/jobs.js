// Long recordings: uploads one as a job, waits for its result, and deletes it from the server.

const LOOK_MS = 500;

// Files and answers of the channels of a recording, each as for a short recording; `onShare` gets the share that is done.
export async function analysed(file, onShare) {
  const created = await asked("/jobs", { method: "POST", body: file, headers: { "Content-Type": "application/octet-stream" } });
  const place = `/jobs/${created.id}`;
  try {
    for (;;) {
      const { progress, result } = await asked(place);
      if (result) return (result.channels ?? [result.error]).map((answer, _, { length }) => ({ answer, file: length > 1 ? named(file, answer.channel) : file }));
      onShare(progress.share);
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  } finally {
    fetch(place, { method: "DELETE" }).catch(() => {});
  }
}

function named(file, channel) {
  return new File([file], `${file.name}, channel ${channel}`, { type: file.type });
}

async function asked(place, options) {
  let answer;
  try {
    answer = await fetch(place, options);
  } catch {
    throw new Error("The server does not answer. Is it still running?");
  }
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(`The server refused the file: ${body.detail || body.error || answer.status}`);
  return body;
}
