// SPDX-License-Identifier: Apache-2.0
// Native code in all the places it runs in: an add-on (native.js ADDON), libuv's thread pool (crypto and
// zlib), V8's own threads (garbage).
'use strict';
const work = require(process.argv[2]);
const crypto = require('crypto');
const zlib = require('zlib');

function callAddon() {
  return work(10);
}
let garbage = [];
function makeGarbage() {
  const end = Date.now() + 10;
  while (Date.now() < end) {
    garbage.push({ a: [garbage.length], s: 'x' + garbage.length });
    if (garbage.length > 300000)
      garbage = [];
  }
}
function derive() {
  crypto.pbkdf2('secret', 'salt', 20000, 64, 'sha512', derive);
}
const data = Buffer.alloc(1 << 20, 'words that repeat, and are 1 2 3 different ');
function compress() {
  zlib.deflate(data, { level: 9 }, compress);
}
function loop() {
  callAddon();
  makeGarbage();
  setImmediate(loop);
}
derive();
compress();
loop();
console.log('ready');
