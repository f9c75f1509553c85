// SPDX-License-Identifier: Apache-2.0
// Spends its time in functions of known shares, and says on SIGTERM what they were, in percent.
// shares.js N [garbage]
'use strict';
function five(n) {
  let s = 0;
  for (let i = 0; i < n * 5; i++)
    s += i % 7;
  return s;
}
function three(n) {
  let s = 0;
  for (let i = 0; i < n * 3; i++)
    s += i % 7;
  return s;
}
function two(n) {
  let s = 0;
  for (let i = 0; i < n * 2; i++)
    s += i % 7;
  return s;
}
const n = Number(process.argv[2]);
const spent = { five: 0n, three: 0n, two: 0n };
const least = {};
let garbage = [];
function allocate() {
  for (let i = 0; i < 50; i++)
    garbage.push({ i, s: 'x' + i });
  if (garbage.length > 20000)
    garbage = [];
}
function run(f) {
  const start = process.hrtime.bigint();
  f(n);
  const ns = process.hrtime.bigint() - start;
  if (!(ns >= least[f.name]))
    least[f.name] = ns;
  // Beyond that others had the CPU.
  if (ns < 5n * least[f.name])
    spent[f.name] += ns;
}
function round() {
  run(five);
  run(three);
  run(two);
  if (process.argv[3] === 'garbage')
    allocate();
}
function loop() {
  for (let i = 0; i < 20; i++)
    round();
  setImmediate(loop);
}
process.on('SIGTERM', () => {
  const total = Number(spent.five + spent.three + spent.two);
  const shares = Object.entries(spent).map(([name, ns]) => [name, Number(ns) / total * 100]);
  console.log(JSON.stringify(Object.fromEntries(shares)));
  process.exit(0);
});
loop();
console.log('ready');
