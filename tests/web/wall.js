// SPDX-License-Identifier: Apache-2.0
// A wall for tests: a real dibao-board with events of the test's own, in a directory of its own, and
// Debian's Chromium on it. end() ends all of it, each by its own process.
'use strict';

const fs = require('fs');
const net = require('net');
const os = require('os');
const path = require('path');
const { spawn } = require('child_process');
const { until } = require('./tap.js');
const events = require('./events.js');

const ROOT = path.resolve(__dirname, '../..');
const BUILD = process.env.DIBAO_BUILD || path.join(ROOT, 'build');
const { chromium } = require(path.join(ROOT, 'build/web/node_modules/playwright-core'));
const SHOTS = path.join(ROOT, 'build/web/shots');
const SIZES = [[1366, 768], [1280, 1024], [1920, 1080], [3840, 2160]].flatMap(([w, h]) => [[w, h], [h, w]]);

const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'dibao-web-'));
const boards = [];
const bureaus = [];
const browsers = [];
let browser = null;
let count = 0;

// A demonstration lets its last events come one by one: here these are events of nobody's area, so that
// the whole list hangs there at once.
function padded(list) {
	return [...list, ...events.many(list.length > 8 ? 8 : Math.max(1, list.length), (i) => events.award(i, { org: '110000000000', age: 100 }))];
}

async function freePort() {
	const server = net.createServer().listen(0, '127.0.0.1');
	await new Promise((resolve) => server.once('listening', resolve));
	const { port } = server.address();
	await new Promise((resolve) => server.close(resolve));
	return port;
}

// A machine's wall clock, for programs that run in its env: stepped by so many ms from the real one while
// they run (tests/e2e/shim.c).
class Clock {
	constructor() {
		this.file = path.join(directory, `clock-${++count}`);
		fs.writeFileSync(this.file, Buffer.alloc(32));
		this.env = { LD_PRELOAD: path.join(BUILD, 'tests/shim.so'), DIBAO_SHIM: this.file, ASAN_OPTIONS: `${process.env.ASAN_OPTIONS ?? ''}:verify_asan_link_order=0` };
	}

	step(ms) {
		const bytes = Buffer.alloc(8);
		bytes.writeBigInt64LE(BigInt(ms));
		const file = fs.openSync(this.file, 'r+');
		fs.writeSync(file, bytes, 0, 8, 0);
		fs.closeSync(file);
		return this;
	}
}

class Board {
	// list: events of a demonstration, or null for a board of a bureau. options: of the sections of board.conf,
	// { show: { rows: 8 } }, board.cache true: a file of its own; env: of the process.
	constructor(list, { options = {}, env = {} } = {}) {
		const home = path.join(directory, String(++count));
		fs.mkdirSync(home);
		const all = { board: { org: events.STATION, orgs_table: path.join(ROOT, 'config/orgs.tsv'), ranks_table: path.join(ROOT, 'config/ranks.tsv'), port: 0, cache: '', ...options.board }, show: options.show || {}, daemon: options.daemon || {} };
		if (all.board.cache === true) all.board.cache = path.join(home, 'board.db');
		this.cache = all.board.cache;
		const conf = path.join(home, 'board.conf');
		fs.writeFileSync(conf, Object.entries(all).map(([name, section]) =>
			`[${name}]\n` + Object.entries(section).map(([k, v]) => `${k} = ${v}\n`).join('')).join(''));
		const file = path.join(home, 'events.jsonl');
		if (list) fs.writeFileSync(file, padded(list).map((e) => JSON.stringify(e) + '\n').join(''));
		this.args = ['-c', conf, ...(list ? [`--demo=${file}`] : [])];
		this.env = env;
		boards.push(this);
		this.start();
	}

	start() {
		this.log = '';
		this.process = spawn(path.join(BUILD, 'bin/dibao-board'), this.args, { env: { ...process.env, ...this.env }, stdio: ['ignore', 'pipe', 'pipe'] });
		for (const stream of [this.process.stdout, this.process.stderr]) stream.on('data', (data) => (this.log += data));
	}

	async ready() {
		this.url = await until('dibao-board says its address', () => {
			if (this.process.exitCode !== null) throw new Error(`dibao-board ended: ${this.log}`);
			return /http:\/\/[\d.:[\]a-f]+\//.exec(this.log)?.[0];
		});
		return this;
	}

	signal(name) {
		this.process.kill(name);
	}

	// Ends it; it can start again.
	async stop(name = 'SIGTERM') {
		if (this.process.exitCode === null && this.process.signalCode === null) {
			const gone = new Promise((resolve) => this.process.once('exit', resolve));
			this.process.kill('SIGCONT');
			this.process.kill(name);
			const hard = setTimeout(() => this.process.kill('SIGKILL'), 5000);
			await gone;
			clearTimeout(hard);
		}
	}
}

// A real Redis and dibaod (bureau.py): what a board that is no demonstration hangs on.
class Bureau {
	constructor() {
		this.process = spawn(path.join(__dirname, 'bureau.py'), { env: { ...process.env, DIBAO_BUILD: BUILD }, stdio: ['pipe', 'pipe', 'inherit'] });
		this.said = [];
		let rest = '';
		this.process.stdout.on('data', (data) => {
			const all = (rest + data).split('\n');
			rest = all.pop();
			this.said.push(...all);
		});
		this.process.stdin.on('error', () => {}); // it ended: who waits for its answer says so
		this.asked = 0;
		bureaus.push(this);
	}

	#hasEnded() {
		return this.process.exitCode !== null || this.process.signalCode !== null;
	}

	async #answer() {
		const n = this.asked++;
		return until('the bureau answers', () => {
			if (this.#hasEnded()) throw new Error('bureau.py ended');
			return this.said[n];
		}, 30);
	}

	async ready() {
		this.places = JSON.parse(await this.#answer());
		return this;
	}

	// kill, start, pause, go_on: of dibaod.
	async daemon(word) {
		this.process.stdin.write(`${word}\n`);
		await this.#answer();
	}

	async pass(ms) {
		await this.daemon(`pass ${ms}`);
	}

	async ctl(args, input = '') {
		const p = spawn(path.join(BUILD, 'bin/dibaoctl'), ['-c', this.places.config, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
		let out = '';
		p.stdout.on('data', (data) => (out += data));
		p.stdin.end(input);
		const code = await new Promise((resolve) => p.once('close', resolve));
		if (code !== 0) throw new Error(`dibaoctl ${args[0]} ended with ${code}: ${out.slice(-300)}`);
	}

	async publish(list) {
		await this.ctl(['publish'], list.map((e) => JSON.stringify(e) + '\n').join(''));
	}

	async board(options = {}) {
		return board(null, { ...options, options: { ...options.options, daemon: { endpoints: this.places.ipc, ...options.options?.daemon } } });
	}

	async stop() {
		if (this.#hasEnded()) return;
		const gone = new Promise((resolve) => this.process.once('exit', resolve));
		this.process.stdin.end();
		await gone;
	}
}

async function bureau() {
	return new Bureau().ready();
}

async function board(list, options) {
	return new Board(list, options).ready();
}

// env: of a browser of its own.
async function launch(env = {}) {
	const launched = await chromium.launch({
		env: { ...process.env, ...env },
		executablePath: '/usr/bin/chromium',
		args: ['--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update',
			'--disable-sync', '--enable-precise-memory-info', ...(process.getuid() === 0 ? ['--no-sandbox'] : [])],
	});
	browsers.push(launched);
	return launched;
}

// The page of a board, once it shows what the server told it. page.faults: violations of the CSP, errors.
// options: size, motion (else reduced), by: a browser of its own; clock (else the browser's own): one that page.clock alone
// moves, so that no page turns while a slow machine looks at it.
async function open(on, { size = [1366, 768], motion = false, clock = false, by = null } = {}) {
	const page = await (await (by ?? (browser ??= launch()))).newPage({ viewport: { width: size[0], height: size[1] }, reducedMotion: motion ? 'no-preference' : 'reduce' });
	page.faults = [];
	page.on('pageerror', (error) => page.faults.push(`error: ${error.message}`));
	page.on('console', (m) => {
		if (m.type() === 'error' && !/favicon|Failed to load resource/.test(m.text())) page.faults.push(`console: ${m.text()}`);
	});
	await page.addInitScript(() => {
		window.violations = [];
		document.addEventListener('securitypolicyviolation', (e) => window.violations.push(`${e.violatedDirective} ${e.blockedURI}`));
	});
	if (clock) {
		await page.clock.install({ time: Date.now() - 3600000 }); // it stands still at a time that has not come yet
		await page.clock.pauseAt(Date.now());
	}
	await page.addInitScript(watchHeartbeats);
	await page.goto(on.url);
	await page.waitForFunction(() => document.querySelector('.page.in') && document.getElementById('station').textContent);
	return page;
}

// Inside the page, before it begins: what it is told of the daemon's heartbeats, when its badge turned
// stale, by the page's clock, and how late it then came to what is due each second, for a busy machine.
function watchHeartbeats() {
	window.told = [];
	window.staleAt = null;
	let looked = performance.now();
	let late = 0;
	setInterval(() => {
		const now = performance.now();
		late = Math.max(0, now - looked - 1000);
		looked = now;
	}, 1000);
	window.EventSource = class extends EventSource {
		constructor(url) {
			super(url);
			this.addEventListener('beat', (event) => window.told.push({ at: performance.now(), ...JSON.parse(event.data) }));
		}
	};
	document.addEventListener('DOMContentLoaded', () => {
		const badge = document.getElementById('fresh');
		new MutationObserver(() => {
			if (!badge.classList.contains('stale')) window.staleAt = null;
			else if (window.staleAt === null) {
				window.staleAt = performance.now();
				window.lateBy = Math.max(late, window.staleAt - looked - 1000);
			}
		}).observe(badge, { attributes: true });
	});
}

// How old the daemon's last heartbeat was as the badge turned stale: by the time that the page was told, and
// since it was first told of that heartbeat. A beat of real time that comes while the page's clock runs ahead sets the page
// back, so neither alone says it.
function ageWhenStale({ told, staleAt }) {
	const heard = told.filter((beat) => beat.at <= staleAt && beat.heartbeat_ms !== null);
	const last = heard.at(-1);
	const first = heard.find((beat) => beat.heartbeat_ms === last.heartbeat_ms);
	return Math.max(staleAt - first.at, staleAt - last.at + last.now_ms - last.heartbeat_ms);
}

async function place(page) {
	const [, n, m] = /第 (\d+) 页 共 (\d+) 页/.exec(await page.textContent('#count'));
	return { n: +n, m: +m };
}

// The next page, by the page's own clock. Needs { clock: true }.
async function turn(page, seconds = 12) {
	await page.clock.runFor(seconds * 1000);
}

// Of the page that is on the screen.
const names = (page) => page.locator('.page.in .name').allTextContents();
const fresh = (page) => page.textContent('#fresh');
const stale = (page) => page.evaluate(() => document.getElementById('fresh').classList.contains('stale'));

// Keeps what is on the screen under build/web/shots.
async function shot(page, name) {
	fs.mkdirSync(SHOTS, { recursive: true });
	await page.screenshot({ path: path.join(SHOTS, `${name}.png`) });
}

async function end() {
	for (const one of browsers) await one.close();
	for (const one of boards) await one.stop();
	for (const one of bureaus) await one.stop();
	fs.rmSync(directory, { recursive: true, force: true });
}

for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(name, () => end().finally(() => process.exit(1)));

module.exports = { board, bureau, open, launch, Clock, freePort, place, turn, names, fresh, stale, shot, ageWhenStale, end, SIZES };
