// Light, dark, or as the system has it. A classic script, so that it has run before anything is drawn.
"use strict";
(() => {
  const NAMES = { system: "as the system has them", light: "light", dark: "dark" };
  const ORDER = ["system", "light", "dark"];

  function stored() {
    try {
      return localStorage.getItem("odradek.theme");
    } catch {
      return null; // storage may be forbidden
    }
  }

  function apply(theme) {
    document.documentElement.style.colorScheme = theme === "system" ? "light dark" : theme;
    const name = document.getElementById("theme-name");
    if (name) name.textContent = `Colours: ${NAMES[theme]}`;
    document.dispatchEvent(new Event("theme"));
  }

  let theme = ORDER.includes(stored()) ? stored() : "system";
  apply(theme);
  document.addEventListener("DOMContentLoaded", () => {
    apply(theme);
    document.getElementById("theme").addEventListener("click", () => {
      theme = ORDER[(ORDER.indexOf(theme) + 1) % ORDER.length];
      try {
        localStorage.setItem("odradek.theme", theme);
      } catch {
        // it holds until the page is left
      }
      apply(theme);
    });
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => document.dispatchEvent(new Event("theme")));
})();
