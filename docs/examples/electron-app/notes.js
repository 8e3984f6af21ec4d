// Requests to the worker of a graph, over its Unix socket.
import { request } from "node:http";

/** Calls a method of the worker at an endpoint of gob, `unix:/path` or `http://host:port`. */
export async function invoke(endpoint, method, args) {
  const where = endpoint.startsWith("unix:") ? { socketPath: endpoint.slice("unix:".length) } : urlParts(endpoint);
  const { result, error } = JSON.parse(await send({ ...where, method: "POST", path: "/v1/invoke" }, JSON.stringify({ method, args })));
  if (error !== undefined) throw new Error(error);
  return result;
}

function urlParts(endpoint) {
  const { hostname: host, port } = new URL(endpoint);
  return { host, port };
}

function send(options, body) {
  return new Promise((resolve, reject) => {
    const sent = request(options, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (piece) => (text += piece));
      response.on("end", () => resolve(text)).on("error", reject);
    });
    sent.on("error", reject);
    sent.end(body);
  });
}
