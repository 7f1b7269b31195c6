// A registry of our own on 127.0.0.1: what is published there is installed as a stranger would install it.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, openSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { run } from './run.mjs';
import { npmTool } from './toolbox.mjs';

// Its dependency asks for a distribution tag that mirrors of npm do not always carry.
const VERDACCIO = { spec: 'verdaccio@6.8.0', overrides: { 'node-fetch': '^2.7.0' } };

/** Starts an empty registry that knows no other one; `close()` ends it. */
export async function startRegistry(directory) {
  mkdirSync(directory, { recursive: true });
  const config = join(directory, 'config.yaml');
  writeFileSync(config, configuration(directory));
  const address = `127.0.0.1:${await freePort()}`;
  const log = openSync(join(directory, 'log'), 'w');
  const bin = join(
    npmTool(VERDACCIO.spec, VERDACCIO.overrides),
    'node_modules',
    'verdaccio',
    'bin',
    'verdaccio',
  );
  const child = fork(bin, ['--config', config, '--listen', address], { stdio: ['ignore', log, log, 'ipc'] });
  const [started] = await Promise.race([once(child, 'message'), once(child, 'exit')]);
  if (!started?.verdaccio_started)
    throw new Error(`The registry did not start, see ${join(directory, 'log')}`);
  return { url: `http://${address}/`, token: await signUp(address), close: () => child.kill() };
}

/** Publishes tarballs in the order given: platform packages first, or an install in between finds none. */
export function publish({ url, token }, tarballs, home) {
  const npmrc = join(home, '.npmrc');
  writeFileSync(npmrc, `registry=${url}\n//${new URL(url).host}/:_authToken=${token}\n`);
  for (const file of tarballs)
    run('npm', ['publish', file, '--userconfig', npmrc, '--loglevel=error'], { cwd: home });
}

function configuration(directory) {
  return JSON.stringify({
    storage: join(directory, 'storage'),
    // Every request verifies the password: a hash made to be slow would slow all of them.
    auth: { htpasswd: { file: join(directory, 'htpasswd'), algorithm: 'sha1' } },
    packages: { '**': { access: '$all', publish: '$authenticated' } },
    uplinks: {},
    log: { type: 'stdout', format: 'json', level: 'warn' },
  });
}

async function signUp(address) {
  const response = await fetch(`http://${address}/-/user/org.couchdb.user:releaser`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'releaser', password: 'only-for-this-run' }),
  });
  const { token } = await response.json();
  return token;
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}
