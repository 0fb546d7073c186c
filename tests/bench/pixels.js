#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// When does the moment of honour of an event stand on the screen? For board.py, which publishes.
//
// A real Chromium has the board's page open at 1920×1080, with its transitions, and every picture that
// its compositor makes is taken off it (CDP's screencast: the composed frame, scaled to a quarter). So
// what is timed is neither a callback before painting nor the DOM, but the first picture in which pixels
// within the name's box are others than before. Its time is when this process holds it: that it is copied
// off, packed and sent here is counted in. The clock is this machine's, as board.py's.
//
// Between two the page comes to rest: what fades has faded, and one page stands there.
//
// Asked by lines on stdin:  <name>   answers "ready", and once the moment stands still, as JSON,
//                                    {"first", "whole"}: s since 1970 of the first picture in which it
//                                    can be seen, and of the first in which it is as in the last
//                           gone     answers "gone" when no moment is on the screen any more
'use strict';

const fs = require('fs');
const readline = require('readline');
const zlib = require('zlib');
const { until } = require('../web/tap.js');
const { open, end } = require('../web/wall.js');

const [url, picture] = process.argv.slice(2);
const SIZE = [1920, 1080];
const SCALE = 4;
const STILL_MS = 120;
const SEEN = 2; // of 255: less is the dithering of a fade
const CHANNELS = { 2: 3, 6: 4 };

function paeth(left, up, both) {
	const [a, b, c] = [Math.abs(up - both), Math.abs(left - both), Math.abs(left + up - 2 * both)];
	return a <= b && a <= c ? left : b <= c ? up : both;
}

const FILTERS = [() => 0, (left) => left, (left, up) => up, (left, up) => (left + up) >> 1, paeth];

// The pixels of a PNG of 8 bits a channel: { width, height, channels, data }.
function decode(png) {
	const width = png.readUInt32BE(16);
	const height = png.readUInt32BE(20);
	const channels = CHANNELS[png[25]];
	if (png[24] !== 8 || !channels || png[28] !== 0) throw new Error('a PNG of another kind');
	const packed = [];
	for (let at = 8; at < png.length; ) {
		const size = png.readUInt32BE(at);
		if (png.toString('latin1', at + 4, at + 8) === 'IDAT') packed.push(png.subarray(at + 8, at + 8 + size));
		at += size + 12;
	}
	const raw = zlib.inflateSync(Buffer.concat(packed));
	const stride = width * channels;
	const data = Buffer.alloc(stride * height);
	for (let y = 0; y < height; y++) {
		const filter = raw[y * (stride + 1)];
		for (let x = 0; x < stride; x++) {
			const left = x < channels ? 0 : data[y * stride + x - channels];
			const up = y === 0 ? 0 : data[(y - 1) * stride + x];
			const both = x < channels || y === 0 ? 0 : data[(y - 1) * stride + x - channels];
			data[y * stride + x] = raw[y * (stride + 1) + 1 + x] + FILTERS[filter](left, up, both);
		}
	}
	return { width, height, channels, data };
}

// The largest difference of a channel within the box.
function differ(a, b, box) {
	let most = 0;
	for (let y = box.top; y < box.bottom; y++) {
		const from = (y * a.width + box.left) * a.channels;
		const to = (y * a.width + box.right) * a.channels;
		for (let i = from; i < to; i++) most = Math.max(most, Math.abs(a.data[i] - b.data[i]));
	}
	return most;
}

function boxOf({ left, top, right, bottom }, ratio) {
	return { left: Math.ceil(left * ratio), top: Math.ceil(top * ratio), right: Math.floor(right * ratio), bottom: Math.floor(bottom * ratio) };
}

class Screen {
	constructor(page) {
		this.page = page;
		this.frames = []; // since the last watch() the one before it and all that came, not always in order
		this.came = Date.now();
	}

	async open() {
		const session = await this.page.context().newCDPSession(this.page);
		session.on('Page.screencastFrame', ({ data, metadata, sessionId }) => {
			this.came = Date.now();
			session.send('Page.screencastFrameAck', { sessionId }).catch(() => {});
			this.frames.push({ time: this.came / 1000, order: metadata.timestamp, png: Buffer.from(data, 'base64') });
		});
		await session.send('Page.startScreencast', { format: 'png', maxWidth: SIZE[0] / SCALE, maxHeight: SIZE[1] / SCALE });
		await until('a first picture', () => this.frames.length > 0);
	}

	// The picture that stands when nothing fades any more.
	async still() {
		await until('nothing moves', () => this.page.evaluate(() => document.getAnimations().length === 0 && document.getElementById('pages').children.length === 1));
		await until('the screen stands still', () => Date.now() - this.came > STILL_MS);
		return this.frames[this.frames.length - 1];
	}

	moment() {
		return this.page.evaluate(() => {
			const name = document.querySelector('#moment.in .name');
			const box = name?.getBoundingClientRect();
			return name && { text: name.textContent, left: box.left, top: box.top, right: box.right, bottom: box.bottom };
		});
	}

	async gone() {
		await until('no moment', async () => !(await this.moment()));
		await this.still();
	}

	async watch(name, ready) {
		this.frames = [await this.still()];
		ready();
		// Nothing is asked of the page before it has drawn something.
		await until('a next picture', () => this.frames.length > 1);
		const there = await until(`${name} is there`, async () => {
			const found = await this.moment();
			return found?.text === name && found;
		});
		await this.still();
		const pictures = this.frames.map(({ time, order, png }) => ({ time, order, png, get pixels() { return (this.decoded ??= decode(png)); } }));
		const [before] = pictures;
		const box = boxOf(there, before.pixels.width / SIZE[0]);
		const first = pictures.find((one) => differ(one.pixels, before.pixels, box) > SEEN);
		if (!first) throw new Error(`${name} is in the document, but on no picture`);
		pictures.sort((a, b) => a.order - b.order);
		const final = pictures[pictures.length - 1];
		let whole = final;
		while (pictures.length > 1 && differ(pictures[pictures.length - 1].pixels, final.pixels, box) <= SEEN) whole = pictures.pop();
		if (picture) fs.writeFileSync(picture, final.png);
		return { first: first.time, whole: whole.time };
	}
}

async function main() {
	const say = (line) => process.stdout.write(`${line}\n`);
	const page = await open({ url }, { size: SIZE, motion: true });
	const screen = new Screen(page);
	await screen.open();
	await screen.gone();
	say('open');
	for await (const line of readline.createInterface({ input: process.stdin })) {
		if (line === 'gone') {
			await screen.gone();
			say('gone');
		} else {
			say(JSON.stringify(await screen.watch(line, () => say('ready'))));
		}
	}
	if (page.faults.length) throw new Error(page.faults.join('\n'));
}

main().catch((error) => {
	console.error(error.stack);
	process.exitCode = 1;
}).finally(end);
