// Plots of one recording on one time axis: waveform, spectrogram and score, with a cursor across all of them.

export const LEFT = 86; // px, for names and ticks
const RIGHT = 6;
export const SCORE_RANGE = 6;
const MAGMA = [
  [0, 0, 4], [28, 16, 68], [79, 18, 123], [129, 37, 129], [181, 54, 122], [229, 80, 100], [251, 135, 97], [254, 194, 135],
  [252, 253, 191],
];

export function clock(seconds) {
  const tenths = Math.round(10 * seconds);
  return `${Math.floor(tenths / 600)}:${String(Math.floor((tenths % 600) / 10)).padStart(2, "0")}.${tenths % 10}`;
}

export class Plots {
  constructor(stack, onRead) {
    this.stack = stack;
    this.onRead = onRead;
    this.onSeek = () => {};
    this.cursor = stack.querySelector("#cursor");
    this.hair = stack.querySelector("#hair");
    this.data = null;
    this.probe = document.createElement("i");
    this.probe.hidden = true;
    stack.append(this.probe);
    new ResizeObserver(() => this.draw()).observe(stack);
    stack.addEventListener("pointermove", (event) => this.read(event));
    stack.addEventListener("pointerleave", () => {
      this.hair.hidden = true;
      this.onRead(null, "");
    });
    stack.addEventListener("click", (event) => this.data && this.onSeek(this.timeAt(event)));
  }

  show(data, duration) {
    this.data = data;
    this.duration = duration;
    this.image = spectrogramImage(data.spectrogram);
    this.draw();
    this.moveCursor(0);
  }

  moveCursor(seconds) {
    if (this.data) this.cursor.style.transform = `translateX(${this.x(seconds)}px)`;
  }

  draw() {
    if (!this.data || !this.stack.clientWidth) return;
    this.width = this.stack.clientWidth;
    this.left = this.width < 520 ? 44 : LEFT;
    this.waveform(...this.canvas("waveform"));
    this.spectrogram(...this.canvas("spectrogram"));
    this.score(...this.canvas("score"));
    this.axis(...this.canvas("axis"));
    this.moveCursor(Number(this.stack.getAttribute("aria-valuenow")) || 0);
  }

  // Places

  x(seconds) {
    return this.left + (this.width - this.left - RIGHT) * (seconds / this.duration);
  }

  timeAt(event) {
    const inside = event.clientX - this.stack.getBoundingClientRect().left - this.left;
    return Math.max(0, Math.min(1, inside / (this.width - this.left - RIGHT))) * this.duration;
  }

  read(event) {
    if (!this.data) return;
    const seconds = this.timeAt(event);
    this.hair.hidden = false;
    this.hair.style.transform = `translateX(${this.x(seconds)}px)`;
    const { times_s: times, scores, spoken, threshold } = this.data;
    let nearest = 0;
    times.forEach((time, index) => {
      if (Math.abs(time - seconds) < Math.abs(times[nearest] - seconds)) nearest = index;
    });
    const score = (scores[nearest] < 0 ? "−" : "+") + Math.abs(scores[nearest]).toFixed(1);
    const words = !spoken[nearest] ? "no speech here" : scores[nearest] >= threshold ? "sounds live" : "sounds fake";
    this.onRead(seconds, `${clock(seconds)}  score ${score}, ${words}`);
  }

  // Drawing

  colour(name) {
    this.probe.style.color = `var(--${name})`;
    return getComputedStyle(this.probe).color;
  }

  canvas(id) {
    const canvas = this.stack.querySelector(`#${id}`);
    const height = Number(canvas.dataset.height || (canvas.dataset.height = canvas.getAttribute("height")));
    const scale = window.devicePixelRatio || 1;
    canvas.width = Math.round(this.width * scale);
    canvas.height = Math.round(height * scale);
    canvas.style.height = `${height}px`;
    const pen = canvas.getContext("2d");
    pen.scale(scale, scale);
    pen.font = "12px -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif";
    return [pen, height];
  }

  shade(pen, height, hatched) {
    for (const { start_s: start, end_s: end } of this.data.spoofed_segments) {
      const [from, to] = [this.x(start), this.x(end)];
      pen.save();
      pen.beginPath();
      pen.rect(from, 0, to - from, height);
      pen.clip();
      pen.fillStyle = this.colour("shade");
      pen.fillRect(from, 0, to - from, height);
      pen.strokeStyle = this.colour("hatch");
      pen.lineWidth = 1;
      for (let at = from - height; hatched && at < to; at += 9) line(pen, at, height, at + height, 0);
      pen.lineWidth = 3; // half of it is clipped
      line(pen, from, 0, from, height);
      line(pen, to, 0, to, height);
      pen.restore();
    }
  }

  waveform(pen, height) {
    this.shade(pen, height, true);
    const { low, high } = this.data.waveform;
    const peak = Math.max(0.02, ...high, ...low.map((value) => -value));
    const y = (value) => height / 2 - (value / peak) * (height / 2 - 2);
    const step = this.duration / low.length;
    pen.fillStyle = this.colour("wave");
    pen.beginPath();
    high.forEach((value, index) => pen.lineTo(this.x((index + 0.5) * step), y(value) - 0.4));
    for (let index = low.length - 1; index >= 0; index -= 1) pen.lineTo(this.x((index + 0.5) * step), y(low[index]) + 0.4);
    pen.fill();
    pen.fillStyle = this.colour("soft");
    for (const [start, end] of this.data.speech) {
      pen.fillRect(this.x(start), height - 3, this.x(Math.min(end, this.duration)) - this.x(start), 3);
    }
  }

  spectrogram(pen, height) {
    pen.imageSmoothingEnabled = true;
    pen.drawImage(this.image, this.left, 0, this.width - this.left - RIGHT, height);
    pen.fillStyle = this.colour("soft");
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    const bands = this.data.spectrogram.band_hz;
    let above = -Infinity;
    for (const hz of [6000, 4000, 2000, 1000, 500]) {
      const band = bands.findIndex((centre) => centre >= hz);
      if (band < 1) continue;
      const part = band - (bands[band] - hz) / (bands[band] - bands[band - 1]);
      const y = height * (1 - (part + 0.5) / bands.length);
      if (y < 22 || y - above < 15) continue; // the name of the plot or the label before is in the way
      above = y;
      pen.fillText(hz < 1000 ? `${hz} Hz` : `${hz / 1000} kHz`, this.left - 6, y);
    }
    this.edges(pen, height);
  }

  // A shade is invisible on the dark spectrogram, so draw a frame.
  edges(pen, height) {
    pen.strokeStyle = "#e69f00";
    pen.lineWidth = 2;
    for (const { start_s: start, end_s: end } of this.data.spoofed_segments) {
      pen.strokeRect(this.x(start) + 1, 1, this.x(end) - this.x(start) - 2, height - 2);
    }
  }

  score(pen, height) {
    const y = (score) => height / 2 - (Math.max(-SCORE_RANGE, Math.min(SCORE_RANGE, score)) / SCORE_RANGE) * (height / 2 - 5);
    const { times_s: times, scores, spoken, threshold } = this.data;
    const [first, last] = [this.x(0), this.x(this.duration)];
    pen.fillStyle = this.colour("live-wash");
    pen.fillRect(first, 0, last - first, y(threshold));
    pen.fillStyle = this.colour("fake-wash");
    pen.fillRect(first, y(threshold), last - first, height - y(threshold));
    this.shade(pen, height, false);
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    for (const [word, score, colour] of [["live", 4.2, "live-ink"], ["fake", -4.2, "fake-ink"]]) {
      pen.fillStyle = this.colour(colour);
      pen.fillText(word, this.left - 6, y(score));
    }
    pen.strokeStyle = this.colour("ink");
    pen.lineWidth = 1.5;
    pen.setLineDash([5, 4]);
    line(pen, first, y(threshold), last, y(threshold));
    pen.setLineDash([]);
    this.curve(pen, times, scores, spoken, y);
  }

  curve(pen, times, scores, spoken, y) {
    pen.strokeStyle = pen.fillStyle = this.colour("live");
    pen.lineWidth = 2.5;
    pen.lineJoin = pen.lineCap = "round";
    pen.beginPath();
    times.forEach((time, index) => {
      if (!spoken[index]) return;
      const [x, at] = [this.x(time), y(scores[index])];
      if (index > 0 && spoken[index - 1]) pen.lineTo(x, at);
      else pen.moveTo(x, at);
    });
    pen.stroke();
    if (times.length > 40) return;
    times.forEach((time, index) => {
      if (!spoken[index]) return;
      pen.beginPath();
      pen.arc(this.x(time), y(scores[index]), 3.5, 0, 2 * Math.PI);
      pen.fill();
    });
  }

  axis(pen) {
    pen.fillStyle = this.colour("soft");
    pen.strokeStyle = this.colour("faint");
    pen.lineWidth = 1;
    const room = Math.max(3, Math.floor((this.width - this.left) / 80));
    const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120].find((size) => this.duration / size <= room) || 300;
    for (let index = 0; index * step <= this.duration + 1e-6; index += 1) {
      const seconds = index * step;
      const x = this.x(seconds);
      line(pen, x, 0, x, 5);
      pen.textAlign = x > this.width - 16 ? "right" : "center";
      pen.fillText(label(seconds, step), Math.min(x, this.width - 2), 18);
    }
  }
}

function label(seconds, step) {
  if (step < 1) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  return `${Math.floor(seconds / 60)}:${String(Math.round(seconds % 60)).padStart(2, "0")}`;
}

function line(pen, x1, y1, x2, y2) {
  pen.beginPath();
  pen.moveTo(x1, y1);
  pen.lineTo(x2, y2);
  pen.stroke();
}

function spectrogramImage({ bands, columns, levels }) {
  const bytes = Uint8Array.from(atob(levels), (letter) => letter.charCodeAt(0));
  const canvas = document.createElement("canvas");
  canvas.width = columns;
  canvas.height = bands;
  const pen = canvas.getContext("2d");
  const image = pen.createImageData(columns, bands);
  for (let band = 0; band < bands; band += 1) {
    for (let column = 0; column < columns; column += 1) {
      const place = 4 * ((bands - 1 - band) * columns + column);
      image.data.set(magma(bytes[band * columns + column]), place);
    }
  }
  pen.putImageData(image, 0, 0);
  return canvas;
}

function magma(level) {
  const place = (level / 255) * (MAGMA.length - 1);
  const below = Math.min(Math.floor(place), MAGMA.length - 2);
  const mix = place - below;
  return [...MAGMA[below].map((value, index) => value + mix * (MAGMA[below + 1][index] - value)), 255];
}
