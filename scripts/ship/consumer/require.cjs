// An ESM-only package, from CommonJS: every entry point that it has.
for (const entry of Object.keys(require('fdpass/package.json').exports)) {
  const name = entry.replace(/^\./, 'fdpass');
  console.log(`required ${Object.keys(require(name)).length} names of ${name}`);
}
