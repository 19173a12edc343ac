// Plays the chosen recording, controlled by button, click and keys, and moves the cursor.

const STEP_S = 0.25;
const LEAP_S = 2;
const SAME_S = 0.05;

export class Player {
  constructor({ audio, button, stack, onTime }) {
    Object.assign(this, { audio, button, stack, onTime });
    this.duration = 0;
    this.file = null;
    button.addEventListener("click", () => this.toggle());
    stack.addEventListener("keydown", (event) => this.key(event));
    audio.addEventListener("play", () => this.follow());
    for (const name of ["play", "pause", "ended"]) audio.addEventListener(name, () => this.showState());
    for (const name of ["timeupdate", "seeked"]) audio.addEventListener(name, () => this.report());
    audio.addEventListener("error", () => this.useDecoded());
    audio.addEventListener("loadedmetadata", () => {
      // Browsers do not know the length of all files, and decoders disagree on it; the time axis needs the server's.
      if (!(Math.abs(audio.duration - this.duration) < SAME_S)) this.useDecoded();
    });
  }

  load(file, duration) {
    this.unload();
    this.file = file;
    this.duration = duration;
    this.stack.setAttribute("aria-valuemax", duration.toFixed(2));
    this.source(file);
  }

  unload() {
    this.audio.pause();
    if (this.url) URL.revokeObjectURL(this.url);
    this.url = this.file = null;
    this.decoded = false;
    this.audio.removeAttribute("src");
  }

  source(blob) {
    if (this.url) URL.revokeObjectURL(this.url);
    this.url = URL.createObjectURL(blob);
    this.audio.src = this.url;
  }

  async useDecoded() {
    const file = this.file;
    if (this.decoded || !file || !this.audio.hasAttribute("src")) return;
    this.decoded = true;
    try {
      const answer = await fetch("/api/audio", { method: "POST", body: file, headers: { "Content-Type": "application/octet-stream" } });
      if (answer.ok && file === this.file) {
        const playing = !this.audio.paused;
        this.source(await answer.blob());
        if (playing) this.audio.play();
      }
    } catch { /* the plots remain, without sound */ }
  }

  toggle() {
    if (this.audio.paused) this.audio.play().catch(() => {});
    else this.audio.pause();
  }

  playFrom(seconds) {
    this.seek(seconds);
    this.audio.play().catch(() => {});
  }

  seek(seconds) {
    this.audio.currentTime = Math.max(0, Math.min(this.duration, seconds));
    this.report();
  }

  key(event) {
    const leap = event.shiftKey ? LEAP_S : STEP_S;
    const now = this.audio.currentTime;
    const places = {
      ArrowRight: now + leap, ArrowUp: now + leap, ArrowLeft: now - leap, ArrowDown: now - leap,
      PageUp: now + LEAP_S, PageDown: now - LEAP_S, Home: 0, End: this.duration,
    };
    if (event.key in places) this.seek(places[event.key]);
    else if (event.key === " " || event.key === "Enter") this.toggle();
    else return;
    event.preventDefault();
  }

  report() {
    const seconds = Math.min(this.audio.currentTime, this.duration);
    this.stack.setAttribute("aria-valuenow", seconds.toFixed(2));
    this.stack.setAttribute("aria-valuetext", `${seconds.toFixed(1)} of ${this.duration.toFixed(1)} seconds`);
    this.onTime(seconds, this.duration);
  }

  follow() {
    const step = () => {
      this.report();
      if (!this.audio.paused && !this.audio.ended) requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }

  showState() {
    const playing = !this.audio.paused && !this.audio.ended;
    this.button.textContent = playing ? "❚❚" : "▶";
    this.button.setAttribute("aria-label", playing ? "Pause" : "Play");
  }
}
