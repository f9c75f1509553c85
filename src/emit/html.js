/* SPDX-License-Identifier: Apache-2.0 */
/* The controls: search, views, table, tooltip, keys, history. All text goes through textContent. */
'use strict';

(function () {
	const byId = id => document.getElementById(id);
	const { meta, count, percent } = model;
	const canvas = flame.canvas, main = byId('main'), tip = byId('tip'), input = byId('search');
	const FIRST_ROWS = 200, MAX_TIP = 1000;
	const KIND_NAMES = { n: 'native', i: 'inlined', k: 'kernel', p: 'Python', j: 'JavaScript', m: '[\u2026] not code' };
	const settings = { of: 'all', lines: model.hasLines, heavy: false };
	let tree = null, found = null, exact = null; /* exact: a row of the table that is searched for */
	let tableRows = null, sorted = 'own', upwards = false, shown = FIRST_ROWS, chosen = null;

	function make(name, attributes, parent, text) {
		const el = document.createElement(name);
		for (const key in attributes)
			el.setAttribute(key, attributes[key]);
		if (text !== undefined)
			el.textContent = text;
		if (parent)
			parent.appendChild(el);
		return el;
	}

	function press(id, yes) {
		byId(id).setAttribute('aria-pressed', String(yes));
	}

	function figure(value, samples) {
		return model.byTime ? model.time(value) : model.samples(samples);
	}

	/* What is said of a node, in lines. */
	function facts(i) {
		const share = tree.total[i] / tree.whole, item = i ? tree.keys.items[tree.key[i]] : null;
		const zoomTotal = tree.total[flame.zoomed] || 1;
		let figures = model.samples(tree.totalSamples[i]) + ', ' + percent(share);
		if (flame.zoomed && tree.depth[i] >= tree.depth[flame.zoomed])
			figures += ', ' + percent(tree.total[i] / zoomTotal) + ' of what is shown';
		const lines = [figures];
		if (model.byTime)
			lines.push(model.time(tree.total[i]) + (tree.own[i] ? ', own ' + model.time(tree.own[i]) : ''));
		else if (tree.own[i])
			lines.push('own ' + model.samples(tree.ownSamples[i]));
		if (item) {
			const isScript = item.kind === 'p' || item.kind === 'j';
			if (item.kind !== 'm')
				lines.push(KIND_NAMES[item.kind] + (item.place && !isScript ? ', ' + item.place : ''));
			const place = model.where(tree, i);
			if (place)
				lines.push(place);
		}
		return { name: flame.nameOf(i), lines };
	}

	function showTip(i, x, y) {
		const f = facts(i);
		tip.textContent = '';
		make('b', {}, tip, f.name.length > MAX_TIP ? f.name.slice(0, MAX_TIP) + '\u2026' : f.name);
		f.lines.forEach((line, at) => make('div', at < 2 ? { class: 'figures' } : {}, tip, line));
		tip.hidden = false;
		const box = tip.getBoundingClientRect();
		let left = x + 14, top = y + 18;
		if (left + box.width > innerWidth - 6)
			left = Math.max(6, Math.min(x - 14 - box.width, innerWidth - 6 - box.width));
		if (top + box.height > innerHeight - 6)
			top = Math.max(6, y - 12 - box.height);
		tip.style.left = left + 'px';
		tip.style.top = top + 'px';
	}

	function hideTip() {
		tip.hidden = true;
	}

	/* name: what Copy copies; null: nothing is chosen. */
	function choose(name, text) {
		chosen = name;
		byId('chosen').textContent = '';
		byId('copy').disabled = name === null;
		if (name === null)
			return;
		make('b', {}, byId('chosen'), text.name.slice(0, MAX_TIP));
		byId('chosen').append(' \u00b7 ' + text.lines.slice(0, 2).join(' \u00b7 '));
	}

	function focusNode(i) {
		flame.setCurrent(i);
		const f = facts(i), item = i ? tree.keys.items[tree.key[i]] : null;
		choose(item ? item.name : tree.name, f);
		const box = flame.boxOf(i), around = canvas.getBoundingClientRect();
		if (box && document.activeElement === canvas)
			showTip(i, around.left + box.x, around.top + box.y + box.height);
	}

	function drawPath() {
		const path = byId('path'), list = [];
		path.textContent = '';
		for (let i = flame.zoomed; i > 0; i = tree.parent[i])
			list.push(tree.parent[i]);
		/* Those next to the frame say most; of a deep one the far ones are left out. */
		const near = list.slice(0, 12).reverse(), inner = list.length ? make('bdi', {}, path) : null;
		near.forEach((i, at) => {
			if (at)
				inner.append(' \u203a ');
			make('button', { type: 'button' }, inner, flame.nameOf(i)).addEventListener('click', () => zoom(i));
		});
		if (inner)
			inner.append(' \u203a ' + flame.nameOf(flame.zoomed).slice(0, 200));
	}

	/* Everything that back and forward restore. */
	function state() {
		return { csample: 1, of: settings.of, lines: settings.lines, heavy: settings.heavy, zoom: flame.zoomed };
	}

	function remember() {
		history.pushState(state(), '');
	}

	function zoom(i) {
		if (i === flame.zoomed)
			return;
		flame.setZoom(i);
		drawPath();
		hideTip();
		remember();
	}

	/* Makes the tree that the settings ask for. */
	function rebuild(zoomTo) {
		tree = model.build(settings);
		tableRows = null;
		press('lines', settings.lines);
		press('heavy', settings.heavy);
		byId('threads').value = String(settings.of);
		flame.setTree(tree, zoomTo);
		choose(null);
		hideTip();
		exact = null;
		search();
		drawPath();
		flame.redraw();
	}

	function change(setting, value) {
		settings[setting] = value;
		rebuild(0);
		remember();
	}

	function search() {
		const text = input.value, output = byId('matched');
		let test = null;
		input.classList.remove('wrong');
		if (exact !== null) {
			const only = exact;
			test = item => item === only;
		} else if (text) {
			try {
				const regex = model.compile(text);
				test = item => regex.test(item.text);
			} catch (e) {
				input.classList.add('wrong');
			}
		}
		found = test ? model.search(tree, test) : null;
		flame.setHits(found && found.hit);
		output.value = found ? percent(found.share) + ' matched' : text ? 'no regular expression' : '';
		output.title = found ? count(found.frames) + ' frames' : '';
		shown = FIRST_ROWS;
		drawTable();
	}

	const COLUMNS = [
		['own', model.byTime ? 'Own' : 'Own samples', r => figureCell(r.own, r.ownSamples)],
		['ownShare', 'Own %', r => percent(r.own / tree.whole)],
		['total', model.byTime ? 'Total' : 'Total samples', r => figureCell(r.total, r.totalSamples)],
		['totalShare', 'Total %', r => percent(r.total / tree.whole)],
		['totalSamples', 'Samples', r => count(r.totalSamples)],
		['text', 'Function', r => r.text],
		['place', 'Module or file', r => r.place],
	].filter(column => model.byTime || column[0] !== 'totalSamples');

	function figureCell(value, samples) {
		return model.byTime ? model.time(value) : count(samples);
	}

	function sortRows() {
		const by = { ownShare: 'own', totalShare: 'total' }[sorted] || sorted;
		const compare = by === 'text' || by === 'place' ? (a, b) => a[by] < b[by] ? 1 : a[by] > b[by] ? -1 : 0 :
			(a, b) => b[by] - a[by];
		tableRows.sort((a, b) => (upwards ? -1 : 1) * compare(a, b) || b.total - a.total || a.key - b.key);
	}

	function drawTable() {
		if (main.className === 'graph')
			return;
		if (!tableRows) {
			tableRows = model.sums(tree);
			sortRows();
		}
		const list = found && exact === null ? tableRows.filter(row => found.hit[row.key]) : tableRows;
		const body = document.querySelector('tbody'), fragment = document.createDocumentFragment();
		for (const row of list.slice(0, shown)) {
			const tr = make('tr', { tabindex: '0' }, fragment);
			tr.row = row;
			tr.classList.toggle('chosen', exact !== null && exact === tree.keys.items[row.key]);
			for (const [key, , text] of COLUMNS) {
				const td = make('td', {}, tr);
				if (key === 'text') {
					td.className = 'text name';
					make('i', { class: 'k' + row.kind }, td);
				} else if (key === 'place') {
					td.className = 'text place';
				}
				const value = text(row);
				td.append(value.slice(0, 2000));
				if (key === 'text' || key === 'place')
					td.title = value.slice(0, MAX_TIP);
			}
		}
		body.replaceChildren(fragment);
		byId('more').hidden = list.length <= shown;
		byId('more').textContent = 'Show more of ' + count(list.length) + ' functions';
		document.querySelectorAll('th').forEach((th, i) => {
			if (COLUMNS[i][0] === sorted)
				th.setAttribute('aria-sort', upwards ? 'ascending' : 'descending');
			else
				th.removeAttribute('aria-sort');
		});
	}

	function sortBy(key) {
		upwards = sorted === key ? !upwards : key === 'text' || key === 'place';
		sorted = key;
		if (tableRows)
			sortRows();
		drawTable();
	}

	/* All frames of a row's function are marked; once more: no longer. */
	function chooseRow(row) {
		const item = tree.keys.items[row.key];
		exact = exact === item ? null : item;
		input.value = '';
		const at = [...document.querySelectorAll('tbody tr')].findIndex(tr => tr.row === row);
		search();
		choose(item.name, { name: item.text, lines: [
			'own ' + figure(row.own, row.ownSamples) + ', ' + percent(row.own / tree.whole),
			'total ' + figure(row.total, row.totalSamples) + ', ' + percent(row.total / tree.whole)] });
		const again = document.querySelectorAll('tbody tr')[at];
		if (again)
			again.focus({ preventScroll: true });
	}

	function show(what) {
		main.className = what;
		for (const view of ['graph', 'table', 'both'])
			press('show-' + view, view === what);
		hideTip();
		drawTable();
		flame.setZoom(flame.zoomed);
	}

	function reset() {
		input.value = '';
		exact = null;
		search();
		hideTip();
		flame.setCurrent(-1);
		choose(null);
		zoom(0);
	}

	function setIcicle(yes) {
		press('icicle', yes);
		flame.setIcicle(yes);
		hideTip();
	}

	function setDark(yes) {
		document.documentElement.classList.toggle('dark', yes);
		press('theme', yes);
		flame.setColours();
	}

	/* The clipboard is there for pages of trust; what else there is needs a selection. */
	async function copy() {
		if (chosen === null)
			return;
		try {
			await navigator.clipboard.writeText(chosen);
		} catch (e) {
			const area = make('textarea', { readonly: '' }, document.body);
			area.value = chosen;
			area.select();
			document.execCommand('copy');
			area.remove();
		}
		const button = byId('copy');
		button.textContent = 'Copied';
		setTimeout(() => { button.textContent = 'Copy name'; }, 1200);
	}

	const KEYS = {
		i: () => setIcicle(byId('icicle').getAttribute('aria-pressed') !== 'true'),
		d: () => setDark(!document.documentElement.classList.contains('dark')),
		h: () => change('heavy', !settings.heavy),
		l: () => model.hasLines && change('lines', !settings.lines),
		t: () => show({ graph: 'table', table: 'both', both: 'graph' }[main.className]),
		c: copy,
		'?': () => byId('keys').showModal(),
	};

	function onCanvas(event) {
		if (event.key.startsWith('Arrow')) {
			focusNode(flame.next(event.key));
		} else if ((event.key === 'Enter' || event.key === ' ') && flame.current >= 0) {
			const i = flame.current;
			zoom(i);
			focusNode(i);
		} else if (event.key === 'Backspace') {
			const i = flame.zoomed;
			if (i)
				zoom(tree.parent[i]);
		} else {
			return false;
		}
		return true;
	}

	function onTable(event) {
		const tr = event.target.closest('tbody tr');
		if (tr && (event.key === 'Enter' || event.key === ' ')) {
			chooseRow(tr.row);
		} else if (tr && (event.key === 'ArrowDown' || event.key === 'ArrowUp')) {
			const to = event.key === 'ArrowDown' ? tr.nextElementSibling : tr.previousElementSibling;
			if (to)
				to.focus();
		} else {
			return false;
		}
		return true;
	}

	function typed(event) {
		const inInput = event.target === input, command = event.ctrlKey || event.metaKey;
		if (byId('keys').open)
			return;
		if ((command && event.key.toLowerCase() === 'f') || (!inInput && event.key === '/')) {
			input.focus();
			input.select();
		} else if (event.key === 'Escape') {
			reset();
			if (inInput)
				canvas.focus();
		} else if (command || event.altKey || event.target.localName === 'select') {
			return;
		} else if (inInput) {
			if (event.key !== 'Enter' || !found)
				return;
			let best = -1;
			for (let i = 1; i < tree.n; i++)
				if (found.hit[tree.key[i]] && (best < 0 || tree.total[i] > tree.total[best]))
					best = i;
			if (best < 0)
				return;
			if (!flame.inSight(best))
				zoom(0);
			canvas.focus({ preventScroll: true });
			focusNode(best);
		} else if (event.target === canvas && onCanvas(event)) {
			/* done */
		} else if (onTable(event)) {
			/* done */
		} else if (event.target === document.body && onCanvas(event)) {
			canvas.focus({ preventScroll: true });
		} else if (KEYS[event.key]) {
			KEYS[event.key]();
		} else {
			return;
		}
		event.preventDefault();
	}

	function fillThreads() {
		const list = model.roots(), select = byId('threads');
		byId('threads-label').hidden = list.length === 0;
		make('option', { value: 'all' }, select, 'all');
		if (list.some(root => root.thread))
			make('option', { value: 'merged' }, select, 'all, threads merged');
		for (const root of list)
			make('option', { value: String(root.node) }, select, (root.within ? '\u2003' : '') +
				(root.thread ? '' : 'process ') + root.name.slice(0, 100) + ' \u2013 ' + percent(root.share));
	}

	function fillPage() {
		byId('title').textContent = meta.title;
		byId('facts').textContent = meta.facts;
		byId('command').textContent = meta.command || '';
		byId('note').textContent = (meta.note || '') + (meta.note && meta.left_out ? ' \u00b7 ' : '') +
			(meta.left_out ? count(meta.left_out) + ' of the smallest frames are drawn as [too small to show]' : '');
		for (const id of ['title', 'facts', 'command'])
			byId(id).title = byId(id).textContent;
		byId('lines').hidden = !model.hasLines;
		for (const kind of 'nikpjm') {
			if (!model.kinds.has(kind))
				continue;
			const entry = make('span', {}, byId('legend'));
			make('i', { class: 'k' + kind }, entry);
			entry.append(KIND_NAMES[kind]);
		}
		const heads = document.querySelector('thead tr');
		for (const [key, title] of COLUMNS) {
			const th = make('th', { scope: 'col', class: key === 'text' ? 'text' : key === 'place' ? 'text place' : '' }, heads);
			make('button', { type: 'button' }, th, title).addEventListener('click', () => sortBy(key));
		}
		fillThreads();
	}

	function listen() {
		input.addEventListener('input', () => { exact = null; search(); });
		input.addEventListener('focus', hideTip);
		byId('reset').addEventListener('click', reset);
		for (const view of ['graph', 'table', 'both'])
			byId('show-' + view).addEventListener('click', () => show(view));
		for (const [id, key] of [['icicle', 'i'], ['theme', 'd'], ['heavy', 'h'], ['lines', 'l'], ['copy', 'c'], ['help', '?']])
			byId(id).addEventListener('click', () => KEYS[key]());
		byId('threads').addEventListener('change', event => {
			const value = event.target.value;
			change('of', /^\d+$/.test(value) ? Number(value) : value);
		});
		byId('more').addEventListener('click', () => { shown *= 5; drawTable(); });
		document.querySelector('tbody').addEventListener('click', event => chooseRow(event.target.closest('tr').row));
		const nodeAt = event => {
			const box = canvas.getBoundingClientRect();
			return flame.at(event.clientX - box.left, event.clientY - box.top);
		};
		canvas.addEventListener('mousemove', event => {
			const i = nodeAt(event);
			flame.setPointed(i);
			canvas.classList.toggle('pointing', i >= 0);
			if (i >= 0)
				showTip(i, event.clientX, event.clientY);
			else
				hideTip();
		});
		canvas.addEventListener('mouseleave', () => { flame.setPointed(-1); hideTip(); });
		canvas.addEventListener('click', event => {
			const i = nodeAt(event);
			if (i < 0)
				return;
			zoom(i);
			focusNode(i);
			hideTip();
		});
		for (const what of ['focus', 'blur'])
			canvas.addEventListener(what, flame.redraw);
		canvas.addEventListener('blur', hideTip);
		byId('graph').addEventListener('scroll', () => { hideTip(); flame.redraw(); });
		new ResizeObserver(() => { hideTip(); flame.setZoom(flame.zoomed); }).observe(byId('graph'));
		document.addEventListener('keydown', typed);
		window.addEventListener('popstate', event => event.state && event.state.csample && restore(event.state));
		const dark = matchMedia('(prefers-color-scheme: dark)');
		dark.addEventListener('change', () => setDark(dark.matches));
		setDark(dark.matches);
	}

	function restore(to) {
		const same = ['of', 'lines', 'heavy'].every(key => settings[key] === to[key]);
		Object.assign(settings, { of: to.of, lines: to.lines, heavy: to.heavy });
		if (!same) {
			rebuild(to.zoom);
		} else {
			flame.setZoom(to.zoom < tree.n ? to.zoom : 0);
			drawPath();
			hideTip();
		}
	}

	flame.setColours();
	fillPage();
	rebuild(0);
	setIcicle(meta.inverted);
	listen();
	history.replaceState(state(), '');
})();
