// SPDX-License-Identifier: Apache-2.0
// Tests of the page: each a sentence and an async function, one after the other, TAP for prove.
'use strict';

const tests = [];

function test(sentence, run) {
	tests.push({ sentence, run });
}

// Waits until what() is true and returns it; fails, with the last value, after so many seconds.
async function until(sentence, what, seconds = 20) {
	const end = Date.now() + seconds * 1000;
	for (;;) {
		const value = await what();
		if (value) return value;
		if (Date.now() > end) throw new Error(`not within ${seconds} s: ${sentence}`);
		await new Promise((resolve) => setTimeout(resolve, 25));
	}
}

function equal(have, want, what) {
	if (have !== want) throw new Error(`${what}: have ${JSON.stringify(have)}, want ${JSON.stringify(want)}`);
}

function empty(faults, what) {
	if (faults.length) throw new Error(`${what}: ${faults.length}\n${faults.slice(0, 12).join('\n')}`);
}

async function one({ sentence, run: body }, i) {
	try {
		await body();
		return `ok ${i + 1} - ${sentence}`;
	} catch (error) {
		process.exitCode = 1;
		// On stderr, for prove keeps stdout to itself; with the sentence, for others may write there too.
		console.error(`# failed: ${sentence}\n${String(error.stack)}`.replace(/\n/g, '\n# '));
		return `not ok ${i + 1} - ${sentence}`;
	}
}

// finish: ends what was started, whatever happened. jobs: tests that run beside each other. Words on the
// command line choose tests by a part of their sentence.
async function run(finish, jobs = 1) {
	const words = process.argv.slice(2);
	if (words.length) tests.splice(0, tests.length, ...tests.filter((t) => words.some((word) => t.sentence.includes(word))));
	console.log(`1..${tests.length}`);
	const results = [];
	let next = 0;
	const worker = async () => {
		while (next < tests.length) {
			const i = next++;
			results[i] = one(tests[i], i);
			await results[i];
		}
	};
	const workers = Array.from({ length: jobs }, worker);
	for (let i = 0; i < tests.length; i++) {
		while (!results[i]) await new Promise((resolve) => setTimeout(resolve, 10));
		console.log(await results[i]);
	}
	await Promise.all(workers);
	await finish();
}

module.exports = { test, until, equal, empty, run };
