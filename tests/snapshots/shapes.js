// SPDX-License-Identifier: Apache-2.0
// The program that the Node.js recordings in this folder are of: a thread for each shape of stack, all
// asleep in hold(). Each says itself, by its Error().stack, what that is: a line of FILE.NAME.
// Usage: node --allow-natives-syntax shapes.js FILE
'use strict';
const fs = require('fs');
const { Worker, isMainThread, workerData } = require('worker_threads');

Error.stackTraceLimit = 100;
const cell = new Int32Array(new SharedArrayBuffer(4));
const job = isMainThread ? { name: 'interpreted', file: process.argv[2] } : workerData;

function hold() {
  fs.writeFileSync(`${job.file}.${job.name}`, JSON.stringify([new Error().stack, %GetOptimizationStatus(outer)])); Atomics.wait(cell, 0, 0);
}

let hook = (x) => x;
function inner(x) {
  return (
    hook(x) + 1);
}
function middle(x) {
  const y = x + 1;
  return inner(y) * 2;
}
function outer(x) {
  let sum = 0;
  sum += middle(x);
  return sum;
}

class Shape {
  constructor(n) {
    this.n = n;
  }
  static make(n) {
    return new this(n).size;
  }
  get size() {
    return this.#hidden(this.n);
  }
  #hidden(n) {
    return outer(n);
  }
}
class Square extends Shape {}
const object = {
  literal(n) {
    return [n].map((x) => Square.make(x)).reduce((a, b) => a + b, 0);
  },
};
function* generator(n) {
  yield object.literal(n);
}
function süß(n) {
  for (const x of generator(n))
    return x;
}
function captured(n) {
  // More captured variables than a ScopeInfo holds the names of.
  const v = eval('(n) => { let ' + Array.from({ length: 90 }, (_, i) => `a${i} = n`).join(', ') +
    '; return () => { eval(""); return süß(a89 + a0); } }');
  return v(n)();
}
async function later(n) {
  await null;
  return captured(n);
}

const functions = [inner, middle, outer];
function warm() {
  for (let i = 0; i < 5; i++)
    for (const one of [(x) => x, (x) => x + 1, (x) => x - 1, (x) => x * 2, (x) => x | 0, (x) => x ^ 1]) {
      hook = one;
      outer(i);
    }
}
const tiers = {
  interpreted() {},
  baseline() {
    for (const f of functions)
      %CompileBaseline(f);
  },
  maglev() {
    for (const f of functions)
      %PrepareFunctionForOptimization(f);
    warm();
    new Function('f', '%OptimizeMaglevOnNextCall(f)')(outer);
    outer(1);
  },
  optimized() {
    for (const f of functions)
      %PrepareFunctionForOptimization(f);
    warm();
    %OptimizeFunctionOnNextCall(outer);
    outer(1);
  },
};
if (isMainThread)
  for (const name of process.argv.slice(3))
    new Worker(__filename, { workerData: { name, file: job.file } });
tiers[job.name]();
hook = hold;
if (isMainThread)
  // The workers need its event loop until they run.
  setInterval(() => {
    if (process.argv.slice(3).every((name) => fs.existsSync(`${job.file}.${name}`)))
      later(5);
  }, 20);
else
  later(5);
