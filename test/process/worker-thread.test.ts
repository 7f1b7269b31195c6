// What a worker thread held is closed when it ends, however it ends; the leak check around every test is the assertion.
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { expect, it } from 'vitest';
import { fixturePath } from '../helpers/children.js';
import { atEndOfTest } from '../helpers/cleanup.js';
import { countDescriptors } from '../helpers/leaks.js';

async function startWorker(name: string): Promise<Worker> {
  const worker = new Worker(fixturePath(name));
  atEndOfTest(() => worker.terminate().then(() => undefined));
  await once(worker, 'message');
  return worker;
}

it('closes what a terminated worker held', async () => {
  const before = countDescriptors();
  const worker = await startWorker('forget-in-worker');
  expect(countDescriptors()).toBeGreaterThanOrEqual(before + 42);
  await worker.terminate();
});

it('closes what a worker held that ends itself', async () => {
  const worker = await startWorker('forget-in-worker');
  worker.postMessage('end');
  await once(worker, 'exit');
});

it('lets many workers come and go', async () => {
  for (let round = 0; round < 3; round++) {
    const workers = await Promise.all([1, 2, 3].map(() => startWorker('forget-in-worker')));
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
});
