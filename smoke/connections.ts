/** Listening and connecting, child processes, threads. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { channelPair, connect, detachForThread, listen, spawnWithChannel } from 'fdpass';
import { check, closeAll, codeOf, nullFds, openDescriptors, same, until } from './check.js';

const beside = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** What runs a program of this runtime: Deno needs its subcommand and rights. */
const ofRuntime = 'Deno' in globalThis ? ['run', '--allow-all', '--quiet'] : [];

/** What ends a worker, by the name that `worker.ts` knows. */
const ENDS = ['terminate', 'exit', 'throw'] as const;

/** How a program ends, by the name that `end.ts` knows, and with what code. */
const PROGRAM_ENDS = [
  ['unused', 0],
  ['unreferenced', 0],
  ['exit', 7],
  ['throw', 1],
] as const;

export async function checkConnections(): Promise<void> {
  await check('listen and connect over a path', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'fdpass-smoke-'));
    const listener = await listen(join(folder, 'socket'));
    const client = await connect(join(folder, 'socket'));
    const [fd] = nullFds(1);
    await client.send('hello', fd ? [fd] : []);
    for await (const channel of listener) {
      const message = await channel.receive();
      same([message?.fds.length, channel.peer.source, channel.peer.uid], [1, 'connect', process.getuid?.()]);
      message?.[Symbol.dispose]();
      channel.destroy();
      break;
    }
    client.destroy();
    fd?.close();
    await listener.close();
    rmSync(folder, { recursive: true });
    same(await codeOf(() => connect(join(folder, 'socket'))), 'ENOENT');
  });

  await check('a child process with a channel', async () => {
    const child = spawnWithChannel(process.execPath, [...ofRuntime, beside('child.js')], {
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    const exited = once(child.child, 'exit');
    const fds = nullFds(3);
    await child.channel.send('three', fds, { ack: true });
    const answer = await child.channel.receive();
    same([new TextDecoder().decode(answer?.data), answer?.fds.length], ['three 3', 3]);
    answer?.[Symbol.dispose]();
    closeAll(fds);
    await child.channel.close();
    same((await exited)[0], 0);
  });

  for (const [way, code] of PROGRAM_ENDS) {
    await check(`a program that ends with open channels (${way}) has the exit code ${code}`, async () => {
      const stdio = ['ignore', 'inherit', way === 'throw' ? 'ignore' : 'inherit'] as const;
      const child = spawn(process.execPath, [...ofRuntime, beside('end.js'), way], { stdio: [...stdio] });
      same(await once(child, 'exit'), [code, null]);
    });
  }

  await check('a descriptor and a live channel move to another thread', async () => {
    const [here, there] = channelPair();
    const [fd] = nullFds(1);
    here.post('before');
    if (fd === undefined) return;
    const worker = new Worker(new URL('worker.js', import.meta.url), { workerData: 'echo' });
    worker.postMessage([detachForThread(there), detachForThread(fd)]);
    const messages: string[] = [];
    for (let index = 0; index < 2; index += 1) {
      const message = await here.receive();
      messages.push(`${new TextDecoder().decode(message?.data)} ${message?.fds.length}`);
      message?.[Symbol.dispose]();
    }
    same(messages, ['before 1', 'device 0']);
    await here.close();
    await worker.terminate();
  });

  for (const end of ENDS) {
    await check(`workers that end by ${end} with busy channels leave nothing behind`, async () => {
      await endWorker(end);
      const before = openDescriptors();
      for (let round = 0; round < 3; round += 1) await endWorker(end);
      await until(() => openDescriptors() <= before);
    });
  }
}

async function endWorker(end: (typeof ENDS)[number]): Promise<void> {
  const worker = new Worker(new URL('worker.js', import.meta.url), { workerData: 'busy' });
  worker.on('error', () => undefined);
  await once(worker, 'message');
  const exited = new Promise((resolve) => worker.once('exit', resolve));
  if (end === 'terminate') await worker.terminate();
  else worker.postMessage(end);
  await exited;
}
