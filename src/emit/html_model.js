/* SPDX-License-Identifier: Apache-2.0 */
/* What the page knows: the recorded tree, views of it (of one thread, with or without lines, in an
 * order), sums per function, what a search finds. No drawing here. */
'use strict';

var model = (function () {
	const data = JSON.parse(document.getElementById('profile').textContent);
	const KINDS = 'nikpjm';
	const n = data.kids.length;
	const byTime = data.meta.unit === 'ns';
	const own = Float64Array.from(byTime ? data.ns : data.samples);
	const ownSamples = Float64Array.from(data.samples);
	const first = new Uint32Array(n), parent = new Int32Array(n).fill(-1);
	const total = Float64Array.from(own), totalSamples = Float64Array.from(ownSamples);
	const rootKind = new Int8Array(n).fill(-1); /* 0: a process; 1: a thread */

	for (let i = 0, next = 1; i < n; i++) {
		first[i] = next;
		for (let k = data.kids[i]; k > 0; k--)
			parent[next++] = i;
	}
	for (let i = n - 1; i > 0; i--) {
		total[parent[i]] += total[i];
		totalSamples[parent[i]] += totalSamples[i];
	}
	for (let i = 0; i < data.roots.length; i += 2)
		rootKind[data.roots[i]] = data.roots[i + 1];

	function hash(text) {
		let h = 2166136261;
		for (let i = 0; i < text.length; i++)
			h = Math.imul(h ^ text.charCodeAt(i), 16777619);
		return (h ^ h >>> 15) >>> 0;
	}

	/* What a frame can be told apart by: of: the number of each label's; items: what each is. Labels are
	 * sorted by name, so numbers are in that order, too. */
	function keysOf(withLines) {
		const of = new Uint32Array(data.names.length), items = [], known = new Map();
		data.names.forEach((name, label) => {
			const kind = data.kinds[label], place = data.places[label];
			const same = withLines ? label : name + ' ' + kind + ' ' + place;
			let key = known.get(same);
			if (key === undefined) {
				key = items.length;
				known.set(same, key);
				const text = data.strings[name];
				const at = withLines ? data.strings[data.ats[label]] : '';
				items.push({ name: text, text: text + at, kind: KINDS[kind], place: data.strings[place],
					shade: hash(text) % 4 });
			}
			of[label] = key;
		});
		return { of, items };
	}

	const hasLines = data.ats.some(at => at !== 0);
	const keySets = [keysOf(false), hasLines ? keysOf(true) : null];
	if (!hasLines)
		keySets[1] = keySets[0];

	/* The places a node's callees are at; in the merged view threads are no frames. */
	function eachChild(i, merged, visit) {
		for (let c = first[i]; c < first[i] + data.kids[i]; c++) {
			if (merged && rootKind[c] >= 0)
				eachChild(c, merged, visit);
			else
				visit(c);
		}
	}

	function ownOf(i, merged, values) {
		let sum = values[i];
		for (let c = first[i]; merged && c < first[i] + data.kids[i]; c++)
			if (rootKind[c] >= 0)
				sum += ownOf(c, merged, values);
		return sum;
	}

	/* A tree to look at. Nodes are by depth, from left to right; nodes[0] is what it is of. settings:
	 * of: a node's number, 'all' or 'merged'; lines, heavy: booleans. */
	function build(settings) {
		const keys = keySets[settings.lines ? 1 : 0], merged = settings.of === 'merged';
		const start = typeof settings.of === 'number' ? settings.of : 0;
		const t = { keys, settings, key: [-1], parent: [-1], depth: [0], first: [], kids: [], own: [], ownSamples: [],
			total: [total[start]], totalSamples: [totalSamples[start]], x: [0], shade: [0], rows: [0],
			name: start ? data.strings[data.names[data.labels[start]]] : 'all',
			places: [[start]] };
		for (let i = 0; i < t.places.length; i++) {
			const children = new Map();
			let sum = 0, sumSamples = 0;
			for (const place of t.places[i]) {
				sum += ownOf(place, merged, own);
				sumSamples += ownOf(place, merged, ownSamples);
				eachChild(place, merged, c => {
					const key = keys.of[data.labels[c]], child = children.get(key);
					if (child) {
						child.total += total[c];
						child.samples += totalSamples[c];
						child.places.push(c);
					} else {
						children.set(key, { key, total: total[c], samples: totalSamples[c], places: [c] });
					}
				});
			}
			t.own.push(sum);
			t.ownSamples.push(sumSamples);
			t.first.push(t.places.length);
			t.kids.push(children.size);
			const sorted = children.size > 1 ? [...children.values()].sort((a, b) =>
				(settings.heavy && b.total - a.total) || a.key - b.key) : children.values();
			let x = t.x[i];
			for (const child of sorted) {
				const depth = t.depth[i] + 1, at = t.places.length;
				if (t.rows.length === depth)
					t.rows.push(at);
				const isFirst = t.rows[depth] === at;
				let shade = keys.items[child.key].shade;
				if (!isFirst && shade === t.shade[at - 1])
					shade = (shade + 1) % 4; /* neighbours always differ */
				t.key.push(child.key);
				t.parent.push(i);
				t.depth.push(depth);
				t.total.push(child.total);
				t.totalSamples.push(child.samples);
				t.places.push(child.places);
				t.x.push(x);
				t.shade.push(shade);
				x += child.total;
			}
		}
		t.n = t.places.length;
		t.whole = t.total[0] || 1;
		return t;
	}

	/* Per key: what ended there, and what passed through, a stack counted once however often it recurs. */
	function sums(t) {
		const rows = new Map(), inside = new Int32Array(t.keys.items.length), path = [];
		const row = key => {
			if (!rows.has(key))
				rows.set(key, Object.assign({ key, own: 0, total: 0, ownSamples: 0, totalSamples: 0 }, t.keys.items[key]));
			return rows.get(key);
		};
		const todo = [0];
		while (todo.length) {
			const i = todo.pop();
			while (path.length && path.length > t.depth[i]) {
				const left = path.pop();
				if (t.key[left] >= 0)
					inside[t.key[left]]--;
			}
			path.push(i);
			if (t.key[i] >= 0) {
				const r = row(t.key[i]);
				r.own += t.own[i];
				r.ownSamples += t.ownSamples[i];
				if (!inside[t.key[i]]++) {
					r.total += t.total[i];
					r.totalSamples += t.totalSamples[i];
				}
			}
			for (let c = t.first[i]; c < t.first[i] + t.kids[i]; c++)
				todo.push(c);
		}
		return [...rows.values()];
	}

	/* Without capitals, case does not matter. Throws what is no regular expression. */
	function compile(text) {
		return new RegExp(text, /[A-Z]/.test(text.replace(/\\./g, '')) ? 'u' : 'iu');
	}

	/* Which keys match, and the share of the whole their frames cover; one above another counts once. */
	function search(t, test) {
		const hit = Uint8Array.from(t.keys.items, item => test(item) ? 1 : 0);
		const covered = new Uint8Array(t.n);
		let sum = 0, frames = 0;
		for (let i = 1; i < t.n; i++) {
			const is = hit[t.key[i]], above = covered[t.parent[i]];
			covered[i] = is | above;
			frames += is;
			if (is && !above)
				sum += t.total[i];
		}
		return { hit, frames, share: sum / t.whole };
	}

	/* Where in files a node of a view was seen: 'file:3', 'file:3\u20139'. */
	function where(t, i) {
		let file = 0, from = Infinity, to = 0, others = false;
		for (const place of t.places[i]) {
			const f = data.files[place], line = data.lines[place];
			if (!f || (file && f !== file)) {
				others = others || f !== 0;
				continue;
			}
			file = f;
			if (line) {
				from = Math.min(from, line);
				to = Math.max(to, line + data.spans[place]);
			}
		}
		if (!file)
			return '';
		return data.strings[file] + (to ? ':' + from : '') + (to > from ? '\u2013' + to : '') +
			(others ? ' and other files' : '');
	}

	/* Processes and threads, each process's threads behind it. */
	function roots() {
		const list = [];
		const visit = i => {
			const kids = [];
			for (let c = first[i]; c < first[i] + data.kids[i]; c++)
				if (rootKind[c] >= 0)
					kids.push(c);
			kids.sort((a, b) => total[b] - total[a]);
			for (const c of kids) {
				list.push({ node: c, name: data.strings[data.names[data.labels[c]]], thread: rootKind[c] === 1,
					within: i !== 0, share: total[c] / (total[0] || 1) });
				visit(c);
			}
		};
		visit(0);
		return list;
	}

	const grouped = new Intl.NumberFormat('en-US');

	function time(ns) {
		const s = ns / 1e9;
		if (s >= 3600)
			return Math.floor(s / 3600) + ' h ' + String(Math.floor(s / 60) % 60).padStart(2, '0') + ' min';
		if (s >= 100)
			return s.toFixed(1) + ' s';
		if (s >= 1)
			return s.toFixed(2) + ' s';
		return s >= 0.001 ? Number((s * 1e3).toPrecision(3)) + ' ms' : Number((s * 1e6).toPrecision(3)) + ' \u00b5s';
	}

	return {
		meta: data.meta, byTime, hasLines, build, sums, compile, search, where, roots, time,
		kinds: new Set(data.labels.slice(1).map(label => KINDS[data.kinds[label]])),
		count: value => grouped.format(value),
		percent: share => (100 * share).toFixed(2) + '%',
		samples: value => grouped.format(value) + (value === 1 ? ' sample' : ' samples'),
	};
})();
