// SPDX-License-Identifier: Apache-2.0
// The wall of a station: takes what feed.js hears, keeps it in store.js, lets plan.js say what is on
// which page, and turns the pages. One timer, once a second, drives all that depends on time: pages,
// clock, badge, expiry, moments, drift, dimming, watchdog. At rest nothing is drawn between two minutes.
//
// Whatever stops working leaves the last content on the wall; the badge says since when.
//
// What the server tells, and how: clients/board/feed.h.

import { Freshness } from './badge.js';
import { clean, LIMIT } from './clean.js';
import { StationClock, dateText, minuteOfDay, minutes, timeText, weekdayText } from './clock.js';
import { setText } from './dom.js';
import { Feed } from './feed.js';
import { guard } from './guard.js';
import { apply, fitSize, geometry } from './measure.js';
import { Moments, render as renderMoment } from './moment.js';
import { render as renderPage } from './page.js';
import { nextExpiry, plan } from './plan.js';
import { Store } from './store.js';

const LADDER_MAX = 24;
const MARK = '演示数据';
const DRIFT_MS = 60000;
const FADE_MS = 900; // longer than board.css fades
const PLAN_PAUSE_MS = 30;

const $ = (id) => document.getElementById(id);
const store = new Store();
const clock = new StationClock();
const freshness = new Freshness();
const moments = new Moments();
const feed = new Feed({ state: onState, put: onPut, drop: onDrop, beat: onBeat });

let board = { name: '' };
let settings = readSettings(null);
let ladder = [];
let labels = {};
let standing = '';
let known = false; // has a state come yet
let geo = null;
let pages = [];
let at = 0;
let rotation = 0;
let turnedAt = 0;
let shown = ''; // what the page on the screen was made of
let expiry = Infinity;
let planTimer = 0;
let planCost = 0;
let momentChanged = false; // who stands in it, or how; drawn with the next plan

function within(value, low, high, fallback) {
	return Number.isFinite(value) ? Math.min(high, Math.max(low, value)) : fallback;
}

function readSettings(raw) {
	return {
		page_s: within(raw?.page_s, 2, 120, 12),
		rows: within(raw?.rows, 5, 8, 6),
		moment_s: within(raw?.moment_s, 3, 120, 20),
		moment_within_s: within(raw?.moment_within_s, 0, 86400, 900),
		order: raw?.order === 'rank' ? 'rank' : 'newest',
		drift: raw?.drift !== false,
		night_from: minutes(raw?.night_from),
		night_to: minutes(raw?.night_to),
		night_dim: within(raw?.night_dim, 0, 90, 50),
	};
}

// ---- from the feed ----

// The mark has a place of its own on each page.
function unmarked(name) {
	return typeof name === 'string' ? name.replace(`（${MARK}）`, '') : '';
}

function onState(state) {
	if (!known) pages = []; // what stood there was no page of the rotation
	known = true;
	board = { name: clean(unmarked(state.board?.name), LIMIT.station) };
	settings = readSettings(state.settings);
	labels = { district: clean(unmarked(state.areas?.district), LIMIT.area), bureau: clean(unmarked(state.areas?.bureau), LIMIT.area) };
	standing = clean(state.standing, LIMIT.standing);
	ladder = (Array.isArray(state.ladder) ? state.ladder : []).slice(0, LADDER_MAX).map((rank) => ({
		code: clean(rank?.code, 16), name: clean(rank?.name, LIMIT.rank), class: clean(rank?.class, LIMIT.rank),
	}));
	// A bureau of invented people says so in its name: then each page does, whoever published.
	const marked = [state.board?.name, ...Object.values(state.areas ?? {})].some((name) => String(name).includes(MARK));
	document.body.classList.toggle('demo', state.demo === true || marked);
	store.replace(state.items);
	if (standing) moments.clear();
	else for (const item of store.all()) offer(item);
	resize();
	turnMoment(true);
}

function onPut(raw) {
	const item = store.put(raw);
	if (item === null || standing) return;
	if (offer(item) || moments.current?.pids.has(item.pid)) momentChanged = true;
	turnMoment(false);
	planSoon();
}

function onDrop({ pid }) {
	store.drop(pid);
	if (moments.drop(pid)) turnMoment(true);
	planSoon();
}

function onBeat(beat) {
	const wasTrusted = clock.now() !== null;
	clock.set(beat.now_ms, beat.trusted === true);
	const first = freshness.heartbeat === null;
	freshness.hear(beat.heartbeat_ms, performance.now());
	const trusted = clock.now() !== null;
	if (trusted && !wasTrusted && !standing) for (const item of store.all()) offer(item);
	if (trusted !== wasTrusted || first) planSoon();
	turnMoment(false);
	showTime();
}

function offer(item) {
	return moments.offer(item, clock.now(), settings.moment_within_s * 1000);
}

// ---- pages ----

// Many changes at once cost one plan, and a plan that took long is not made again at once.
function planSoon() {
	if (planTimer === 0) planTimer = setTimeout(replan, Math.max(PLAN_PAUSE_MS, planCost * 4));
}

function makePlan() {
	clearTimeout(planTimer);
	planTimer = 0;
	const start = performance.now();
	const items = store.all();
	const now = clock.now();
	pages = plan(items, { now, geo, settings, ladder, labels, rotation, standing });
	// That there is nothing to tell is for the daemon to say.
	if (pages[0].kind === 'quiet' && freshness.heartbeat === null) pages[0].text = known ? '等待数据' : '正在读取数据';
	expiry = nextExpiry(items, now ?? 0);
	planCost = performance.now() - start;
}

// After a change: stay on the page that was shown, if it still is one.
function replan() {
	const before = pages[at];
	makePlan();
	let index = pages.findIndex((page) => page.key === before?.key);
	if (index < 0 && before) index = pages.findIndex((page) => page.pids.some((pid) => before.pids.includes(pid)));
	at = Math.max(0, index >= 0 ? index : Math.min(before ? at : 0, pages.length - 1));
	show();
	if (momentChanged) turnMoment(true);
}

function turnPage(mono) {
	turnedAt = mono;
	at += 1;
	if (at >= pages.length) {
		rotation += 1;
		makePlan();
		at = 0;
	}
	show();
}

function signature(page) {
	return JSON.stringify(page, (key, value) => (key === 'geo' ? undefined : value)) + page.geo.scale + geo.width + geo.height + board.name;
}

function show() {
	const page = pages[at];
	const next = signature(page);
	setText($('count'), `第 ${at + 1} 页 共 ${pages.length} 页`);
	setText($('left-out'), store.leftOut > 0 ? `另有 ${store.leftOut} 条未列` : '');
	if (next === shown) return;
	shown = next;
	const element = renderPage(page, { board, ladder });
	const layers = $('pages');
	while (layers.children.length > 1) layers.firstChild.remove();
	layers.lastChild?.classList.remove('in');
	layers.append(element);
	element.getBoundingClientRect(); // starts from invisible
	element.classList.add('in');
	document.body.classList.toggle('resting', page.kind === 'quiet' || page.kind === 'standing');
	showTime();
	setTimeout(sweep, FADE_MS);
}

// Nobody's name stays in the document behind what is on the screen: it may have been taken back.
function sweep() {
	const layers = $('pages');
	while (layers.children.length > 1) layers.firstChild.remove();
	if (!$('moment').classList.contains('in')) $('moment').replaceChildren();
}

// ---- the moment of honour ----

function turnMoment(redraw) {
	momentChanged &&= !redraw;
	const was = moments.current;
	const changed = moments.turn(performance.now(), settings.moment_s * 1000, store);
	if (!changed && !redraw) return;
	const place = $('moment');
	const items = moments.current ? Array.from(moments.current.pids, (pid) => store.get(pid)).filter(Boolean) : [];
	if (items.length > 0) {
		place.replaceChildren(renderMoment(items, { geo, ladder, board }));
		feed.rendered(items.map((item) => item.pid));
	} else {
		if (was !== null) turnedAt = performance.now(); // the page below gets its whole time
		setTimeout(sweep, FADE_MS);
	}
	place.classList.toggle('in', items.length > 0);
}

// ---- time and window ----

function showTime() {
	const now = clock.now();
	setText($('date'), now === null ? '' : `${dateText(now)} ${weekdayText(now)}`);
	setText($('clock'), now === null ? '' : timeText(now));
	const { stale, text } = freshness.judge(now, performance.now());
	setText($('fresh'), text);
	$('fresh').classList.toggle('stale', stale);
	$('time-unknown').classList.toggle('shown', now === null);
	for (const [from, to] of [['date', '.big-date'], ['clock', '.big-clock']]) {
		const big = document.querySelector(`.page.in ${to}`);
		if (big) setText(big, $(from).textContent);
	}
	document.body.classList.toggle('night', isNight(now));
}

function isNight(now) {
	const { night_from: from, night_to: to } = settings;
	if (now === null || from === null || to === null || from === to) return false;
	const minute = minuteOfDay(now);
	return from < to ? minute >= from && minute < to : minute >= from || minute < to;
}

// A picture that never moves burns in: all of it wanders by a few pixels, one step a minute.
function drift(mono) {
	const step = settings.drift ? Math.floor(mono / DRIFT_MS) : 0;
	const x = Math.round(geo.drift * Math.sin((step * 2 * Math.PI) / 37));
	const y = Math.round(geo.drift * Math.sin((step * 2 * Math.PI) / 29));
	const move = `translate(${x}px, ${y}px)`;
	if ($('stage').style.transform !== move) $('stage').style.transform = move;
}

function resize() {
	geo = geometry(window.innerWidth, window.innerHeight, settings.rows);
	const root = document.documentElement;
	apply(geo, root);
	document.body.classList.toggle('portrait', geo.portrait);
	document.body.dataset.size = `${geo.width}x${geo.height}`;
	root.style.setProperty('--dim', settings.night_dim / 100);
	setText($('station'), board.name);
	// Day and clock, at the right or below, have their room first.
	const room = (geo.portrait ? geo.bodyW : geo.bodyW - geo.header * 4.9 - geo.gap * 2) / 1.05;
	const size = fitSize(board.name, room, geo.header * (geo.portrait ? 0.36 : 0.45), geo.header * 0.14);
	$('station').style.fontSize = `${size}px`;
	replan();
	if (moments.current) turnMoment(true);
	showTime();
}

function tick() {
	const mono = performance.now();
	const now = clock.now();
	if (now !== null && now >= expiry) replan();
	turnMoment(false);
	if (moments.current === null && mono - turnedAt >= settings.page_s * 1000) turnPage(mono);
	if (moments.current === null) feed.rendered(pages[at].pids);
	showTime();
	drift(mono);
	feed.tick(mono, at + 1, pages.length);
}

guard();
turnedAt = performance.now();
resize();
drift(0);
window.addEventListener('resize', resize);
document.fonts.ready.then(resize);
feed.open();
setInterval(tick, 1000);
