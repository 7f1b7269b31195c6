// The package managers, each as a stranger uses it: an empty folder, one command, no compiler within reach.
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { manifest } from './project.mjs';
import { run } from './run.mjs';
import { bun, deno, NODE_VERSIONS, node } from './runtimes.mjs';
import { npmTool } from './toolbox.mjs';

export const consumer = fileURLToPath(new URL('consumer/', import.meta.url));

const COMPILERS = [
  'cargo',
  'rustc',
  'cc',
  'gcc',
  'g++',
  'clang',
  'python',
  'python3',
  'make',
  'cmake',
  'node-gyp',
  'zig',
];
const WANTED = `${manifest.name}@${manifest.version}`;
// Each installer runs on a Node that it supports; what it installs is then tried on all of them.
const MODERN = 24;

/**
 * `install(folder, context)` fills the folder; `runners` are the command lines that can run a script there.
 * Age gates are off: a release is minutes old when this runs.
 */
export const installers = [
  ...['10', '11', '12'].map((major) => npm(major)),
  ...['10', '11', '12'].map((major) => pnpm(major)),
  {
    name: 'Yarn 1',
    install: (folder, context) =>
      within(folder, context, [bin('yarn@1.22.22', 'yarn', 'bin/yarn.js'), 'add', WANTED]),
    runners: nodes,
  },
  berry('node-modules', nodes),
  berry('pnp', (folder, context) =>
    nodes().map(({ name, command }) => ({ name, command: pnpCommand(command, folder, context) })),
  ),
  {
    name: 'Bun',
    install: (folder, context) => start(folder, context, [...bun().command, 'add', WANTED]),
    runners: () => [bun(), ...nodes()],
  },
  {
    name: 'Deno (node_modules)',
    install: (folder, context) => start(folder, context, [deno().program, ...denoInstall('auto')]),
    runners: () => [deno('--node-modules-dir=manual'), ...nodes()],
  },
  {
    name: 'Deno (global cache)',
    install: (folder, context) => start(folder, context, [deno().program, ...denoInstall('none')]),
    runners: () => [deno('--node-modules-dir=none', '--minimum-dependency-age=0')],
  },
];

/** An empty project with the programs that prove it, and an environment in which every compiler fails loudly. */
export function prepare(folder, registry) {
  const context = { registry, home: join(folder, 'home'), log: join(folder, 'compilers-called') };
  const project = join(folder, 'project');
  mkdirSync(context.home, { recursive: true });
  mkdirSync(project);
  writeFileSync(
    join(project, 'package.json'),
    JSON.stringify({ name: 'consumer', private: true, type: 'module' }),
  );
  writeFileSync(join(project, '.npmrc'), `registry=${registry.url}\n`);
  cpSync(consumer, project, { recursive: true });
  writeFakes(join(folder, 'fakes'), context.log);
  context.env = environment(folder, context);
  return { project, context };
}

/** What was called of the compilers during an install: must be nothing. */
export function compilersCalled({ log }) {
  return existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : [];
}

export function start(folder, { env }, [command, ...args]) {
  return run(command, args, { cwd: folder, env });
}

export function npmInstall(folder, context, args, major = '11') {
  return within(folder, context, [npmEntry(major), 'install', '--loglevel=error', ...args]);
}

function npm(major) {
  return {
    name: `npm ${major}`,
    install: (folder, context) => npmInstall(folder, context, [WANTED], major),
    runners: nodes,
  };
}

function npmEntry(major) {
  return bin(`npm@${major}`, 'npm', 'bin/npm-cli.js');
}

function pnpm(major) {
  return {
    name: `pnpm ${major}`,
    install: (folder, context) => {
      writeFileSync(join(folder, 'pnpm-workspace.yaml'), 'packages: ["."]\nminimumReleaseAge: 0\n');
      return within(folder, context, [pnpmEntry(major), 'add', '--workspace-root', WANTED]);
    },
    runners: nodes,
  };
}

function pnpmEntry(major) {
  const folder = join(npmTool(`pnpm@${major}`), 'node_modules', 'pnpm', 'bin');
  return join(
    folder,
    readdirSync(folder).find((entry) => /^pnpm\.[cm]js$/.test(entry)),
  );
}

function berry(linker, runners) {
  return {
    name: `Yarn 4 (${linker})`,
    install: (folder, context) => {
      Object.assign(context.env, { YARN_NODE_LINKER: linker });
      writeFileSync(join(folder, 'yarn.lock'), '');
      return within(folder, context, [berryEntry(), 'add', WANTED]);
    },
    runners,
  };
}

function berryEntry() {
  return bin('@yarnpkg/cli-dist@4.18.1', '@yarnpkg/cli-dist', 'bin/yarn.js');
}

/** What `yarn node` does, for any Node: the resolver is loaded before the program. */
function pnpCommand([program], folder) {
  return [
    program,
    '--require',
    join(folder, '.pnp.cjs'),
    '--experimental-loader',
    join(folder, '.pnp.loader.mjs'),
  ];
}

function denoInstall(mode) {
  return ['add', `--node-modules-dir=${mode}`, '--minimum-dependency-age=0', `npm:${WANTED}`];
}

function nodes() {
  return NODE_VERSIONS.map(node);
}

function bin(spec, name, path) {
  return join(npmTool(spec), 'node_modules', name, path);
}

function within(folder, context, [entry, ...args]) {
  return start(folder, context, [...node(MODERN).command, entry, ...args]);
}

function environment(folder, { registry, home }) {
  return {
    HOME: home,
    PATH: [join(folder, 'fakes'), dirname(node(MODERN).command[0]), '/usr/bin', '/bin'].join(delimiter),
    CI: '1',
    NO_COLOR: '1',
    NODE_NO_WARNINGS: '1',
    npm_config_registry: registry.url,
    NPM_CONFIG_REGISTRY: registry.url,
    BUN_CONFIG_REGISTRY: registry.url,
    npm_config_update_notifier: 'false',
    YARN_NPM_REGISTRY_SERVER: registry.url,
    YARN_UNSAFE_HTTP_WHITELIST: '127.0.0.1',
    YARN_NPM_MINIMAL_AGE_GATE: '0',
    YARN_ENABLE_TELEMETRY: '0',
    YARN_ENABLE_IMMUTABLE_INSTALLS: 'false',
    YARN_ENABLE_GLOBAL_CACHE: 'false',
    DENO_DIR: join(home, 'deno'),
    DENO_NO_UPDATE_CHECK: '1',
  };
}

function writeFakes(directory, log) {
  mkdirSync(directory);
  const fake = join(directory, COMPILERS[0]);
  writeFileSync(fake, `#!/bin/sh\necho "$0 $*" >>'${log}'\nexit 97\n`);
  chmodSync(fake, 0o755);
  for (const name of COMPILERS.slice(1)) copyFileSync(fake, join(directory, name));
}
