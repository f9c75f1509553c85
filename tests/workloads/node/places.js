// SPDX-License-Identifier: Apache-2.0
// Calls through functions of all kinds down to a place where it says what its own Error().stack is,
// as one line of JSON, with whether outer() is optimized, and sleeps there for good.
// places.js [optimize|maglev]
'use strict';
Error.stackTraceLimit = 100;
const cell = new Int32Array(new SharedArrayBuffer(4));
const path = require('path');
const vm = require('vm');

function freeze() {
  const stack = new Error().stack; sleepForGood(stack);
}
function sleepForGood(stack) {
  require('fs').writeSync(1, JSON.stringify([stack, isOptimized(outer)]) + '\n'); Atomics.wait(cell, 0, 0);
}

// Three levels that an optimizing compiler makes one. Their callee differs from call to call.
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
    this.n = area(this, n);
  }
  method(n) {
    return outer(n) + this.#hidden(n);
  }
  #hidden(n) {
    return n;
  }
  static make(n) {
    return new this(n);
  }
  get size() {
    return this.method(3);
  }
}
class Square extends Shape {}
function area(shape, n) {
  return shape.size + n;
}

const arrow = (n) => Square.make(n).n;
const object = {
  literal(n) {
    return [n].map((x) => arrow(x))
      .reduce((a, b) => a + b, 0);
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
  const v = eval('(n) => { let ' +
    Array.from({ length: 90 }, (_, i) => `a${i} = n`).join(', ') +
    '; return () => { eval(""); return süß(a89 + a0); } }');
  return v(n)();
}
const inVm = vm.runInThisContext('(function inVm(f, n) {\n  return f(n);\n})', {
  filename: path.join(__dirname, 'in-vm.js'), lineOffset: 40,
});
async function later(n) {
  await null;
  return inVm(captured, n);
}
function sorted(n) {
  return [2, 1].sort((a, b) => { later(n); return a - b; });
}

function warm() {
  const hooks = [(x) => x, (x) => x + 1, (x) => x - 1, (x) => x * 2, (x) => x | 0, (x) => x ^ 1];
  for (let i = 0; i < 100; i++)
    for (const one of hooks) {
      hook = one;
      outer(i);
    }
}
let isOptimized = () => false;
if (process.argv[2]) {
  // kOptimized of V8's src/runtime/runtime.h.
  const bit = parseInt(process.versions.v8) < 14 ? 16 : 8;
  isOptimized = new Function('f', `return (%GetOptimizationStatus(f) & ${bit}) !== 0`);
  const prepare = new Function('f', '%PrepareFunctionForOptimization(f)');
  const optimize = new Function('f', process.argv[2] === 'maglev' ? '%OptimizeMaglevOnNextCall(f)' :
    '%OptimizeFunctionOnNextCall(f)');
  for (const f of [inner, middle, outer])
    prepare(f);
  warm();
  optimize(outer);
  outer(1);
}
hook = freeze;
setTimeout(() => sorted(5), 1);
