// Server-sent events that are kept open: opened again after a loss, closed while nobody sees the page.

const SOONEST_MS = 500, LATEST_MS = 5000; // between two tries

/**
 * keepStream({ url: () => text, events: { name: f(data) }, onOpen, onLost, resume }): { retry, close }. onOpen: each time that it is open, again.
 * resume: the server's event ids say where to go on, which the browser's own way of coming back sends; else it is opened afresh, and sooner.
 */
export function keepStream({ url, events, onOpen = () => {}, onLost = () => {}, resume = false }) {
  let source = null, tries = 0, timer = 0, closed = false;

  function drop() {
    clearTimeout(timer);
    source?.close();
    source = null;
  }

  function lost() {
    const wait = Math.min(SOONEST_MS * 2 ** tries++, LATEST_MS);
    onLost();
    if (resume && source?.readyState === EventSource.CONNECTING) return; // on its way already
    drop();
    if (!closed && !document.hidden) timer = setTimeout(open, wait);
  }

  function open() {
    drop();
    source = new EventSource(url());
    source.addEventListener("open", onOpen);
    source.addEventListener("error", lost);
    source.addEventListener("end", () => {
      source?.close();
      lost();
    });
    for (const [name, heard] of Object.entries(events)) {
      source.addEventListener(name, (event) => {
        tries = 0;
        heard(JSON.parse(event.data));
      });
    }
  }

  function retry() {
    tries = 0;
    if (!closed) open();
  }

  const seen = () => (document.hidden ? drop() : retry());
  document.addEventListener("visibilitychange", seen);
  open();
  return { retry, close() {
    closed = true;
    drop();
    document.removeEventListener("visibilitychange", seen);
  } };
}
