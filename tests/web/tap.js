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

// finish: ends what was started, whatever happened.
async function run(finish) {
	console.log(`1..${tests.length}`);
	let failed = 0;
	for (const [i, { sentence, run: body }] of tests.entries()) {
		try {
			await body();
			console.log(`ok ${i + 1} - ${sentence}`);
		} catch (error) {
			failed += 1;
			console.log(`not ok ${i + 1} - ${sentence}`);
			console.log(`# ${String(error.stack).replace(/\n/g, '\n# ')}`);
		}
	}
	await finish();
	process.exitCode = failed ? 1 : 0;
}

module.exports = { test, until, equal, empty, run };
