// What must hold on every machine and libc that a binary is made for. FDPASS_UNFAITHFUL names a behaviour that the
// machine underneath does not have (an emulator's): tests of it are skipped by name.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { peerCredentials, receiveMessage, sendMessage, socketPair } from 'fdpass';

const COMMAND = process.argv.slice(2);
const unfaithful = process.env.FDPASS_UNFAITHFUL;
const behaviour = (name, body) =>
  test(name, { skip: unfaithful && name.includes(unfaithful) && `${unfaithful} is not faithful here` }, body);

behaviour('one message carries 253 descriptors, each close-on-exec', () => {
  const [a, b] = socketPair();
  const before = openFds().length;
  const ends = Array.from({ length: 253 }, () => a.duplicate());
  sendMessage(a, 'all of them', ends, { transfer: true });
  const message = receiveMessage(b);
  assert.equal(message.fds.length, 253);
  const inherited = spawnSync('ls', ['/proc/self/fd'], { encoding: 'utf8' }).stdout.trim().split('\n');
  assert.ok(inherited.length < 10, `inherited ${inherited}`);
  message.fds.close();
  assert.equal(openFds().length, before);
  a.close();
  b.close();
});

behaviour('254 descriptors are refused before anything is sent', () => {
  const [a, b] = socketPair();
  assert.throws(() => sendMessage(a, 'x', new Array(254).fill(a)), { code: 'ERR_FDPASS_TOO_MANY_FDS' });
  assert.throws(() => receiveMessage(b, { timeout: 0 }), { code: 'EAGAIN' });
  a.close();
  b.close();
});

behaviour('what the caller did not want is closed', () => {
  const [a, b] = socketPair();
  const before = openFds().length;
  sendMessage(a, 'three', [a, a, a]);
  const message = receiveMessage(b, { maxFds: 1, truncation: 'partial' });
  assert.equal(message.truncated.descriptors, 'surplus');
  message.fds.close();
  assert.equal(openFds().length, before);
  a.close();
  b.close();
});

behaviour('truncation at the descriptor limit is reported and leaks nothing', () => {
  const limited = ['-c', 'ulimit -n 64; exec "$@"', 'sh', ...COMMAND, 'limited.mjs'];
  const { stdout, stderr } = spawnSync('sh', limited, { encoding: 'utf8' });
  assert.equal(stdout.trim(), 'limit, nothing leaked', stderr);
});

behaviour('the peer is known by its credentials', () => {
  const [a, b] = socketPair();
  assert.equal(peerCredentials(a).uid, process.getuid());
  a.close();
  b.close();
});

behaviour('a descriptor says what it is', () => {
  const [a, b] = socketPair('datagram');
  const { kind, socketType } = a.describe();
  assert.deepEqual([kind, socketType], ['unix', 'datagram']);
  a.close();
  b.close();
});

behaviour('the end of a stream is undefined', () => {
  const [a, b] = socketPair();
  a.close();
  assert.equal(receiveMessage(b), undefined);
  b.close();
});

function openFds() {
  return readdirSync('/proc/self/fd');
}
