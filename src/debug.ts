import { readVariable } from './environment.js';

/** With `FDPASS_DEBUG=1`, where a descriptor came from is kept and told when it leaks or is used after its end. */
const debug: boolean = readVariable('FDPASS_DEBUG') === '1';

/** The stack of the caller in debug mode; otherwise nothing, because it costs as much as the message itself. */
export function constructionStack(): string | undefined {
  return debug ? stackOfCaller() : undefined;
}

function stackOfCaller(): string | undefined {
  return new Error('made here').stack?.split('\n').slice(4).join('\n');
}
