/* SPDX-License-Identifier: Apache-2.0 */
/* Makes the picture answer: zoom, search, inversion, tooltips, keys. The frames are the rects that are
 * there; this only reads them. All rects share one coordinate system, 1000000 wide, so that zooming is
 * one change of #frames' viewBox however many there are; the texts lie above it in pixels, for the
 * rows on the screen, and are laid out anew when the view changes. */
(function () {
	'use strict';

	const SVG = 'http://www.w3.org/2000/svg', XHTML = 'http://www.w3.org/1999/xhtml';
	const FULL = 1000000, MIN_LABEL = 24, PAD = 3, BAR = 34, MAX_TEXT = 400, MIN_CHARS = 3;
	const script = document.currentScript;
	const root = script && script.ownerSVGElement || document.documentElement;
	const byId = id => root.querySelector('#' + id);
	const graph = byId('graph'), frames = byId('frames'), labels = byId('labels'), head = byId('head');
	const rowHeight = Number(graph.dataset.row);
	const height = Number(graph.getAttribute('height'));
	let inverted = graph.dataset.inverted === '1';
	let view = { x: 0, w: FULL, depth: 0 };
	let current = null; /* the rect that has the focus or had it last */
	let hits = [];

	/* Per row of equal depth: its rects from left to right, and where they are. */
	const rows = Array.from(frames.children, (g, depth) => {
		const els = Array.from(g.children);
		const xs = new Float64Array(els.length), ws = new Float64Array(els.length);
		els.forEach((el, i) => {
			xs[i] = Number(el.getAttribute('x'));
			ws[i] = Number(el.getAttribute('width'));
		});
		return { g, depth, els, xs, ws };
	});

	function make(ns, name, attributes, parent) {
		const el = document.createElementNS(ns, name);
		for (const key in attributes)
			el.setAttribute(key, attributes[key]);
		if (parent)
			parent.appendChild(el);
		return el;
	}

	const NUMBERS = / \(([\d,]+ samples?), ([\d.]+%)\)$/;

	function facts(el) {
		if (!el.facts) {
			const lines = el.textContent.split('\n');
			const numbers = NUMBERS.exec(lines[0]);
			el.facts = {
				name: numbers ? lines[0].slice(0, numbers.index) : lines[0],
				samples: numbers ? numbers[1] : '',
				percent: numbers ? numbers[2] : '',
				more: lines.slice(1),
			};
		}
		return el.facts;
	}

	/* The last one that begins at or before x; -1: none. */
	function find(row, x) {
		let lo = 0, hi = row.xs.length;
		while (lo < hi) {
			const mid = (lo + hi) >> 1;
			if (row.xs[mid] <= x)
				lo = mid + 1;
			else
				hi = mid;
		}
		return lo - 1;
	}

	function place(el) {
		const depth = rows.findIndex(row => row.g === el.parentNode);
		return { depth, i: find(rows[depth], Number(el.getAttribute('x'))) };
	}

	const pen = make(XHTML, 'canvas', {}).getContext('2d');
	const widths = new Map();

	function charWidth(c) {
		let w = widths.get(c);
		if (w === undefined)
			widths.set(c, w = pen.measureText(c).width);
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

	function rowY(depth) {
		return (inverted ? depth : rows.length - 1 - depth) * rowHeight;
	}

	function drawLabels() {
		const box = graph.getBoundingClientRect(), width = root.getBoundingClientRect().width;
		const scale = width / view.w;
		const pool = labels.children;
		let used = 0;
		for (const row of rows) {
			const y = rowY(row.depth);
			if (box.top + y > window.innerHeight || box.top + y + rowHeight < 0)
				continue;
			for (let i = Math.max(0, find(row, view.x)); i < row.xs.length; i++) {
				if (row.xs[i] >= view.x + view.w)
					break;
				if (row.ws[i] * scale < MIN_LABEL)
					continue;
				const left = Math.max(0, (row.xs[i] - view.x) * scale);
				const right = Math.min(width, (row.xs[i] + row.ws[i] - view.x) * scale);
				const text = fit(facts(row.els[i]).name, right - left - 2 * PAD);
				if (!text)
					continue;
				const el = pool[used++] || make(SVG, 'text', {}, labels);
				el.setAttribute('x', (left + PAD).toFixed(1));
				el.setAttribute('y', y + rowHeight - 5);
				if (el.textContent !== text)
					el.textContent = text;
			}
		}
		while (pool.length > used)
			labels.lastChild.remove();
	}

	/* The heading's texts in what room there is; it stays on the screen when the picture is taller. */
	function drawHead() {
		const box = root.getBoundingClientRect();
		for (const el of head.querySelectorAll('text[data-full]')) {
			const style = getComputedStyle(el);
			const grow = parseFloat(style.fontSize) / 12 * (style.fontWeight >= 600 ? 1.08 : 1);
			const text = fit(el.dataset.full, (box.width - 20) / grow);
			if (el.lastChild.nodeValue !== text)
				el.lastChild.nodeValue = text;
		}
		head.setAttribute('transform', 'translate(0 ' + Math.max(0, -box.top) + ')');
	}

	let waiting = false;

	function redraw() {
		if (waiting)
			return;
		waiting = true;
		requestAnimationFrame(() => {
			waiting = false;
			drawHead();
			drawLabels();
		});
	}

	function setView(x, w, depth) {
		view = { x, w, depth };
		frames.setAttribute('viewBox', x + ' 0 ' + w + ' ' + height);
		for (const row of rows)
			row.g.setAttribute('class', row.depth < depth ? 'row above' : 'row');
		hideTip();
		redraw();
	}

	function zoom(el) {
		const { depth, i } = place(el);
		setView(rows[depth].xs[i], rows[depth].ws[i], depth);
	}

	function setInverted(yes) {
		const old = rowY(0);
		inverted = yes;
		for (const row of rows)
			row.g.setAttribute('transform', 'translate(0 ' + rowY(row.depth) + ')');
		graph.dataset.inverted = yes ? '1' : '0';
		invertButton.setAttribute('aria-pressed', String(yes));
		if (rowY(0) !== old)
			showRoot();
		hideTip();
		redraw();
	}

	function showRoot() {
		const box = root.getBoundingClientRect();
		window.scrollTo(0, inverted ? 0 : box.height + box.top + window.scrollY);
	}

	/* Without capitals, case does not matter. What is no regular expression is an error. */
	function compile(text) {
		return new RegExp(text, /[A-Z]/.test(text.replace(/\\./g, '')) ? 'u' : 'iu');
	}

	/* Share of the whole that the marked frames cover; one above another counts once. */
	function coverage(spans) {
		spans.sort((a, b) => a[0] - b[0]);
		let end = -1, sum = 0;
		for (const [x, w] of spans) {
			sum += Math.max(0, x + w - Math.max(x, end));
			end = Math.max(end, x + w);
		}
		return sum / FULL;
	}

	function search() {
		const text = input.value;
		let regex = null;
		for (const el of hits)
			el.classList.remove('hit');
		hits = [];
		try {
			regex = text ? compile(text) : null;
			input.classList.remove('wrong');
		} catch (e) {
			input.classList.add('wrong');
		}
		const known = new Map(), spans = [];
		for (const row of regex ? rows.slice(1) : []) {
			row.els.forEach((el, i) => {
				const name = facts(el).name;
				if (!known.has(name))
					known.set(name, regex.test(name));
				if (!known.get(name))
					return;
				el.classList.add('hit');
				hits.push(el);
				spans.push([row.xs[i], row.ws[i]]);
			});
		}
		frames.classList.toggle('searched', regex !== null);
		output.value = regex ? (coverage(spans) * 100).toFixed(2) + '% matched' :
			text ? 'no regular expression' : '';
		output.title = regex ? hits.length + ' frames' : '';
	}

	function reset() {
		input.value = '';
		search();
		setView(0, FULL, 0);
	}

	let hovered = null;

	function showTip(el, x, y) {
		const f = facts(el), box = root.getBoundingClientRect();
		const { depth, i } = place(el);
		tipBody.textContent = '';
		make(XHTML, 'b', {}, tipBody).textContent = f.name.length > 1000 ?
			f.name.slice(0, 1000) + '\u2026' : f.name;
		let numbers = f.samples + ', ' + f.percent + ' of all';
		if (view.w < FULL && depth >= view.depth)
			numbers += ', ' + (rows[depth].ws[i] / view.w * 100).toFixed(2) + '% of what is shown';
		for (const line of [numbers].concat(f.more))
			make(XHTML, 'div', {}, tipBody).textContent = line;
		const width = Math.min(560, box.width - 16);
		tip.setAttribute('width', width);
		tip.setAttribute('height', 1000);
		tip.style.display = '';
		const size = tipBody.getBoundingClientRect();
		let left = x + 14, top = y + 18;
		if (left + size.width > box.width - 4)
			left = Math.max(4, Math.min(x - 14 - size.width, box.width - 4 - size.width));
		if (top + size.height > window.innerHeight - 4)
			top = Math.max(4, y - 12 - size.height);
		tip.setAttribute('x', left);
		tip.setAttribute('y', top - box.top);
		tip.setAttribute('height', Math.ceil(size.height) + 8);
	}

	function hideTip() {
		tip.style.display = 'none';
	}

	/* The browser's own tooltip would come over ours: the title is away while the pointer is here. */
	function hover(el) {
		if (hovered === el)
			return;
		if (hovered && hovered.away)
			hovered.appendChild(hovered.away);
		hovered = el;
		if (el) {
			facts(el);
			el.away = el.querySelector('title') || el.away;
			el.away.remove();
		}
	}

	function visible(row, i) {
		return row && i >= 0 && i < row.xs.length && row.xs[i] < view.x + view.w &&
			row.xs[i] + row.ws[i] > view.x;
	}

	function focus(el) {
		if (current)
			current.setAttribute('tabindex', '-1');
		current = el;
		el.setAttribute('tabindex', '0');
		el.focus({ preventScroll: true });
		const at = el.getBoundingClientRect(), top = head.getBoundingClientRect().bottom;
		if (at.top < top)
			window.scrollBy(0, at.top - top - rowHeight);
		else if (at.bottom > window.innerHeight)
			window.scrollBy(0, at.bottom - window.innerHeight + rowHeight);
		const now = el.getBoundingClientRect();
		showTip(el, Math.max(0, now.left), now.bottom);
	}

	/* The widest frame that this one calls; 0 width: none. */
	function widestChild(depth, i) {
		const row = rows[depth + 1], from = rows[depth].xs[i], to = from + rows[depth].ws[i];
		let best = -1;
		for (let k = row ? Math.max(0, find(row, from)) : 0; row && k < row.xs.length; k++) {
			if (row.xs[k] >= to)
				break;
			if (row.xs[k] >= from && (best < 0 || row.ws[k] > row.ws[best]))
				best = k;
		}
		return best;
	}

	function move(key) {
		if (!current || !visible(rows[place(current).depth], place(current).i)) {
			const row = rows[view.depth];
			focus(row.els[Math.max(0, find(row, view.x))]);
			return;
		}
		let { depth, i } = place(current);
		if (key === 'ArrowLeft' || key === 'ArrowRight') {
			i += key === 'ArrowLeft' ? -1 : 1;
		} else if ((key === 'ArrowDown') === inverted) {
			i = widestChild(depth, i);
			depth++;
		} else if (depth > 0) {
			i = find(rows[depth - 1], rows[depth].xs[i]);
			depth--;
		}
		if (visible(rows[depth], i))
			focus(rows[depth].els[i]);
	}

	function findKey(event) {
		return ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'f') ||
			event.key === '/' || event.key === 'F3';
	}

	function typed(event) {
		const inBar = event.target.namespaceURI === XHTML;
		if (event.key === 'Escape') {
			reset();
			if (event.target === input)
				input.blur();
		} else if (event.target === input) {
			if (event.key !== 'Enter' || !hits.length)
				return;
			const widest = hits.reduce((a, b) =>
				Number(b.getAttribute('width')) > Number(a.getAttribute('width')) ? b : a);
			if (!visible(rows[place(widest).depth], place(widest).i))
				setView(0, FULL, 0);
			focus(widest);
		} else if (findKey(event)) {
			input.focus();
			input.select();
		} else if (event.ctrlKey || event.metaKey || event.altKey) {
			return;
		} else if (event.key.startsWith('Arrow')) {
			move(event.key);
		} else if ((event.key === 'Enter' || event.key === ' ') && !inBar && current) {
			zoom(current);
			focus(current);
		} else if (event.key === 'Backspace' && view.depth > 0) {
			const row = rows[view.depth - 1];
			zoom(row.els[find(row, view.x)]);
		} else if (event.key === 'i') {
			setInverted(!inverted);
		} else {
			return;
		}
		event.preventDefault();
	}

	const headHeight = Number(head.dataset.height);
	root.removeAttribute('viewBox');
	root.setAttribute('width', '100%');
	root.setAttribute('height', headHeight + BAR + height + 12);
	graph.setAttribute('y', headHeight + BAR);
	head.querySelector('rect').setAttribute('height', headHeight + BAR - 4);
	const holder = make(SVG, 'foreignObject', { x: 0, y: headHeight - 2, width: '100%', height: BAR - 2 }, head);
	const bar = make(XHTML, 'div', { class: 'ui bar', role: 'toolbar' }, holder);
	const input = make(XHTML, 'input', {
		id: 'search', type: 'text', placeholder: 'Search (regular expression)',
		'aria-label': 'Search, a regular expression', spellcheck: 'false', autocomplete: 'off',
	}, bar);
	const output = make(XHTML, 'output', { id: 'matched', 'aria-live': 'polite' }, bar);
	const resetButton = make(XHTML, 'button', { id: 'reset', type: 'button', title: 'Escape' }, bar);
	resetButton.textContent = 'Reset';
	const invertButton = make(XHTML, 'button', { id: 'invert', type: 'button', title: 'i' }, bar);
	invertButton.textContent = 'Inverted';
	make(XHTML, 'span', { class: 'keys' }, bar).textContent =
		'click or Enter: zoom \u00b7 arrows: move \u00b7 Ctrl-F: search \u00b7 i: invert \u00b7 Esc: reset';
	const tip = make(SVG, 'foreignObject', { id: 'tip', x: 0, y: 0, width: 10, height: 10 }, root);
	const tipBody = make(XHTML, 'div', { class: 'ui tip', role: 'tooltip' }, tip);

	input.addEventListener('input', search);
	input.addEventListener('focus', hideTip);
	resetButton.addEventListener('click', reset);
	invertButton.addEventListener('click', () => setInverted(!inverted));
	frames.addEventListener('click', event => {
		if (event.target.localName !== 'rect')
			return;
		zoom(event.target);
		focus(event.target);
		hideTip();
	});
	frames.addEventListener('mousemove', event => {
		if (event.target.localName !== 'rect')
			return;
		hover(event.target);
		showTip(event.target, event.clientX - root.getBoundingClientRect().left, event.clientY);
	});
	frames.addEventListener('mouseleave', () => {
		hover(null);
		hideTip();
	});
	document.addEventListener('keydown', typed);
	for (const change of ['resize', 'scroll'])
		window.addEventListener(change, () => {
			hideTip();
			redraw();
		});

	pen.font = '12px ' + getComputedStyle(labels).fontFamily;
	labels.textContent = '';
	rows[0].els[0].setAttribute('tabindex', '0');
	hideTip();
	setInverted(inverted);
	showRoot();
	redraw();
})();
