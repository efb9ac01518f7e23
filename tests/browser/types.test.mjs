import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';

/** The page's types are written in comments, and are true only as long as somebody checks them. */
test('the types of the page and its client hold', async () => {
  const compiler = fileURLToPath(new URL('node_modules/.bin/tsc', import.meta.url));
  const project = fileURLToPath(new URL('../../crates/web/jsconfig.json', import.meta.url));
  const output = await new Promise((resolve) => {
    execFile(compiler, ['-p', project], (error, stdout, stderr) => resolve(error ? stdout + stderr + error.message : ''));
  });
  assert.equal(output, '');
});
