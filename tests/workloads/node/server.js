// SPDX-License-Identifier: Apache-2.0
// A server of Express, with one handler that works hard. EXPRESS is the folder of the package.
'use strict';
const express = require(process.env.EXPRESS);
const app = express();

function planted(n) {
  let s = 0;
  for (let i = 0; i < n; i++)
    s = (s * 31 + i) % 1000003;
  return s;
}
class Report {
  constructor(rows) {
    this.rows = rows;
  }
  render() {
    return { rows: this.rows.map((row) => planted(row)) };
  }
}
app.get('/hot', async (request, response) => {
  await null;
  response.json(new Report([100000, 200000]).render());
});
app.get('/cold', (request, response) => response.send('ok'));
const server = app.listen(0, '127.0.0.1', () => console.log('port', server.address().port));
