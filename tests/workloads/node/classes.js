// SPDX-License-Identifier: Apache-2.0
// Calls through methods of all kinds, each by a receiver of the class that has it, but for those that
// are called otherwise. Says what its own Error().stack is, as a line of JSON, and sleeps for good.
'use strict';
Error.stackTraceLimit = 100;
const cell = new Int32Array(new SharedArrayBuffer(4));

function sleepForGood() {
  const stack = new Error().stack;
  require('fs').writeSync(1, JSON.stringify(stack) + '\n');
  Atomics.wait(cell, 0, 0);
}
class Plain {
  last() {
    sleepForGood();
  }
  #hidden() {
    this.last();
  }
  callHidden() {
    this.#hidden();
  }
  static made() {
    new Plain().callHidden();
  }
  get size() {
    Plain.made();
    return 1;
  }
  set size(n) {
    void this.size;
  }
  *items() {
    this.size = 1;
    yield 1;
  }
  [Symbol.iterator]() {
    return { next: () => ({ done: [...this.items()].length }) };
  }
  async later() {
    for (const x of this)
      return x;
  }
}
// As many properties as do not fit in the object itself.
class Crowded {}
for (let i = 0; i < 300; i++)
  Crowded.prototype['m' + i] = i;
Crowded.prototype.m250 = function m250() {
  new Plain().later();
};
function Old() {}
Old.prototype.walk = function walk() {
  new Crowded().m250();
};
// A prototype that is a table.
function Slow() {}
for (let i = 0; i < 50; i++)
  Slow.prototype['x' + i] = i;
for (let i = 0; i < 50; i++)
  delete Slow.prototype['x' + i];
Slow.prototype.crawl = function crawl() {
  new Old().walk();
};
const literal = {
  ofObject() {
    new Slow().crawl();
  },
};
class Base {
  inherited() {
    literal.ofObject();
  }
}
class Derived extends Base {
  inherited() {
    super.inherited();
  }
}
class Local {
  constructor() {
    this.own = function own() {
      new Derived().inherited();
    };
  }
}
// Has the name of a method, and a receiver of that class, and is none.
function borrowed() {
  new Local().own();
}
class Lender {
  borrowed() {}
}
const unnamed = new (class {
  ofNobody() {
    borrowed.call(new Lender());
  }
})();
setTimeout(() => unnamed.ofNobody(), 1);
