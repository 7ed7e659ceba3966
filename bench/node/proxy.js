// A plain forwarding proxy, as Node's own HTTP server and undici are meant to be used: `node proxy.js PORT DAEMON`.
"use strict";

const http = require("node:http");
const { Pool } = require("undici");

const [port, daemon] = process.argv.slice(2);
const pool = new Pool(daemon, { connections: 64, pipelining: 1 });

const server = http.createServer((request, response) => {
  const { host, connection, ...headers } = request.headers;
  pool
    .stream({ path: request.url, method: request.method, headers, body: request }, ({ statusCode, headers }) => {
      response.writeHead(statusCode, headers);
      return response;
    })
    .catch(() => {
      if (!response.headersSent) response.writeHead(502);
      response.end();
    });
});
server.keepAliveTimeout = 300_000;
server.requestTimeout = 0;
server.listen(Number(port), "127.0.0.1");
