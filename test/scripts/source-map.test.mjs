import { describe, expect, it } from 'vitest';
import { slimSourceMap } from '../../scripts/ship/source-map.mjs';

const full = {
  version: 3,
  file: 'a.js',
  sourceRoot: '',
  sources: ['../../src/folder/a.ts'],
  names: ['x'],
  sourcesContent: ['whole text'],
  // Line 1 to line 1; line 2 to line 40, with a second mapping to line 41; none for line 3; line 4 to line 20.
  mappings: 'AAAA,IAAIA;AAuCA,SACA;;AArBA',
};

describe('slimSourceMap', () => {
  const slim = JSON.parse(slimSourceMap(JSON.stringify(full), 'https://example.org/v1/'));

  it('keeps the first mapping of each line, with the right line of the source', () => {
    expect(slim.mappings).toBe('AAAA;AAuCA;;AApBA');
  });

  it('names the source where it is published and leaves its text out', () => {
    expect(slim.sourceRoot + slim.sources[0]).toBe('https://example.org/v1/src/folder/a.ts');
    expect(slim).not.toHaveProperty('sourcesContent');
  });
});
