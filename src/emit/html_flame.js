/* SPDX-License-Identifier: Apache-2.0 */
/* The flame graph: a canvas as large as what is seen of it, drawn anew when that changes. A frame
 * narrower than a pixel shares it with its neighbours, so a drawing costs what the screen holds, not
 * what the profile does. */
'use strict';

var flame = (function () {
	const ROW = 18, PAD = 4, MIN_LABEL = 26, MIN_CHARS = 3, MAX_TEXT = 400;
	const canvas = document.getElementById('canvas'), holder = document.getElementById('graph');
	const spacer = document.getElementById('spacer'), pen = canvas.getContext('2d');
	const charWidths = new Map();
	let tree = null, zoomed = 0, rows = 1, icicle = false;
	let hit = null;                  /* per key, or null: nothing is searched */
	let current = -1, pointed = -1;  /* nodes: the one that keys act on, the one below the pointer */
	let colours = {}, font = '';
	let width = 0, height = 0, waiting = false;

	function readColours() {
		const style = getComputedStyle(document.documentElement);
		colours = {};
		for (const name of ['page', 'text', 'label', 'hit', 'focus'])
			colours[name] = style.getPropertyValue('--' + name).trim();
		for (const kind of 'nikpjm')
			colours[kind] = [0, 1, 2, 3].map(shade => style.getPropertyValue('--' + kind + shade).trim());
		font = '12px ' + getComputedStyle(document.body).fontFamily;
	}

	function charWidth(c) {
		let w = charWidths.get(c);
		if (w === undefined)
			charWidths.set(c, w = pen.measureText(c).width);
		return w;
	}

	/* As much of text as fits into some pixels; nothing if that says nothing. */
	function fit(text, room) {
		const dots = charWidth('\u2026');
		let used = 0, end = 0, cut = 0;
		for (const c of text.slice(0, MAX_TEXT)) {
			used += charWidth(c);
			if (used > room)
				break;
			end += c.length;
			if (used + dots <= room)
				cut = end;
		}
		if (end === text.length)
			return text;
		return cut >= MIN_CHARS ? text.slice(0, cut) + '\u2026' : '';
	}

	function nameOf(i) {
		return i ? tree.keys.items[tree.key[i]].text : tree.name;
	}

	function rowEnd(depth) {
		return depth + 1 < tree.rows.length ? tree.rows[depth + 1] : tree.n;
	}

	/* The first node of a row, from one on, that ends behind x. */
	function findEnd(depth, x, from) {
		let lo = Math.max(tree.rows[depth], from || 0), hi = rowEnd(depth);
		while (lo < hi) {
			const mid = (lo + hi) >> 1;
			if (tree.x[mid] + tree.total[mid] > x)
				hi = mid;
			else
				lo = mid + 1;
		}
		return lo;
	}

	function window_() {
		return { from: tree.x[zoomed], size: tree.total[zoomed] || 1 };
	}

	/* Rows that have something of what is zoomed to. */
	function measure() {
		const { from, size } = window_();
		rows = tree.depth[zoomed] + 1;
		while (rows < tree.rows.length) {
			const i = findEnd(rows, from);
			if (i === rowEnd(rows) || tree.x[i] >= from + size)
				break;
			rows++;
		}
		spacer.style.height = rows * ROW + 'px';
	}

	function rowTop(depth) {
		return (icicle ? depth : Math.max(rows, Math.floor(height / ROW)) - 1 - depth) * ROW;
	}

	function colourOf(i) {
		if (!i)
			return colours.m[0];
		const key = tree.key[i];
		return hit && hit[key] ? colours.hit : colours[tree.keys.items[key].kind][tree.shade[i]];
	}

	function drawRow(depth, y) {
		const { from, size } = window_(), scale = width / size;
		let i = findEnd(depth, from);
		for (const end = rowEnd(depth); i < end && tree.x[i] < from + size;) {
			const left = Math.max(0, (tree.x[i] - from) * scale);
			const right = Math.min(width, (tree.x[i] + tree.total[i] - from) * scale);
			const w = right - left;
			pen.globalAlpha = (depth < tree.depth[zoomed] ? 0.5 : 1) * (hit && !(i && hit[tree.key[i]]) ? 0.4 : 1);
			pen.fillStyle = colourOf(i);
			if (w < 1) {
				pen.globalAlpha *= 0.6;
				pen.fillRect(Math.floor(left), y, 1, ROW - 1);
				i = Math.max(i + 1, findEnd(depth, from + (Math.floor(left) + 1) / scale, i));
				continue;
			}
			pen.fillRect(left, y, w > 3 ? w - 1 : w, ROW - 1);
			if (w >= MIN_LABEL) {
				pen.globalAlpha = Math.max(pen.globalAlpha, 0.75);
				pen.fillStyle = hit && !(i && hit[tree.key[i]]) || depth < tree.depth[zoomed] ? colours.text :
					colours.label;
				const text = fit(nameOf(i), w - 2 * PAD);
				if (text)
					pen.fillText(text, left + PAD, y + ROW / 2);
			}
			i++;
		}
		pen.globalAlpha = 1;
	}

	/* In pixels of the canvas; null: not in sight. */
	function boxOf(i) {
		const { from, size } = window_(), scale = width / size, depth = tree.depth[i];
		const left = Math.max(0, (tree.x[i] - from) * scale);
		const right = Math.min(width, (tree.x[i] + tree.total[i] - from) * scale);
		if (depth >= rows || right < left || (right === left && tree.total[i] > 0))
			return null;
		return { x: left, y: rowTop(depth) - holder.scrollTop, width: right - left, height: ROW - 1 };
	}

	function outline(i, colour, thick) {
		const box = i >= 0 && i < tree.n ? boxOf(i) : null;
		if (!box)
			return;
		pen.strokeStyle = colour;
		pen.lineWidth = thick;
		pen.strokeRect(box.x + thick / 2, box.y + thick / 2, Math.max(1, box.width - 1 - thick),
			box.height - thick);
	}

	function draw() {
		const ratio = window.devicePixelRatio || 1;
		width = holder.clientWidth;
		height = holder.clientHeight;
		if (!width || !height)
			return;
		if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
			canvas.width = Math.round(width * ratio);
			canvas.height = Math.round(height * ratio);
			canvas.style.height = height + 'px';
		}
		pen.setTransform(ratio, 0, 0, ratio, 0, 0);
		if (pen.font !== font)
			pen.font = font;
		pen.textBaseline = 'middle';
		pen.fillStyle = colours.page;
		pen.fillRect(0, 0, width, height);
		for (let depth = 0; depth < rows; depth++) {
			const y = rowTop(depth) - holder.scrollTop;
			if (y > -ROW && y < height)
				drawRow(depth, y);
		}
		outline(pointed, colours.text, 1.5);
		if (document.activeElement === canvas)
			outline(current, colours.focus, 2.5);
	}

	function redraw() {
		if (waiting)
			return;
		waiting = true;
		requestAnimationFrame(() => {
			waiting = false;
			draw();
		});
	}

	function showRoot() {
		holder.scrollTop = icicle ? 0 : holder.scrollHeight;
	}

	function showNode(i) {
		const top = rowTop(tree.depth[i]);
		if (top < holder.scrollTop)
			holder.scrollTop = top - ROW;
		else if (top + ROW > holder.scrollTop + height)
			holder.scrollTop = top + 2 * ROW - height;
	}

	/* The node at a point of the canvas; -1: none. */
	function at(x, y) {
		const line = Math.floor((y + holder.scrollTop) / ROW);
		const depth = icicle ? line : Math.max(rows, Math.floor(height / ROW)) - 1 - line;
		if (depth < 0 || depth >= rows)
			return -1;
		const { from, size } = window_(), value = from + x / width * size;
		const i = findEnd(depth, value);
		return i < rowEnd(depth) && tree.x[i] <= value ? i : -1;
	}

	function inSight(i) {
		const { from, size } = window_();
		return i >= 0 && i < tree.n && tree.depth[i] < rows && tree.x[i] < from + size &&
			tree.x[i] + tree.total[i] > from;
	}

	/* The node that an arrow key leads to; the same where there is none. */
	function next(key) {
		const i = current, depth = tree.depth[i];
		if (!inSight(i))
			return zoomed;
		if (key === 'ArrowLeft' || key === 'ArrowRight') {
			const to = i + (key === 'ArrowLeft' ? -1 : 1);
			return to >= tree.rows[depth] && to < rowEnd(depth) && inSight(to) ? to : i;
		}
		if ((key === 'ArrowDown') !== icicle)
			return depth ? tree.parent[i] : i;
		let best = -1;
		for (let c = tree.first[i]; c < tree.first[i] + tree.kids[i]; c++)
			if (inSight(c) && (best < 0 || tree.total[c] > tree.total[best]))
				best = c;
		return best < 0 ? i : best;
	}

	return {
		canvas, ROW, redraw, boxOf, at, next, inSight, nameOf, showNode,
		setTree(t, zoom) {
			tree = t;
			zoomed = zoom < t.n ? zoom : 0;
			current = pointed = -1;
			measure();
			showRoot();
			redraw();
		},
		setZoom(i) {
			zoomed = i;
			measure();
			showRoot();
			redraw();
		},
		setIcicle(yes) {
			icicle = yes;
			showRoot();
			redraw();
		},
		setHits(keys) {
			hit = keys;
			redraw();
		},
		setCurrent(i) {
			current = i;
			if (i >= 0 && inSight(i))
				showNode(i);
			redraw();
		},
		setPointed(i) {
			if (pointed !== i)
				redraw();
			pointed = i;
		},
		setColours() {
			readColours();
			redraw();
		},
		get tree() { return tree; },
		get zoomed() { return zoomed; },
		get current() { return current; },
	};
})();
