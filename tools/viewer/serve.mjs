// Serves OHIF's built files, and the archive's DICOMweb under the same origin.
import { createReadStream, existsSync, statSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';

const TYPES = {
  '.css': 'text/css',
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
};

function pass(request, response, archive) {
  const { method, url, headers } = request;
  const passed = http.request({ ...archive, method, path: url, headers }, (answer) => {
    response.writeHead(answer.statusCode, answer.headers);
    answer.pipe(response);
  });
  passed.on('error', (error) => response.writeHead(502).end(String(error)));
  request.pipe(passed);
}

/** Serves on a free port of the loopback; the address. `archive` is the port of Orthanc's HTTP server. */
export async function serve({ files, config, archive }) {
  const server = http.createServer((request, response) => {
    const { pathname } = new URL(request.url, 'http://viewer');
    if (pathname.startsWith('/dicom-web/')) {
      pass(request, response, { host: '127.0.0.1', port: archive });
      return;
    }
    let file = pathname === '/app-config.js' ? config : path.join(files, pathname);
    if (!existsSync(file) || statSync(file).isDirectory()) {
      // The viewer's own routes.
      file = path.join(files, 'index.html');
    }
    response.writeHead(200, { 'Content-Type': TYPES[path.extname(file)] ?? 'application/octet-stream' });
    createReadStream(file).pipe(response);
  });
  await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
  server.unref();
  return `http://127.0.0.1:${server.address().port}`;
}
