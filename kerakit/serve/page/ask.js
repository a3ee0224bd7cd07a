// Questions to the server.

/** A request that has no answer; its message is a sentence for the user. */
export class Refused extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

// Here alone: neither a cookie nor the browser's storage keeps it.
let token = "";

export function useToken(text) {
  token = text;
}

/**
 * What the server answers at a path, and the milliseconds until all of it was here.
 * @param {string} path relative to the page, so that a proxy may put it anywhere
 * @param {string} [body] JSON that is posted
 * @param {AbortSignal} [signal] ends it, with an error that is no `Refused`
 */
export async function ask(path, body, signal) {
  // What no header can hold would look as if the server were gone.
  if (/[^ -~]/.test(token)) throw new Refused("No token has such letters.", 401);
  const started = performance.now();
  let response, text;
  try {
    response = await fetch(path, {
      method: body === undefined ? "GET" : "POST",
      headers: {
        ...(body !== undefined && { "Content-Type": "application/json" }),
        ...(token && { Authorization: `Bearer ${token}` }),
      },
      body,
      signal,
    });
    text = await response.text();
  } catch {
    signal?.throwIfAborted();
    throw new Refused("The server does not answer; is it running?");
  }
  const milliseconds = performance.now() - started;
  const content = parsed(text);
  if (!response.ok) {
    throw new Refused(content?.error ?? `The server answered ${response.status}.`, response.status);
  }
  if (content === undefined) throw new Refused("The server's answer cannot be read.");
  return { content, milliseconds };
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The body of a request for one image or clip. */
export function bodyOf(instance, signature) {
  const named = signature === "serving_default" ? {} : { signature_name: signature };
  return JSON.stringify({ ...named, instances: [instance] });
}

/** A file as TensorFlow Serving takes bytes in JSON. */
export async function b64(blob) {
  const reader = new FileReader();
  await new Promise((resolve, reject) => {
    reader.onload = resolve;
    reader.onerror = () => reject(new Refused("The file cannot be read."));
    reader.readAsDataURL(blob);
  });
  return { b64: reader.result.slice(reader.result.indexOf(",") + 1) };
}
