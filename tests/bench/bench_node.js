// SPDX-License-Identifier: Apache-2.0
// A busy stack of FRAMES functions of JavaScript, each another, some called by builtins: bench_node.js FRAMES.
'use strict';
const frames = Number(process.argv[2]);

function leaf(end) {
  let x = 1;
  do {
    for (let i = 0; i < 1e6; i++)
      x = (x * 31 + i) | 0;
  } while (Date.now() < end || x === 0.5);
  return x;
}
let next = leaf;
for (let i = 0; i < frames - 3; i++) { // with leaf, the callback of the timer and what calls that
  const call = i % 7 === 3 ? '[end].map((x) => callee(x))[0]' : 'callee(end)';
  next = new Function('callee', `return function level${i}(end) {\n  const result = ${call};\n  return result;\n};`)(next);
  if (i % 7 === 3)
    i++; // the arrow function
}
const end = Date.now() + 600000;
setTimeout(() => next(end), 1);
console.log('ready');
