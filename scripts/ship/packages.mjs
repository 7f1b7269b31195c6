// The manifests that are published: the main package's, made from package.json, and one per platform.
import { manifest, targets } from './project.mjs';

const SYSTEMS = { linux: 'Linux', darwin: 'macOS' };

/**
 * package.json without what only the checkout needs, and with the platform packages.
 *
 * They are added here and not kept in package.json: until a version is published, every `npm install` in the checkout
 * would ask the registry for packages that are not there.
 */
export function mainManifest() {
  const { scripts: _scripts, devDependencies: _development, napi: _napi, ...published } = manifest;
  return {
    ...published,
    // Under Yarn's Plug'n'Play on Node 20, require() of an ES module finds no file inside a zip archive.
    preferUnplugged: true,
    optionalDependencies: Object.fromEntries(targets.map((target) => [target.packageName, manifest.version])),
  };
}

export function platformManifest({ packageName, platform, file, os, cpu, libc }) {
  const { version, license, repository, engines } = manifest;
  return {
    name: packageName,
    version,
    description: `The native part of fdpass for ${platformTitle({ os, cpu, libc })}`,
    license,
    repository: { ...repository, directory: `npm/${platform}` },
    engines,
    main: file,
    files: [file],
    os: [os],
    cpu: [cpu],
    ...(libc && { libc: [libc] }),
  };
}

export function platformReadme(target) {
  return `# ${target.packageName}

The native part of [fdpass](https://www.npmjs.com/package/fdpass) for ${platformTitle(target)} (\`${target.triple}\`).

Do not install it yourself: \`npm install fdpass\` brings the right one.
`;
}

function platformTitle({ os, cpu, libc }) {
  return `${SYSTEMS[os]} ${cpu}${libc ? ` with ${libc}` : ''}`;
}
