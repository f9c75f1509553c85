// SPDX-License-Identifier: Apache-2.0
// A plain server: says its port, ends after ten minutes.
'use strict';
const http = require('http');

class Report {
  constructor(id) {
    this.id = id;
  }
  rows() {
    const rows = [];
    for (let i = 0; i < 20; i++)
      rows.push({ id: this.id + i, name: 'row ' + i, sum: (i * 7919 + this.id) % 1000 });
    return rows.filter((row) => row.sum % 3).sort((a, b) => a.sum - b.sum);
  }
}
const server = http.createServer((request, response) => {
  const id = Number(new URLSearchParams(request.url.split('?')[1]).get('id'));
  const body = JSON.stringify(new Report(id).rows());
  response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) });
  response.end(body);
});
server.keepAliveTimeout = 600000;
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
setTimeout(() => process.exit(0), 600000);
process.on('SIGTERM', () => process.exit(0));
