// SPDX-License-Identifier: Apache-2.0
// What may stand between two programs and fail: a line between board and dibaod, a gateway between page and board.
'use strict';

const http = require('http');
const net = require('net');

const listening = (server) => new Promise((resolve) => server.once('listening', resolve));

// A line to a port of this machine: torn, every connection ends and new ones are refused; hushed, nothing
// goes through in either direction and nobody is told, as when a router lost its power.
class Line {
	#target;
	#ends = new Set();
	#server = null;
	#isHushed = false;

	constructor(target) {
		this.#target = target;
	}

	#connect(near) {
		const far = net.connect(this.#target, '127.0.0.1');
		for (const [from, to] of [[near, far], [far, near]]) {
			this.#ends.add(from);
			from.on('data', (data) => to.write(data));
			from.on('error', () => {}); // its close follows
			from.on('close', () => this.#ends.delete(from) && to.destroy());
			if (this.#isHushed) from.pause();
		}
	}

	// Also at the beginning. What was said on a hushed line arrives now.
	async mend() {
		this.#isHushed = false;
		for (const end of this.#ends) end.resume();
		if (this.#server) return this;
		this.#server = net.createServer((near) => this.#connect(near)).listen(this.port ?? 0, '127.0.0.1');
		await listening(this.#server);
		this.port = this.#server.address().port;
		return this;
	}

	tear() {
		this.#server?.close();
		this.#server = null;
		for (const end of this.#ends) end.destroy();
	}

	hush() {
		this.#isHushed = true;
		for (const end of this.#ends) end.pause();
	}
}

// In front of a board's page: passes on, or answers all with 502. `asked`: how often it did that.
class Gateway {
	#server;
	#isBroken = false;
	asked = 0;

	async before(url) {
		const { port } = new URL(url);
		this.#server = http.createServer((request, answer) => {
			if (this.#isBroken) {
				this.asked += 1;
				answer.writeHead(502, { 'Content-Type': 'text/html' }).end('<h1>502 Bad Gateway</h1>');
				return;
			}
			const { method, url: path, headers } = request;
			const on = http.request({ host: '127.0.0.1', port, method, path, headers }, (reply) => {
				answer.writeHead(reply.statusCode, reply.headers);
				reply.pipe(answer);
			});
			on.on('error', () => answer.destroy());
			answer.on('close', () => on.destroy());
			request.pipe(on);
		}).listen(0, '127.0.0.1');
		await listening(this.#server);
		this.url = `http://127.0.0.1:${this.#server.address().port}/`;
		return this;
	}

	break() {
		this.#isBroken = true;
		this.#server.closeAllConnections();
	}

	mend() {
		this.#isBroken = false;
	}

	end() {
		this.#server.close();
		this.#server.closeAllConnections();
	}
}

module.exports = { Line, Gateway };
