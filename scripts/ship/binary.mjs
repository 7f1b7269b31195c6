// Reads the two binary formats we ship, ELF and Mach-O, far enough to check a Node-API addon without any tool.
import { createHash } from 'node:crypto';

/** The facts of an addon, or an error when the bytes are neither a 64-bit ELF nor a 64-bit Mach-O file. */
export function inspectBinary(bytes) {
  const magic = bytes.readUInt32LE(0);
  if (magic === 0x464c457f) return inspectElf(bytes);
  if (magic === 0xfeedfacf) return inspectMachO(bytes);
  throw new Error('neither an ELF nor a 64-bit Mach-O file');
}

const SHT_DYNAMIC = 6;
const SHT_DYNSYM = 11;
const SHT_GNU_VERNEED = 0x6ffffffe;
const SHT_GNU_VERSYM = 0x6fffffff;
const DT_NEEDED = 1n;
const STB_WEAK = 2;

function inspectElf(bytes) {
  const sections = elfSections(bytes);
  const find = (type) => sections.find((section) => section.type === type);
  const strings = (section) => sections[section.link].offset;
  const dynamic = find(SHT_DYNAMIC);
  const symbols = elfSymbols(bytes, find(SHT_DYNSYM), strings(find(SHT_DYNSYM)), find(SHT_GNU_VERSYM));
  const verneed = find(SHT_GNU_VERNEED);
  return {
    format: 'elf',
    cpu: { 62: 'x64', 183: 'arm64' }[bytes.readUInt16LE(18)],
    needed: elfNeeded(bytes, dynamic, strings(dynamic)),
    versions: verneed ? elfVersions(bytes, verneed, strings(verneed)) : [],
    exports: symbols.filter((symbol) => symbol.defined).map((symbol) => symbol.name),
    unresolved: symbols.filter((s) => !s.defined && !s.weak && !s.versioned).map((symbol) => symbol.name),
  };
}

function elfSections(bytes) {
  const table = Number(bytes.readBigUInt64LE(40));
  const [size, count] = [bytes.readUInt16LE(58), bytes.readUInt16LE(60)];
  return Array.from({ length: count }, (_, index) => {
    const at = table + index * size;
    return {
      type: bytes.readUInt32LE(at + 4),
      offset: Number(bytes.readBigUInt64LE(at + 24)),
      size: Number(bytes.readBigUInt64LE(at + 32)),
      link: bytes.readUInt32LE(at + 40),
      info: bytes.readUInt32LE(at + 44),
    };
  });
}

function elfNeeded(bytes, dynamic, strings) {
  const needed = [];
  for (let at = dynamic.offset; at < dynamic.offset + dynamic.size; at += 16) {
    if (bytes.readBigUInt64LE(at) === DT_NEEDED)
      needed.push(cString(bytes, strings + bytes.readUInt32LE(at + 8)));
  }
  return needed;
}

function elfVersions(bytes, section, strings) {
  const names = [];
  let at = section.offset;
  for (let library = 0; library < section.info; library++) {
    let auxiliary = at + bytes.readUInt32LE(at + 8);
    for (let count = bytes.readUInt16LE(at + 2); count > 0; count--) {
      names.push(cString(bytes, strings + bytes.readUInt32LE(auxiliary + 8)));
      auxiliary += bytes.readUInt32LE(auxiliary + 12);
    }
    at += bytes.readUInt32LE(at + 12);
  }
  return names;
}

function elfSymbols(bytes, section, strings, versym) {
  const symbols = [];
  for (let index = 1; index < section.size / 24; index++) {
    const at = section.offset + index * 24;
    symbols.push({
      name: cString(bytes, strings + bytes.readUInt32LE(at)),
      weak: bytes[at + 4] >> 4 === STB_WEAK,
      defined: bytes.readUInt16LE(at + 6) !== 0,
      versioned: versym !== undefined && (bytes.readUInt16LE(versym.offset + index * 2) & 0x7fff) > 1,
    });
  }
  return symbols;
}

const LC_SYMTAB = 0x2;
const LC_LOAD_DYLIB = new Set([0xc, 0x80000018, 0x8000001f]);
const LC_ID_DYLIB = 0xd;
const LC_CODE_SIGNATURE = 0x1d;
const LC_BUILD_VERSION = 0x32;

function inspectMachO(bytes) {
  const facts = {
    format: 'macho',
    cpu: { 16777223: 'x64', 16777228: 'arm64' }[bytes.readUInt32LE(4)],
    needed: [],
    signature: 'none',
    minos: undefined,
    installName: undefined,
    exports: [],
    unresolved: [],
  };
  let at = 32;
  for (let count = bytes.readUInt32LE(16); count > 0; count--) {
    readLoadCommand(bytes, at, facts);
    at += bytes.readUInt32LE(at + 4);
  }
  return facts;
}

function readLoadCommand(bytes, at, facts) {
  const command = bytes.readUInt32LE(at);
  const text = () => cString(bytes, at + bytes.readUInt32LE(at + 8));
  if (LC_LOAD_DYLIB.has(command)) facts.needed.push(text());
  if (command === LC_ID_DYLIB) facts.installName = text();
  if (command === LC_BUILD_VERSION) facts.minos = `${bytes.readUInt16LE(at + 14)}.${bytes[at + 13]}`;
  if (command === LC_CODE_SIGNATURE) facts.signature = machSignature(bytes, bytes.readUInt32LE(at + 8));
  if (command === LC_SYMTAB) readMachSymbols(bytes, at, facts);
}

function readMachSymbols(bytes, at, facts) {
  const [table, count, strings] = [8, 12, 16].map((field) => bytes.readUInt32LE(at + field));
  for (let index = 0; index < count; index++) {
    const entry = table + index * 16;
    const type = bytes[entry + 4];
    const external = (type & 0xe1) === 1; // N_EXT and neither a debugging entry nor private
    if (!external) continue;
    const name = cString(bytes, strings + bytes.readUInt32LE(entry)).replace(/^_/, '');
    const library = bytes.readUInt16LE(entry + 6) >> 8;
    if ((type & 0xe) !== 0) facts.exports.push(name);
    else if (library === 0xfe || library === 0) facts.unresolved.push(name); // looked up in whoever loads us
  }
}

const CSMAGIC_EMBEDDED_SIGNATURE = 0xfade0cc0;
const CS_ADHOC = 0x2;

/** Verifies every page hash, as the kernel of an arm64 Mac does before it runs a page. */
function machSignature(bytes, offset) {
  if (bytes.readUInt32BE(offset) !== CSMAGIC_EMBEDDED_SIGNATURE) return 'malformed';
  for (let index = 0; index < bytes.readUInt32BE(offset + 8); index++) {
    const slot = offset + 12 + index * 8;
    if (bytes.readUInt32BE(slot) === 0)
      return codeDirectory(bytes, offset, offset + bytes.readUInt32BE(slot + 4));
  }
  return 'without a code directory';
}

function codeDirectory(bytes, signedEnd, at) {
  const [flags, hashes, , , slots, limit] = [12, 16, 20, 24, 28, 32].map((field) =>
    bytes.readUInt32BE(at + field),
  );
  const [hashSize, hashType] = [bytes[at + 36], bytes[at + 37]];
  const pageSize = 2 ** bytes[at + 39];
  if (hashType !== 2 || limit !== signedEnd) return 'malformed';
  for (let slot = 0; slot < slots; slot++) {
    const page = bytes.subarray(slot * pageSize, Math.min((slot + 1) * pageSize, limit));
    const expected = bytes.subarray(at + hashes + slot * hashSize, at + hashes + (slot + 1) * hashSize);
    if (!createHash('sha256').update(page).digest().subarray(0, hashSize).equals(expected))
      return 'a page hash is wrong';
  }
  return flags & CS_ADHOC ? 'ad hoc' : 'signed';
}

function cString(bytes, at) {
  return bytes.toString('latin1', at, bytes.indexOf(0, at));
}
