// Everything a program or a test needs: tools, dependencies, the native core, the compiled TypeScript.
import { buildNative } from './native.mjs';
import { requireTools } from './requirements.mjs';
import { setUp } from './set-up.mjs';
import { buildTypeScript } from './typescript.mjs';

/** Ends the program with exit code 1 when a tool is missing; otherwise returns whether all was built. */
export async function buildAll() {
  requireTools();
  return (await setUp()) && (await buildNative()) && (await buildTypeScript());
}
