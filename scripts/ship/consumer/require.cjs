// An ESM-only package, from CommonJS.
console.log(`required ${Object.keys(require('fdpass')).length} names`);
