// node scripts/check-binary.mjs FILE TARGET: checks one addon before it is packed; exit code 1 when something is wrong.
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { inspectBinary } from './ship/binary.mjs';
import { cache, findTarget, root } from './ship/project.mjs';
import { isMain, main } from './ship/run.mjs';

/** The oldest systems we load on: RHEL 7's glibc is older than any supported Node's, macOS 11 is the first on arm64. */
export const GLIBC = '2.17';
export const MACOS = '11.0';
export const INSTALL_NAME = '@rpath/fdpass.node';
export const BINARY_LIMIT = 600 * 1024;

const GNU_LIBRARIES = /^(lib(c|pthread|dl|m|rt)\.so\.\d|libgcc_s\.so\.1|ld-linux-(x86-64|aarch64)\.so\.\d)$/;

/** What is known of the file and what is wrong with it. */
export function checkBinary(path, target) {
  const bytes = readFileSync(path);
  const facts = inspectBinary(bytes);
  const problems = [
    ...commonProblems(bytes, facts, target),
    ...(facts.format === 'elf' ? elfProblems : machProblems)(facts, target),
  ];
  return { size: bytes.length, summary: summarize(facts), problems };
}

function commonProblems(bytes, facts, target) {
  const problems = [];
  if (facts.format !== (target.os === 'darwin' ? 'macho' : 'elf')) problems.push(`format ${facts.format}`);
  if (facts.cpu !== target.cpu) problems.push(`built for ${facts.cpu}`);
  if (!facts.exports.includes('napi_register_module_v1'))
    problems.push('napi_register_module_v1 is not exported');
  if (bytes.length > BINARY_LIMIT) problems.push(`${bytes.length} bytes, the limit is ${BINARY_LIMIT}`);
  const paths = buildPaths(bytes);
  if (paths.length > 0) problems.push(`names paths of the build machine: ${paths.join(', ')}`);
  return problems;
}

/** musl has no symbol versions, so there "unresolved" cannot be told from libc's own: loading it is the test. */
function elfProblems(facts, target) {
  const problems = [];
  const newest = newestGlibc(facts);
  if (target.libc === 'musl') {
    if (newest || facts.needed.join() !== 'libc.so')
      problems.push(`not musl alone: ${facts.needed.join(' ')}`);
    return problems;
  }
  if (newest && compareVersions(newest, GLIBC) > 0)
    problems.push(`needs glibc ${newest}, at most ${GLIBC} is allowed`);
  const foreign = facts.needed.filter((name) => !GNU_LIBRARIES.test(name));
  if (foreign.length > 0) problems.push(`needs ${foreign.join(' ')}`);
  return [...problems, ...unresolvedProblems(facts)];
}

function machProblems(facts) {
  const problems = unresolvedProblems(facts);
  const foreign = facts.needed.filter((name) => name !== '/usr/lib/libSystem.B.dylib');
  if (foreign.length > 0) problems.push(`needs ${foreign.join(' ')}`);
  if (facts.installName !== INSTALL_NAME) problems.push(`install name ${facts.installName}`);
  if (!facts.minos || compareVersions(facts.minos, MACOS) > 0)
    problems.push(`needs macOS ${facts.minos}, ${MACOS} must do`);
  if (facts.cpu === 'arm64' && facts.signature !== 'ad hoc') problems.push(`signature: ${facts.signature}`);
  return problems;
}

function unresolvedProblems({ unresolved }) {
  const foreign = unresolved.filter((name) => !/^(node_api|napi)_/.test(name));
  return foreign.length > 0 ? [`unresolved ${foreign.slice(0, 5).join(' ')}`] : [];
}

/** Panic messages carry source paths: none may say where the build ran. */
function buildPaths(bytes) {
  const private_ = [root, cache, homedir(), process.env.CARGO_HOME].filter((path) => path && path.length > 1);
  const usual = ['.cargo/registry', 'home', 'Users', 'root'].map((folder) => `/${folder}/`);
  return [...new Set([...private_, ...usual])].filter((path) => bytes.includes(path));
}

function summarize(facts) {
  const common = `${facts.cpu}, ${facts.unresolved.filter((name) => name.startsWith('napi_')).length} napi_* open`;
  if (facts.format === 'macho') return `${common}, macOS ${facts.minos}, signature ${facts.signature}`;
  const newest = newestGlibc(facts);
  return `${common}, ${newest ? `glibc ${newest}` : 'musl'}, needs ${facts.needed.join(' ')}`;
}

function newestGlibc({ versions = [] }) {
  const numbers = versions.map((name) => /^GLIBC_(\d[\d.]*)$/.exec(name)?.[1]).filter(Boolean);
  return numbers.sort(compareVersions).at(-1);
}

function compareVersions(a, b) {
  const [left, right] = [a, b].map((version) => version.split('.').map(Number));
  return left[0] - right[0] || (left[1] ?? 0) - (right[1] ?? 0);
}

if (isMain(import.meta)) {
  main(([file, name]) => {
    const { size, summary, problems } = checkBinary(file, findTarget(name));
    console.log(`${file}: ${size} bytes, ${summary}`);
    for (const problem of problems) console.error(`${file}: ${problem}`);
    return problems.length > 0 ? 1 : 0;
  });
}
