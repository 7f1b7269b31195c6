/** The binary that the tests run with. Beside the helpers and not among them: those are compiled without `src/`. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { candidatePlatforms } from '../src/platform.js';

export const root: string = fileURLToPath(new URL('..', import.meta.url));

/** The platforms whose binaries the loader tries here, in its order. */
export const platforms: readonly string[] = candidatePlatforms(process.platform, process.arch);

export const nativeBinary: string =
  process.env.FDPASS_NATIVE_PATH ??
  platforms
    .map((platform) => join(root, `build/native/fdpass.${platform}.node`))
    .find((file) => existsSync(file)) ??
  '';
