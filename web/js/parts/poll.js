// What is asked again and again while a page is shown.
import * as live from "../live.js";

/**
 * Calls `ask` now and, each time `everyMs` (or everyMs()) after it has ended, again; at once when the broker is back or the page is seen again.
 * The first failure is thrown to the page; later ones go to `onError` (missing: what is shown stays; the link's notice says why).
 */
export async function poll({ signal, onLeave }, everyMs, ask, onError = () => {}) {
  let timer = 0, running = false;

  async function again() {
    clearTimeout(timer);
    if (running || signal.aborted) return;
    running = true;
    try {
      if (!document.hidden && live.link.state !== "down") await ask();
    } catch (problem) {
      if (!signal.aborted && !problem.unreachable) onError(problem);
    } finally {
      running = false;
    }
    plan();
  }

  function plan() {
    clearTimeout(timer);
    if (!signal.aborted) timer = setTimeout(again, typeof everyMs === "function" ? everyMs() : everyMs);
  }

  const seen = () => !document.hidden && again();
  onLeave(live.on("back", again));
  onLeave(() => clearTimeout(timer));
  document.addEventListener("visibilitychange", seen, { signal });
  await ask();
  plan();
  return again;
}
