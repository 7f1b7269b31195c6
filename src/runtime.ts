/** The JavaScript runtimes that differ where descriptors become objects of the `node:` modules. */
export type Runtime = 'node' | 'bun' | 'deno';

/** What runs this module; Electron is `node`. Decided by what the runtimes say of themselves, never by a symbol. */
export const runtime: Runtime = detect();

function detect(): Runtime {
  if (process.versions.bun !== undefined) return 'bun';
  return 'Deno' in globalThis ? 'deno' : 'node';
}
