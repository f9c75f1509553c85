// SPDX-License-Identifier: Apache-2.0
// perfetto.mjs FOLDER TRACE SQL...: what Perfetto's own trace processor answers, one line of JSON for
// each query. FOLDER has its WebAssembly and the two scripts that drive it, made for a browser's worker.
import {readFileSync} from 'node:fs';
import {pathToFileURL} from 'node:url';
import vm from 'node:vm';

const [folder, trace, ...queries] = process.argv.slice(2);

// A worker as far as they need one. Only the module with 32-bit addresses is there.
globalThis.self = globalThis;
globalThis.WorkerGlobalScope = function () {};
globalThis.location = new URL(`${pathToFileURL(folder)}/`);
globalThis.XMLHttpRequest = class {
	open(method, name) {
		this.response = readFileSync(`${folder}/${name}`);
	}
	send() {}
};
const Module = WebAssembly.Module;
WebAssembly.Module = function (bytes) {
	if (bytes[8] === 5) // its first section is of memories: that asks for 64-bit addresses
		throw new WebAssembly.CompileError('32 bits here');
	return new Module(bytes);
};

const log = [];
console.log = console.warn = (...line) => log.push(line.join(' '));
const {EngineBase} = await import(pathToFileURL(`${folder}/engine.mjs`));
vm.runInThisContext(readFileSync(`${folder}/engine_bundle.node.js`, 'utf8'));
const {port1, port2} = new MessageChannel();
self.onmessage({data: port1});

class Engine extends EngineBase {
	mode = 'WASM';
	id = 'it';
	rpcSendRequestBytes(data) {
		port2.postMessage(data);
	}
	[Symbol.dispose]() {}
}
const engine = new Engine();
port2.onmessage = (message) => engine.onRpcResponseBytes(message.data);
await new Promise((resolve) => setImmediate(resolve));
await engine.parse(readFileSync(trace));
await engine.notifyEof();
for (const sql of queries) {
	const result = await engine.query(sql);
	const rows = [];
	for (const row = result.iter({}); row.valid(); row.next())
		rows.push(result.columns().map((name) => row.get(name)));
	process.stdout.write(JSON.stringify(rows, (_, v) => typeof v === 'bigint' ? Number(v) : v) + '\n');
}
if (log.length)
	process.stderr.write(log.join('\n') + '\n');
process.exit(0);
