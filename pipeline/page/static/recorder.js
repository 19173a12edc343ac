// Records from the microphone in the browser's own format; the server decodes it.

const LONGEST_S = 300;

export class Recorder {
  constructor({ button, text, onStart, onStop, onFile, onError }) {
    Object.assign(this, { button, text, onStart, onStop, onFile, onError });
    this.recorder = null;
    button.addEventListener("click", () => (this.recorder ? this.recorder.stop() : this.start()));
  }

  async start() {
    if (!navigator.mediaDevices?.getUserMedia || !window.MediaRecorder) {
      this.onError("This browser gives the page no microphone. Open the page at localhost or over HTTPS.");
      return;
    }
    this.onError("");
    let stream;
    try {
      // Processing for pleasant calls also removes traces that the model uses.
      const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
      stream = await navigator.mediaDevices.getUserMedia({ audio });
    } catch (error) {
      this.onError(error.name === "NotFoundError" ? "No microphone was found." : "The browser was not allowed to use the microphone.");
      return;
    }
    const parts = [];
    this.recorder = new MediaRecorder(stream);
    this.recorder.addEventListener("dataavailable", (event) => parts.push(event.data));
    this.recorder.addEventListener("stop", () => {
      stream.getTracks().forEach((track) => track.stop());
      const type = this.recorder.mimeType;
      this.recorder = null;
      this.onStop();
      this.show();
      const ending = type.includes("mp4") ? "m4a" : type.includes("ogg") ? "ogg" : "webm";
      const time = new Date().toTimeString().slice(0, 8).replaceAll(":", ".");
      this.onFile(new File(parts, `Recording ${time}.${ending}`, { type }));
    });
    this.recorder.start();
    this.onStart(stream);
    this.started = performance.now();
    this.show();
  }

  show() {
    this.button.classList.toggle("recording", Boolean(this.recorder));
    if (!this.recorder) {
      this.text.textContent = "Record";
      return;
    }
    const seconds = (performance.now() - this.started) / 1000;
    this.text.textContent = `Stop (${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")})`;
    if (seconds > LONGEST_S) this.recorder.stop();
    else setTimeout(() => this.show(), 250);
  }
}
