/** One variable of the environment, or `undefined` when it is unset or may not be read. */
export function readVariable(name: string): string | undefined {
  return mayRead(name) ? process.env[name] : undefined;
}

/** Deno is asked before the variable is read: without the permission it would throw, or stop and ask the user. */
function mayRead(name: string): boolean {
  const { Deno } = globalThis as {
    Deno?: { permissions: { querySync(what: { name: 'env'; variable: string }): { state: string } } };
  };
  return !Deno || Deno.permissions.querySync({ name: 'env', variable: name }).state === 'granted';
}
