// The source maps that are published: what a stack trace needs, and no more.

const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/**
 * Keeps one mapping per line, to the line it came from, and names the sources where the released tag has them: a stack
 * trace then links to the line, and the maps are a tenth of their size.
 *
 * @param {string} text of a map that `tsc` wrote
 * @param {string} sourceRoot the URL that the sources are relative to
 */
export function slimSourceMap(text, sourceRoot) {
  const { version, file, sources, mappings } = JSON.parse(text);
  const names = sources.map((source) => source.replace(/^(\.\.\/)+/, ''));
  return JSON.stringify({
    version,
    file,
    sourceRoot,
    sources: names,
    names: [],
    mappings: oneMappingPerLine(mappings),
  });
}

/** Columns and names are left out; sources and lines are counted from one mapping to the next. */
function oneMappingPerLine(mappings) {
  const at = { source: 0, line: 0 }; // as the decoder is at it
  const written = { source: 0, line: 0 }; // in the mapping written last
  return mappings
    .split(';')
    .map((segments) => {
      const places = segments
        .split(',')
        .map(decode)
        .filter((fields) => fields.length >= 4)
        .map((fields) => {
          at.source += fields[1];
          at.line += fields[2];
          return { ...at };
        });
      const [first] = places;
      if (first === undefined) return '';
      const mapping = encode([0, first.source - written.source, first.line - written.line, 0]);
      Object.assign(written, first);
      return mapping;
    })
    .join(';');
}

/** Base 64 digits of 5 bits, the lowest first; the sixth bit says that more follow, the lowest of all is the sign. */
function decode(segment) {
  const fields = [];
  let value = 0;
  let shift = 0;
  for (const character of segment) {
    const digit = DIGITS.indexOf(character);
    value |= (digit & 31) << shift;
    shift += 5;
    if (digit & 32) continue;
    fields.push(value & 1 ? -(value >> 1) : value >> 1);
    value = shift = 0;
  }
  return fields;
}

function encode(fields) {
  return fields
    .flatMap((field) => {
      const digits = [];
      let rest = field < 0 ? (-field << 1) | 1 : field << 1;
      do {
        digits.push(DIGITS[(rest & 31) | (rest > 31 ? 32 : 0)]);
        rest >>>= 5;
      } while (rest > 0);
      return digits;
    })
    .join('');
}
