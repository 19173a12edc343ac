// Short recordings: the server's answer for one, asked again while it is busy.

const RETRY_MS = 1500;

export async function score(file) {
  for (;;) {
    let answer;
    try {
      answer = await fetch("/api/recordings", { method: "POST", body: file, headers: { "Content-Type": "application/octet-stream" } });
    } catch {
      return refused("The server does not answer. Is it still running?");
    }
    if (answer.status === 503) {
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      continue;
    }
    if (answer.status === 401) location.replace("/login"); // the session has ended
    const body = await answer.json().catch(() => ({}));
    return answer.ok ? body : refused(`The server refused the file: ${body.detail || body.error || answer.status}`);
  }
}

// In place of an answer, for a recording that the server does not take.
export function refused(sentence) {
  return { row: { error: sentence }, verdict: { tone: "error", headline: "Could not be judged", sentence } };
}
