// Verdict while one speaks: streams the microphone to the server, and draws the score as it comes.

import { LEFT, SCORE_RANGE } from "/plots.js";

const SHOWN_S = 30;
const SAYS = { bonafide: "Sounds live", spoof: "Sounds fake", no_speech: "Waiting for speech", unfamiliar: "Unlike anything the model learnt from" };

export class Live {
  constructor({ section, headline, numbers, canvas }) {
    Object.assign(this, { section, headline, numbers, canvas });
    new ResizeObserver(() => this.draw()).observe(section);
  }

  // `stream` is that of the microphone, `threshold` the score that separates live from fake.
  async start(stream, threshold) {
    this.stop();
    Object.assign(this, { lines: [], threshold });
    this.section.hidden = false;
    this.say("no_speech");
    this.numbers.textContent = "";
    const context = (this.context = new AudioContext());
    try {
      await context.audioWorklet.addModule("/worklet.js");
    } catch {
      return this.end("This browser cannot score while you speak; the recording is scored when you stop.");
    }
    if (context !== this.context) return; // stopped meanwhile
    const place = `${location.origin.replace("http", "ws")}/stream?rate_hz=${context.sampleRate}`;
    const socket = (this.socket = new WebSocket(place));
    socket.onmessage = ({ data }) => this.add(JSON.parse(data));
    socket.onclose = ({ reason }) => socket === this.socket && this.end(reason || "The live score has stopped.");
    socket.onopen = () => {
      const pieces = new AudioWorkletNode(context, "pieces", { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" });
      pieces.port.onmessage = ({ data }) => socket.readyState === WebSocket.OPEN && socket.send(data);
      context.createMediaStreamSource(stream).connect(pieces);
    };
  }

  stop() {
    this.end("");
    this.section.hidden = true;
  }

  end(reason) {
    const { socket, context } = this;
    this.socket = this.context = null;
    socket?.close();
    context?.close();
    this.numbers.textContent = reason;
  }

  add(line) {
    if (line.summary || !this.socket) return;
    this.lines.push(line);
    while (this.lines[0].time_s < line.time_s - SHOWN_S) this.lines.shift();
    this.say(line.label);
    const score = line.smoothed_score === null ? "" : `score ${line.smoothed_score < 0 ? "−" : "+"}${Math.abs(line.smoothed_score).toFixed(1)}, `;
    this.numbers.textContent = `${score}${line.speech_s.toFixed(1)} s of speech in the last window`;
    this.draw();
  }

  say(label) {
    this.section.className = `detail live ${label}`;
    if (this.headline.textContent !== SAYS[label]) this.headline.textContent = SAYS[label]; // read out only if it changes
  }

  draw() {
    const width = this.canvas.clientWidth;
    const height = 130;
    if (!width || !this.lines) return;
    const scale = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(width * scale);
    this.canvas.height = height * scale;
    const pen = this.canvas.getContext("2d");
    pen.scale(scale, scale);
    pen.font = "12px -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif";
    const left = width < 520 ? 44 : LEFT;
    const end = Math.max(SHOWN_S, this.lines.at(-1)?.time_s ?? 0);
    const x = (seconds) => left + (width - left) * (1 + (seconds - end) / SHOWN_S);
    const y = (score) => height / 2 - (Math.max(-SCORE_RANGE, Math.min(SCORE_RANGE, score)) / SCORE_RANGE) * (height / 2 - 5);
    const limit = y(this.threshold);
    pen.fillStyle = this.colour("live-wash");
    pen.fillRect(left, 0, width - left, limit);
    pen.fillStyle = this.colour("fake-wash");
    pen.fillRect(left, limit, width - left, height - limit);
    pen.textAlign = "right";
    for (const [word, score] of [["live", 4.2], ["fake", -4.2]]) {
      pen.fillStyle = this.colour(`${word}-ink`);
      pen.fillText(word, left - 6, y(score) + 4);
    }
    pen.strokeStyle = this.colour("ink");
    pen.setLineDash([5, 4]);
    pen.beginPath();
    pen.moveTo(left, limit);
    pen.lineTo(width, limit);
    pen.stroke();
    pen.setLineDash([]);
    pen.strokeStyle = this.colour("live");
    pen.lineWidth = 2.5;
    pen.lineJoin = pen.lineCap = "round";
    pen.beginPath();
    let joined = false;
    for (const line of this.lines) {
      const spoken = line.label !== "no_speech";
      if (spoken && joined) pen.lineTo(x(line.time_s), y(line.smoothed_score));
      else if (spoken) pen.moveTo(x(line.time_s), y(line.smoothed_score));
      joined = spoken;
    }
    pen.stroke();
  }

  colour(name) {
    this.canvas.style.color = `var(--${name})`;
    return getComputedStyle(this.canvas).color;
  }
}
