// Light, dark, or as the system says. Runs before the page is drawn, so that it never flashes in the wrong colours.
"use strict";
(() => {
  const NAMES = { auto: "Auto", light: "Light", dark: "Dark" };
  const ORDER = ["auto", "light", "dark"];
  const stored = () => {
    try {
      const name = localStorage.getItem("theme");
      return ORDER.includes(name) ? name : "auto";
    } catch {
      return "auto"; // storage may be forbidden
    }
  };
  const apply = (name) => {
    document.documentElement.dataset.theme = name;
    const button = document.getElementById("theme");
    if (!button) return;
    button.querySelector("span").textContent = NAMES[name];
    button.setAttribute("aria-label", `Colours: ${name === "auto" ? "as the system says" : name}`);
    document.dispatchEvent(new Event("themechange"));
  };
  apply(stored());
  document.addEventListener("DOMContentLoaded", () => {
    apply(stored());
    document.getElementById("theme").addEventListener("click", () => {
      const name = ORDER[(ORDER.indexOf(document.documentElement.dataset.theme) + 1) % ORDER.length];
      try {
        localStorage.setItem("theme", name);
      } catch { /* it then lasts as long as the page does */ }
      apply(name);
    });
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    document.dispatchEvent(new Event("themechange"));
  });
})();
