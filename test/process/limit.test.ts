// A receiver at its descriptor limit. In a child: the limit is of the whole process.
import { sendMessage } from 'fdpass';
import { describe, expect, it } from 'vitest';
import { fixturePath, startProgram } from '../helpers/children.js';
import { nullFds, pair, portable } from '../helpers/descriptors.js';

interface Seen {
  readonly code?: string;
  readonly count?: number;
  readonly received?: number;
  readonly truncated?: { descriptors?: string; received: number };
  readonly next: string;
  readonly open: number;
}

/** What a receiver with `free` numbers left sees of a message with ten descriptors and one without. */
async function seen(free: number, truncation: 'error' | 'partial'): Promise<Seen> {
  const [ours, theirs] = pair();
  const command = `ulimit -n 120; exec "${process.execPath}" "${fixturePath('receive-at-limit')}" ${free} ${truncation}`;
  const child = startProgram('sh', ['-c', command], { stdio: ['pipe', 'pipe', 'pipe', theirs.fd] });
  theirs.close();
  sendMessage(ours, 'ten', nullFds(10));
  sendMessage(ours, 'next');
  return JSON.parse(await child.succeeded());
}

describe('a receiver at its descriptor limit', () => {
  it.each([0, 4])('with %i free is told, and keeps none of them', async (free) => {
    const all = await seen(10, 'error');
    expect(all).toMatchObject({ count: 10, next: 'next' });
    const some = await seen(free, 'error');
    expect(some).toMatchObject({ code: 'ERR_FDPASS_TRUNCATED', data: 'ten', next: 'next', open: all.open });
    expect(some.received).toBeLessThanOrEqual(free);
  });

  it('gets what fits when it says so', async () => {
    const some = await seen(4, 'partial');
    expect(some.truncated).toMatchObject({
      descriptors: 'limit',
      received: portable ? expect.any(Number) : 4,
    });
    expect(some.next).toBe('next');
  });
});
