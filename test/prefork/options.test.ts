// Options that are none: refused before anything is opened, by name, value and what would be right.
import { pathToFileURL } from 'node:url';
import { Manager, renderPrometheus } from 'fdpass/prefork';
import { expect, it } from 'vitest';
import { fixturePath } from '../helpers/children.js';

const right = { listen: { port: 0 }, worker: fixturePath('prefork-http') };

const wrong: [message: RegExp, options: object][] = [
  [/admit\.rate is 'x', not a number above 0$/, { admit: { rate: 'x', burst: 1 } }],
  [/admit\.rate is -1, not/, { admit: { rate: -1, burst: 1 } }],
  [/admit\.burst is undefined, not an integer from 1 to/, { admit: { rate: 1 } }],
  [/admit\.addresses is 0, not/, { admit: { rate: 1, burst: 1, addresses: 0 } }],
  [/admit is 'all', not \{ rate, burst \} or a function$/, { admit: 'all' }],
  [/weights is 'x', not an array/, { weights: 'x' }],
  [/weights\[1\] is 0, not/, { weights: [1, 0] }],
  [/respawn is 5, not/, { respawn: 5 }],
  [/respawn\.delay is 'a', not/, { respawn: { delay: 'a' } }],
  [/respawn\.maxCrashes is 0, not/, { respawn: { maxCrashes: 0 } }],
  [/peekBytes is 4097, not an integer from 0 to 4096$/, { peekBytes: 4097 }],
  [/maxInFlight is 0, not an integer from 1 to/, { maxInFlight: 0 }],
  [/maxConnections is 0, not/, { maxConnections: 0 }],
  [/waitTimeout is 0, not/, { waitTimeout: 0 }],
  [/peekTimeout is 1\.5, not/, { peekTimeout: 1.5 }],
  [/uid is 'root', not/, { uid: 'root' }],
  [/gid is -1, not/, { gid: -1 }],
  [/signals is 'yes', not true or false$/, { signals: 'yes' }],
  [/ipv6Only is 'yes', not true or false$/, { listen: { port: 0, ipv6Only: 'yes' } }],
  [/args is 'x', not an array of strings$/, { args: 'x' }],
  [/execArgv is an array, not an array of strings$/, { execArgv: [5] }],
  [/env is 'x', not/, { env: 'x' }],
  [/cwd is 5, not/, { cwd: 5 }],
  [/worker is '', not/, { worker: '' }],
  [
    /worker is an object \(URL\), not the path or file URL/,
    { worker: new URL('https://example.com/worker.js') },
  ],
  [/deferAccept is 'x', not/, { listen: { port: 0, deferAccept: 'x' } }],
  [/backlog is -1, not/, { listen: { port: 0, backlog: -1 } }],
  [/host is 5, not/, { listen: { port: 0, host: 5 } }],
  [/name is '', not/, { listen: { port: 0, name: '' } }],
  [/mode is '600', not permissions from 0 to 0o777$/, { listen: { path: '/tmp/x', mode: '600' } }],
  [/path is '', not/, { listen: { path: '' } }],
  [/path is undefined, not/, { listen: { path: undefined } }],
];

it.each(wrong)('refuses by name, value and limit: %s', (message, options) => {
  const make = () => new Manager({ ...right, ...options } as never);
  expect(make).toThrow(expect.objectContaining({ code: 'ERR_FDPASS_INVALID_ARGUMENT' }));
  expect(make).toThrow(message);
});

it.each([
  ['a file', { fd: 0 }, 'ERR_FDPASS_KIND', 'not a listening socket'],
  // Longer than a name may be: refused without asking anybody.
  ['a host that nobody knows', { port: 0, host: 'x'.repeat(300) }, /^E[A-Z]/, 'Cannot listen at xxx'],
] as const)('does not start on %s', async (_what, listen, code, message) => {
  const refused = {
    name: 'FdpassError',
    code: expect.stringMatching(code),
    message: expect.stringContaining(message),
  };
  await expect(new Manager({ ...right, listen }).start()).rejects.toMatchObject(refused);
});

it.each([
  ['a path', { worker: '/nowhere/worker.js' }],
  ['a URL', { worker: new URL('file:///nowhere/worker.js') }],
  ['a path from where workers run', { worker: 'worker.js', cwd: '/nowhere' }],
  ['a path from a URL', { worker: './worker.js', cwd: pathToFileURL('/nowhere') }],
])('does not start when there is no such module: %s', async (_what, options) => {
  const manager = new Manager({ ...right, ...options });
  await expect(manager.start()).rejects.toMatchObject({
    code: 'ERR_FDPASS_WORKER',
    message: expect.stringMatching(
      /^Cannot start workers: there is no module \/nowhere\/worker\.js\. Give its path/,
    ),
  });
  expect(manager.addresses).toEqual([]);
});

it('says what a manager that is new needs', async () => {
  const refused = {
    code: 'ERR_FDPASS_CLOSED',
    message: 'Cannot reload: the manager is new. start() it first',
  };
  await expect(new Manager(right).reload()).rejects.toMatchObject(refused);
});

it.each([undefined, null, 5, {}])('renders no figures of %s', (stats) => {
  const render = () => renderPrometheus(stats as never);
  expect(render).toThrow(expect.objectContaining({ code: 'ERR_FDPASS_INVALID_ARGUMENT' }));
  expect(render).toThrow(/: give what stats\(\) of a manager returns$/);
});

it('does not let in with the strategy kernel whom admit would refuse', () => {
  for (const admit of [() => false, { rate: 1, burst: 1 }]) {
    const make = () => new Manager({ ...right, strategy: 'kernel', admit });
    const code = process.platform === 'linux' ? 'ERR_FDPASS_UNSUPPORTED' : expect.any(String);
    expect(make).toThrow(expect.objectContaining({ code }));
  }
});

it('takes an option that is undefined for one that is absent', () => {
  const absent = { respawn: { delay: undefined }, admit: undefined, weights: undefined, uid: undefined };
  expect(() => new Manager({ ...right, ...absent } as never)).not.toThrow();
});
