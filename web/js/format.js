// Numbers, sizes, times, as people read them.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const fine = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];

const known = (n) => typeof n === "number" && Number.isFinite(n);

/** 12,345 */
export const count = (n) => (known(n) ? whole.format(n) : "–");

/** 12.3 k; exact below ten thousand. */
export function short(n) {
  if (!known(n)) return "–";
  const size = Math.abs(n);
  if (size < 10) return fine.format(n);
  if (size < 10_000) return whole.format(n);
  for (const [step, unit] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (size >= step) return `${fine.format(n / step)} ${unit}`;
  }
  return whole.format(n);
}

/** 1.23 MB (a million bytes, as disks are sold). */
export function bytes(n) {
  if (!known(n)) return "–";
  let step = 0;
  while (Math.abs(n) >= 999.5 && step < UNITS.length - 1) {
    n /= 1000;
    step++;
  }
  return `${step ? fine.format(n) : whole.format(n)} ${UNITS[step]}`;
}

/** 350 µs, 2.1 ms, 4 s, 3 min 20 s, 2 h 5 min, 3 d 4 h */
export function duration(ms) {
  if (!known(ms)) return "–";
  if (ms === 0) return "0 s";
  if (ms < 1) return `${fine.format(ms * 1000)} µs`;
  if (ms < 1000) return `${fine.format(ms)} ms`;
  const s = Math.floor(ms / 1000);
  if (s < 60) return `${ms < 10_000 ? fine.format(ms / 1000) : s} s`;
  const steps = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const first = steps.findIndex(([size]) => s >= size);
  const rest = s % steps[first][0];
  const second = steps[first + 1] && Math.floor(rest / steps[first + 1][0]);
  return `${Math.floor(s / steps[first][0])} ${steps[first][1]}${second ? ` ${second} ${steps[first + 1][1]}` : ""}`;
}

const two = (n) => String(n).padStart(2, "0");

/** 14:03:07 */
export function clock(ms) {
  const t = new Date(ms);
  return `${two(t.getHours())}:${two(t.getMinutes())}:${two(t.getSeconds())}`;
}

/** 2026-11-28 14:03:07.123 */
export function moment(ms) {
  if (!known(ms) || ms < 0) return "–";
  const t = new Date(ms);
  return `${t.getFullYear()}-${two(t.getMonth() + 1)}-${two(t.getDate())} ${clock(ms)}.${String(t.getMilliseconds()).padStart(3, "0")}`;
}

/** 1 topic, 2 topics */
export const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;
