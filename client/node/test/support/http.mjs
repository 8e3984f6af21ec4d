// Requests to a worker that speaks HTTP at an endpoint of gob.
import * as http from "node:http";

/** Sends a request to `unix:/path` or `http://host:port`; the parsed answer. */
export function ask(endpoint, path, body) {
  const where = endpoint.startsWith("unix:") ? { socketPath: endpoint.slice(5) } : { host: new URL(endpoint).hostname, port: new URL(endpoint).port };
  return new Promise((resolve, reject) => {
    const request = http.request({ ...where, path, method: body === undefined ? "GET" : "POST" }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (piece) => (text += piece));
      response.on("end", () => resolve(JSON.parse(text))).on("error", reject);
    });
    request.on("error", reject);
    request.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/** Calls a method of the example's worker. */
export async function invoke(endpoint, method, args) {
  const { result, error } = await ask(endpoint, "/v1/invoke", { method, args });
  if (error !== undefined) throw new Error(error);
  return result;
}
