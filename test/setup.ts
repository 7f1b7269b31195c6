// Around every test: what it registered is cleaned up, and then no descriptor may be left, lost or exchanged.
import { channelPair } from 'fdpass';
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import { runCleanups } from './helpers/cleanup.js';
import { assertSameDescriptors, openDescriptors, openLazyDescriptors } from './helpers/leaks.js';

openLazyDescriptors();
// The poller of the thread engine is the process's, and stays.
if (process.env.FDPASS_ENGINE === 'thread') for (const channel of channelPair()) channel.destroy();

let beforeFile = openDescriptors();
let beforeTest = beforeFile;

// Hooks are a stack: these, registered first, see the state before the file's own hooks and after them.
beforeAll(() => {
  beforeFile = openDescriptors();
});

beforeEach(() => {
  beforeTest = openDescriptors();
});

afterEach(async () => {
  await runCleanups();
  await assertSameDescriptors(beforeTest);
});

afterAll(async () => {
  await runCleanups();
  await assertSameDescriptors(beforeFile);
});
