// Runs one command: its output is shown (or kept, when quiet), collected and returned with the exit code.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../../', import.meta.url));

/** No command may hang the run, whatever the code under test does: alone, and all together. Far above what a quiet
 * machine needs (`CONTRIBUTING.md`): a limit that a busy one can reach would say "failed" of what is only slow. */
const LIMIT_MS = 20 * 60_000;
const RUN_LIMIT_MS = 60 * 60_000;

/**
 * @param {string} command
 * @param {string[]} args
 * @param {{ env?: Record<string, string>, quiet?: boolean, limitMs?: number }} [options]
 * @returns {Promise<{ code: number, output: string }>} code 127 when the command cannot be started, 124 when it ran too long
 */
export function run(command, args, { env = {}, quiet = false, limitMs = remainingMs() } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: root,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      // Its own process group, so that a limit or Ctrl-C ends the grandchildren too.
      detached: true,
    });
    const killGroup = () => child.pid !== undefined && killQuietly(-child.pid);
    const interrupted = (signal) => {
      killGroup();
      process.exit(signal === 'SIGINT' ? 130 : 143);
    };
    process.on('SIGINT', interrupted).on('SIGTERM', interrupted);

    let output = '';
    const collect = (stream) => (chunk) => {
      output += chunk;
      if (!quiet) stream.write(chunk);
    };
    child.stdout.setEncoding('utf8').on('data', collect(process.stdout));
    child.stderr.setEncoding('utf8').on('data', collect(process.stderr));

    let tooLong = false;
    const timer = setTimeout(() => {
      tooLong = true;
      killGroup();
    }, limitMs);
    const finish = (code, note = '') => {
      clearTimeout(timer);
      process.off('SIGINT', interrupted).off('SIGTERM', interrupted);
      resolve({ code, output: output + note });
    };
    child.on('error', (error) => finish(127, `${command}: ${error.message}\n`));
    child.on('close', (code) => {
      if (tooLong) finish(124, `\n${command} was ended after ${Math.round(limitMs / 1000)} s\n`);
      else finish(code ?? 1);
    });
  });
}

/** Runs a program that a package of `node_modules` brings. */
export function runPackage(program, args, options) {
  return run(`node_modules/.bin/${program}`, args, options);
}

function remainingMs() {
  return Math.max(1, Math.min(LIMIT_MS, RUN_LIMIT_MS - performance.now()));
}

function killQuietly(pid) {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself in the meantime.
  }
}
