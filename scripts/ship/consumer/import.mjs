// Imports and says what came of it: the number of exports, or the error as a user sees it.
try {
  const fdpass = await import('fdpass');
  console.log(`imported ${Object.keys(fdpass).length} names`);
} catch (error) {
  console.log(`${error.code}: ${error.message}`);
}
