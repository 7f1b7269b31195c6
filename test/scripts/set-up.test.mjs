import { expect, it } from 'vitest';
import { isInstalled } from '../../scripts/steps/set-up.mjs';

const devDependencies = { tool: '^1.0.0' };
const lock = {
  packages: {
    '': { devDependencies },
    'node_modules/tool': { version: '1.2.0' },
    'node_modules/tool-elsewhere': { version: '1.2.0', optional: true },
  },
};

it('installs when something is missing, of another version or newly asked for', () => {
  const complete = { packages: { 'node_modules/tool': { version: '1.2.0' } } };
  expect(isInstalled({ devDependencies }, lock, complete)).toBe(true);
  expect(isInstalled({ devDependencies }, lock, undefined)).toBe(false);
  expect(isInstalled({ devDependencies }, lock, { packages: {} })).toBe(false);
  expect(
    isInstalled({ devDependencies }, lock, { packages: { 'node_modules/tool': { version: '1.1.0' } } }),
  ).toBe(false);
  expect(isInstalled({ devDependencies: { tool: '^2.0.0' } }, lock, complete)).toBe(false);
});
