// The JSON API of this very server (docs/http.md). Everything that asks it does so here.

/** What the server refused, or that it could not be reached (status 0). The message is for a person. */
export class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }

  get unreachable() {
    return this.status === 0;
  }
}

const TIMEOUT_MS = 30_000;

async function failure(response) {
  try {
    const { error } = await response.json();
    return new ApiError(response.status, error.code, error.message);
  } catch {
    return new ApiError(response.status, "UNKNOWN_SERVER_ERROR", `The server answered ${response.status} ${response.statusText}`);
  }
}

async function ask(method, path, { body, signal, query } = {}) {
  const given = Object.entries(query ?? {}).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const url = `/api/v1${path}${given.length ? `?${new URLSearchParams(given)}` : ""}`;
  const limit = AbortSignal.timeout(TIMEOUT_MS);
  let response;
  try {
    response = await fetch(url, {
      method,
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
      headers: method === "GET" ? {} : { "X-Odradek": "1", "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    if (!response.ok) throw await failure(response);
    return await response.json();
  } catch (problem) {
    if (problem instanceof ApiError || signal?.aborted) throw problem;
    throw new ApiError(0, "UNREACHABLE", "The broker does not answer.");
  }
}

/** A path from its parts, each encoded: path("topics", name, "configs"). */
export const path = (...parts) => `/${parts.map(encodeURIComponent).join("/")}`;

export const get = (where, options) => ask("GET", where, options);
export const post = (where, body, options) => ask("POST", where, { ...options, body });
export const put = (where, body, options) => ask("PUT", where, { ...options, body });
export const patch = (where, body, options) => ask("PATCH", where, { ...options, body });
export const remove = (where, options) => ask("DELETE", where, options);
