// SPDX-License-Identifier: Apache-2.0
// An ES module, two worker threads of which one runs and one sleeps, and a main thread that waits in
// its event loop.
import { Worker, isMainThread, workerData } from 'node:worker_threads';

function spinning() {
  for (let i = 0; ; i++)
    if (i < 0)
      return i;
}
function sleeping(cell) {
  Atomics.wait(cell, 0, 0);
}
if (isMainThread) {
  for (const job of ['spin', 'sleep'])
    new Worker(new URL(import.meta.url), { workerData: job }).on('message', (m) => console.log(m));
} else {
  const { parentPort } = await import('node:worker_threads');
  parentPort.postMessage(workerData);
  // The message goes out when this thread's event loop comes round.
  setTimeout(() => workerData === 'spin'
    ? spinning()
    : sleeping(new Int32Array(new SharedArrayBuffer(4))), 50);
}
